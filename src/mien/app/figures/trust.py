"""Whether to believe each method: a row a method, a column a test, and the verdict."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.app.figures import style
from mien.explain.trust.verdict import BaselineTrust, MethodTrust
from mien.jobs.trust_report import TrustReport
from mien.types import Interval
from mien.words.trust import FIGURE, NAMES, short_verdict

_ROW, _TOP, _BOTTOM = 0.36, 1.28, 0.62  # inches
_LEFT, _PANEL, _GAP, _RIGHT = 1.75, 1.22, 0.24, 2.9
_LETTERS = 36  # of a verdict in a line


def draw_trust(report: TrustReport, path_stem: Path, *, language: str = "en") -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``; returns their paths.

    Dots with 95 % intervals: areas of the deletion and insertion curves, similarity after every
    layer was made random (the tick: two different faces), and, where they were run, similarity to
    the network of shuffled labels and the share of attribution in the region that carries the
    label. The rows are the methods, then the baselines that know nothing, in grey.
    """
    words = FIGURE[language]
    panels = ["deletion", "insertion", "weights"]
    panels += ["labels"] * any(one.labels is not None for one in report.methods)
    panels += ["mass"] * any(one.mass is not None for one in report.methods)
    rows = (*report.methods, *report.baselines)
    height = _TOP + _ROW * (len(rows) + 0.6) + _BOTTOM
    width = _LEFT + len(panels) * (_PANEL + _GAP) + _RIGHT
    with style.style():
        figure = style.new_figure(width, height)
        style.headline(
            figure, words["title"], words["subtitle"].format(model=report.model, n=report.n)
        )
        for number, panel in enumerate(panels):
            left = _LEFT + number * (_PANEL + _GAP)
            axes = style.place(figure, left, _BOTTOM, width - left - _PANEL, _TOP)
            _panel(axes, panel, report, words)
        _names(figure, report, language, width, height)
        return style.save(figure, path_stem)


def _heights(report: TrustReport) -> list[float]:
    """From the top; half a row stands between methods and baselines."""
    M, B = len(report.methods), len(report.baselines)
    return [float(k) for k in range(M)] + [M + 0.6 + k for k in range(B)]


def _panel(axes: Axes, panel: str, report: TrustReport, words: dict[str, str]) -> None:
    rows: Sequence[MethodTrust | BaselineTrust] = (*report.methods, *report.baselines)
    heights = _heights(report)
    low, high = _range(panel, rows)
    axes.set_xlim(low, high)
    axes.set_ylim(heights[-1] + 0.5, -0.5)
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.locator_params(axis="x", nbins=3)
    heading, better = words[panel], words[f"{panel}-better"]
    axes.text(0, 1.02, heading, transform=axes.transAxes, size=style.SMALL + 0.5, weight="bold",
              va="baseline", linespacing=1.25)  # fmt: skip
    axes.set_xlabel(better, size=style.SMALL - 0.5)
    for y, row in zip(heights, rows, strict=True):
        interval, reference = _numbers(panel, row)
        method = isinstance(row, MethodTrust)
        if reference is not None:
            axes.plot([reference.value] * 2, [y - 0.28, y + 0.28], color=style.ORANGE, lw=1.6)
        if interval is not None:
            color = style.BLUE if method else style.SOFT
            axes.plot([interval.low, interval.high], [y, y], color=color, lw=1.4)
            axes.plot([interval.value], [y], "o", ms=4.2, color=color, mec=style.PAPER, mew=0.6)


def _numbers(
    panel: str, row: MethodTrust | BaselineTrust
) -> tuple[Interval | None, Interval | None]:
    """What is shown in a panel of a row: the value, and the reference where there is one."""
    if panel == "deletion":
        return row.deletion, None
    if panel == "insertion":
        return row.insertion, None
    if panel == "mass":
        return row.mass, None
    if isinstance(row, BaselineTrust):
        # It does not look at the network, so its map stays the same, whatever is random.
        return Interval(1.0, 1.0, 1.0), None
    if panel == "weights":
        return row.weights[-1].cascade, row.weights_reference
    return row.labels, row.labels_reference


def _range(panel: str, rows: Sequence[MethodTrust | BaselineTrust]) -> tuple[float, float]:
    shown = [interval for row in rows for interval in [_numbers(panel, row)[0]] if interval]
    low, high = min(one.low for one in shown), max(one.high for one in shown)
    if panel in ("weights", "labels"):
        return min(low, 0.0) - 0.08, 1.06
    margin = 0.12 * max(high - low, 0.02)
    return (0.0 if panel == "mass" else low - margin), high + margin


def _names(figure: Figure, report: TrustReport, language: str, width: float, height: float) -> None:
    words, heights = FIGURE[language], _heights(report)
    span = heights[-1] + 1.0
    inner = height - _TOP - _BOTTOM

    def put(x: float, row: float, text: str, color: str, weight: str = "normal") -> None:
        y = _BOTTOM + inner * (1 - (row + 0.5) / span)
        figure.text(x / width, y / height, text, color=color, va="center", weight=weight,
                    size=style.BODY - 0.5, linespacing=1.15)  # fmt: skip

    verdict = width - _RIGHT + 0.02
    for row, one in zip(heights, report.methods, strict=False):
        put(0.25, row, one.title, style.INK)
        color = style.GREEN if one.verdict == "passes" else style.VERMILLION
        said = short_verdict(one.verdict, one.against, language)
        put(verdict, row, "\n".join(textwrap.wrap(said, _LETTERS)), color, "bold")
    for row, base in zip(heights[len(report.methods) :], report.baselines, strict=True):
        put(0.25, row, NAMES[language].get(base.baseline, base.title), style.SOFT)
        put(verdict, row, words["nothing"], style.SOFT)
