"""Precision, recall and F1 of each class as dots with their 95 % intervals."""

import math
from pathlib import Path

from matplotlib.axes import Axes

from mien.app.figures import style
from mien.evaluate.confusion import ClassScores, Scores
from mien.labels import display_name
from mien.words import percent

METRICS = (("recall", style.BLUE), ("precision", style.VERMILLION), ("f1", style.GREEN))
MARKERS = {"recall": "o", "precision": "s", "f1": "D"}
ROW = 0.58  # inches


def draw_classes(
    scores: Scores, path_stem: Path, *, title: str = "", language: str = "en"
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``, the class of the highest F1 on top.

    A score that is undefined (precision of a class never predicted) has no dot.
    """
    ranked = sorted(scores.per_class, key=_rank)
    K, word = len(ranked), style.labels(language)
    with style.style(language):
        figure = style.new_figure(7.2, 1.15 + K * ROW + 0.5)
        about = word("macro-f1", f1=percent(scores.macro_f1), n=f"{scores.n:,}")
        style.headline(figure, title or word("classes"), about)
        axes = style.place(figure, 1.35, 0.5, 0.35, 1.15)
        for row, one in enumerate(ranked):
            _row(axes, row, one)
        _frame(axes, ranked, language)
        _legend(axes, language)
        return style.save(figure, path_stem, language)


def _rank(one: ClassScores) -> tuple[float, str]:
    return (1.0 if math.isnan(one.f1.value) else -one.f1.value, one.name)


def _row(axes: Axes, row: int, one: ClassScores) -> None:
    for place, (metric, color) in enumerate(METRICS):
        interval = getattr(one, metric)
        if math.isnan(interval.value):
            continue
        y = row + (place - 1) * 0.24
        axes.plot([100 * interval.low, 100 * interval.high], [y, y], color=color, alpha=0.45,
                  linewidth=2.4)  # fmt: skip
        axes.plot([100 * interval.value], [y], marker=MARKERS[metric], color=color, markersize=6,
                  markeredgecolor=style.PAPER, markeredgewidth=0.9, linestyle="none",
                  clip_on=False)  # fmt: skip


def _frame(axes: Axes, ranked: list[ClassScores], language: str) -> None:
    K, word = len(ranked), style.labels(language)
    axes.set_xlim(0, 100)
    axes.set_ylim(K - 0.5, -0.5)
    axes.set_xticks(range(0, 101, 20), [f"{x} %" for x in range(0, 101, 20)])
    axes.set_yticks([])
    axes.grid(axis="x")
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    across = axes.get_yaxis_transform()
    for row, one in enumerate(ranked):
        if row % 2 == 0:
            axes.axhspan(row - 0.5, row + 0.5, color="#F6F8FA", linewidth=0, zorder=0)
        axes.text(
            -0.02,
            row - 0.12,
            display_name(one.name, language),
            transform=across,
            ha="right",
            va="center",
        )
        count = word("images", n=f"{one.support:,}")
        axes.text(-0.02, row + 0.2, count, transform=across, ha="right", va="center",
                  color=style.SOFT, size=style.SMALL - 0.5)  # fmt: skip


def _legend(axes: Axes, language: str) -> None:
    word = style.labels(language)
    handles = [
        axes.plot([], [], marker=MARKERS[metric], color=color, linestyle="none", markersize=6,
                  markeredgecolor=style.PAPER, label=word(metric))[0]
        for metric, color in METRICS
    ]  # fmt: skip
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False,
        fontsize=style.SMALL, handlelength=1.0, handletextpad=0.3, columnspacing=1.4,
        borderaxespad=0.2, borderpad=0.2,
    )  # fmt: skip
