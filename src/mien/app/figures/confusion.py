"""The confusion matrix as a figure: who is taken for whom."""

import math
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from mien.app.figures import style
from mien.evaluate.confusion import Scores
from mien.labels import display_name
from mien.words import percent

CELL = 0.78  # inches
# Few shares fall where neither black nor white reads well: the blue darkens quickly before 0.4.
_RIGHT = LinearSegmentedColormap.from_list(
    "right", [(0, "#E6F0F7"), (0.36, "#8DBEDD"), (0.5, "#1A75AE"), (1, "#003A5C")]
)
_WRONG = LinearSegmentedColormap.from_list(
    "wrong", ["#FBF7F4", "#F3B98E", style.VERMILLION, "#8A3D00"]
)


def draw_confusion(
    scores: Scores, path_stem: Path, *, title: str = "", language: str = "en"
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``; returns their paths.

    Colour is the share of the row, blue on the diagonal and orange off it, the darker the larger;
    the numbers in a cell are that share and the count. The rows show the classes' numbers of
    images, the columns how often each was predicted.
    """
    K, word = len(scores.classes), style.labels(language)
    with style.style(language):
        figure = style.new_figure(1.35 + K * CELL + 0.3, 1.62 + K * CELL + 0.3)
        about = word("accuracy-on", accuracy=percent(scores.accuracy), n=f"{scores.n:,}")
        style.headline(figure, title or word("confusion"), about)
        axes = style.place(figure, 1.35, 0.3, 0.3, 1.62)
        for i in range(K):
            for j in range(K):
                _cell(axes, i, j, float(scores.rates[i, j]), int(scores.counts[i, j]))
        _frame(axes, scores, language)
        return style.save(figure, path_stem, language)


def cell_color(rate: float, *, right: bool) -> tuple[float, float, float]:
    """The colour of a share 0..1; nan as 0. Rises steeply at first: most mistakes are below 0.3."""
    scale = _RIGHT if right else _WRONG
    red, green, blue, _ = scale(0.0 if math.isnan(rate) else rate**0.7)
    return float(red), float(green), float(blue)


def share_text(rate: float, count: int) -> str:
    """``31 %``; ``<1 %`` and ``>99 %`` where rounding would say none or all; ``0`` for none."""
    if count == 0:
        return "0"
    if rate < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= rate < 1 else f"{100 * rate:.0f} %"


def _cell(axes: Axes, i: int, j: int, rate: float, count: int) -> None:
    color = cell_color(rate, right=i == j)
    axes.add_patch(Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, facecolor=color, linewidth=0))
    if count == 0:
        _text(axes, j, i, share_text(rate, count), style.SOFT)
        return
    ink = style.ink_on(color)
    weight = "bold" if i == j else "normal"
    _text(axes, j, i - 0.1, share_text(rate, count), ink, size=style.BODY + 1.5, weight=weight)
    _text(axes, j, i + 0.24, f"{count:,}", ink)


def _frame(axes: Axes, scores: Scores, language: str) -> None:
    K, word = len(scores.classes), style.labels(language)
    axes.set_xlim(-0.5, K - 0.5)
    axes.set_ylim(K - 0.5, -0.5)
    axes.set_axis_off()
    for k, one in enumerate(scores.per_class):
        name = display_name(one.name, language)
        _text(axes, -0.62, k - 0.09, name, style.INK, ha="right", size=style.BODY)
        _text(axes, -0.62, k + 0.19, word("images", n=f"{one.support:,}"), style.SOFT, ha="right")
        _text(axes, k, -0.86, name, style.INK, size=style.BODY)
        _text(axes, k, -0.63, f"{one.predicted:,}×", style.SOFT)
    _text(axes, -0.48, -1.2, word("predicted-as"), style.SOFT, ha="left", size=style.SMALL)
    _text(axes, -0.62, -0.63, word("images-of"), style.SOFT, ha="right", size=style.SMALL)


def _text(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    color: str,
    *,
    ha: Literal["left", "center", "right"] = "center",
    size: float = style.SMALL - 0.5,
    weight: str = "normal",
) -> None:
    axes.text(x, y, text, color=color, ha=ha, va="center", size=size, weight=weight)
