"""How far to believe a confidence: the reliability diagram, and risk against coverage."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.app.figures import style
from mien.evaluate.calibration import Calibration
from mien.evaluate.reliability import Reliability
from mien.words import percent

_PANEL = 3.1  # inches
_COUNTS = 0.75
Word = Callable[..., str]
_TICKS = np.linspace(0, 1, 6)


def draw_reliability(
    found: Calibration, path_stem: Path, *, language: str = "en"
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``: accuracy against confidence, before and after.

    A point is one of 15 bins of equal width with Wilson's 95 % interval; the coloured stem is its
    gap to the diagonal, where confidence would be exactly right. Below it, how many images.
    """
    word = style.labels(language)
    with style.style(language):
        width = 0.75 + _PANEL + 0.55 + _PANEL + 0.3
        height = 1.5 + _PANEL + 0.12 + _COUNTS + 0.55
        figure = style.new_figure(width, height)
        about = "reliability-fresh" if found.without_copies else "reliability-all"
        style.headline(figure, word("reliability"), word(about, n=f"{found.n:,}"))
        after = word("tempered", temperature=f"{found.temperature:.2f}")
        most = max(one.n for part in (found.before, found.after) for one in part.bins)
        for left, name, part in (
            (0.75, word("as-trained"), found.before),
            (0.75 + _PANEL + 0.55, after, found.after),
        ):
            _panel(figure, left, name, part, most, word)
        return style.save(figure, path_stem, language)


def _panel(
    figure: Figure, left: float, name: str, part: Reliability, most: int, word: Word
) -> None:
    width = figure.get_figwidth()
    right = width - left - _PANEL
    axes = style.place(figure, left, 0.55 + _COUNTS + 0.12, right, 1.5)
    axes.plot([0, 1], [0, 1], color=style.SOFT, linewidth=1, linestyle=(0, (4, 3)))
    for one in part.bins:
        if one.n == 0:
            continue
        x, y = one.confidence, one.accuracy.value
        colour = style.VERMILLION if y < x else style.BLUE
        axes.plot([x, x], [x, y], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot([x, x], [one.accuracy.low, one.accuracy.high], color=colour, linewidth=1.2)
        axes.plot([x], [y], marker="o", markersize=4.5, color=colour)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks(_TICKS, [])
    axes.set_yticks(_TICKS, [f"{100 * t:.0f} %" for t in _TICKS])
    axes.grid(visible=True)
    axes.set_title(name, loc="left", size=style.BODY, weight="bold", color=style.INK, pad=24)
    error = word("error", ece=percent(part.ece), debiased=percent(part.debiased_ece))
    axes.text(0, 1.025, error, transform=axes.transAxes, size=style.SMALL, color=style.SOFT)
    axes.text(0.03, 0.965, word("too-unsure"), color=style.BLUE, size=style.SMALL, va="top")
    axes.text(0.97, 0.035, word("too-sure"), color=style.VERMILLION, size=style.SMALL, ha="right")
    if left < 1:
        axes.set_ylabel(word("right"))
    _counts(style.place(figure, left, 0.55, right, figure.get_figheight() - 0.55 - _COUNTS),
            part, most, word)  # fmt: skip


def _counts(axes: Axes, part: Reliability, most: int, word: Word) -> None:
    for one in part.bins:
        axes.bar((one.low + one.high) / 2, one.n, width=0.9 * (one.high - one.low),
                 color=style.FAINT)  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, most * 1.1)
    axes.set_xticks(_TICKS, [f"{100 * t:.0f} %" for t in _TICKS])
    axes.set_yticks([most], [word("count-images", n=f"{most:,}")])
    axes.set_xlabel(word("confidence"))


def draw_risk_coverage(
    found: Calibration, path_stem: Path, *, language: str = "en"
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``: the error where only the surest are answered.

    The band is Wilson's 95 % interval at each coverage by itself; the points are thresholds that
    promise an error rate, chosen and measured on different folds.
    """
    curve, at = found.risk_coverage, found.at_80
    word = style.labels(language)
    with style.style(language):
        figure = style.new_figure(5.6, 4.3)
        style.headline(figure, word("risk"),
                       word("risk-about", share=f"{100 * at.coverage:.0f} %", n=f"{found.n:,}",
                            accuracy=percent(at.accuracy), full=percent(at.full)))  # fmt: skip
        axes = style.place(figure, 0.75, 0.6, 0.35, 1.0)
        axes.fill_between(curve.coverage, curve.low, curve.high, color=style.SKY, alpha=0.3,
                          linewidth=0)  # fmt: skip
        axes.plot(curve.coverage, curve.error, color=style.BLUE)
        _promises(axes, found, word)
        top = 1.25 * max(curve.error[-1], curve.error[len(curve.error) // 2 :].max(), 0.01)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, min(top, 1.0))
        axes.set_xticks(_TICKS, [f"{100 * t:.0f} %" for t in _TICKS])
        axes.set_yticks(axes.get_yticks(), [f"{100 * t:.0f} %" for t in axes.get_yticks()])
        axes.set_ylim(0, min(top, 1.0))
        axes.set_xlabel(word("answered"))
        axes.set_ylabel(word("wrong"))
        axes.grid(visible=True)
        return style.save(figure, path_stem, language)


def _promises(axes: Axes, found: Calibration, word: Word) -> None:
    for one in found.abstain:
        if one.threshold is None or np.isnan(one.realised.value):
            continue
        x, y = one.coverage.value, one.realised
        axes.plot([x, x], [y.low, y.high], color=style.VERMILLION, linewidth=1.2)
        axes.plot([x], [y.value], marker="o", markersize=5, color=style.VERMILLION)
        axes.annotate(word("at-most", error=f"{100 * one.error:.0f} %"), (x, y.value),
                      xytext=(7, -3), textcoords="offset points", ha="left", va="top",
                      size=style.SMALL, color=style.VERMILLION)  # fmt: skip
