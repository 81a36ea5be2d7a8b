"""A confused pair as a figure: mean faces, the mean difference of attributions, the regions."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mien.app.figures import style
from mien.app.figures.regions import ROW
from mien.explain.pairs import Pair
from mien.types import Interval

_SIDE, _GAP = 1.6, 0.2  # inches
_SIGNED = LinearSegmentedColormap.from_list("signed", [style.VERMILLION, style.PAPER, style.BLUE])

Pictures = dict[str, NDArray[np.float32]]


def draw_pair(
    pair: Pair, pictures: Pictures, path_stem: Path, *, trust: str = ""
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``; returns their paths.

    Mean faces of the confused images and of right ones of both classes, each in its own grey
    range; the mean map of truth less rival for confused and right images on one scale, white at 0,
    its ends at the 99th percentile of |value|; below, the regions. Means that were not saved, being
    of too few images, are left out.
    """
    shown = [(name, key) for name, key in _titles(pair) if key in pictures]
    block = len(pair.regions) * ROW
    top = 0.75 + (0.3 + _SIDE + 0.25 if shown else 0.1)
    width = max(6.6, 0.25 + len(shown) * (_SIDE + _GAP) + 0.75)
    height = top + 0.3 + block + 0.5 + 0.4
    with style.style():
        figure = style.new_figure(width, height)
        title = f"{pair.truth} taken for {pair.predicted}"
        style.headline(figure, title, f"{pair.n:,} images; {pair.method}; 95 % bootstrap intervals"
                       + (f"\n{trust}" if trust else ""))  # fmt: skip
        scale = _scale(pictures)
        for number, (name, key) in enumerate(shown):
            left = 0.25 + number * (_SIDE + _GAP)
            axes = style.place(figure, left, height - 1.05 - _SIDE, width - left - _SIDE, 1.05)
            _picture(axes, pictures[key], name, scale if key.startswith("difference") else None)
        if shown and shown[-1][1].startswith("difference"):
            _bar(figure, left + _SIDE + 0.08, height - 1.05 - _SIDE, scale, pair)
        _regions(figure, pair, top + 0.3, block)
        return style.save(figure, path_stem)


def _titles(pair: Pair) -> list[tuple[str, str]]:
    return [
        (f"{pair.truth}, right", "right"),
        (f"{pair.truth} taken for {pair.predicted}", "confused"),
        (f"{pair.predicted}, right", "rival"),
        ("difference, confused", "difference"),
        ("difference, right", "difference_right"),
    ]


def _scale(pictures: Pictures) -> float:
    signed = [np.abs(p) for name, p in pictures.items() if name.startswith("difference")]
    return float(np.percentile(signed, 99)) if signed else 1.0


def _picture(axes: Axes, picture: NDArray[np.float32], title: str, scale: float | None) -> None:
    if scale is None:
        axes.imshow(picture, cmap="gray", interpolation="nearest")
    else:
        axes.imshow(picture, cmap=_SIGNED, vmin=-scale, vmax=scale, interpolation="nearest")
    axes.set_title(title, size=style.SMALL - 0.5, color=style.INK, pad=3)
    axes.set_axis_off()


def _bar(figure: Figure, left: float, bottom: float, scale: float, pair: Pair) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, 0.09 / width, _SIDE / height))
    axes.imshow(np.linspace(1, -1, 64)[:, None], cmap=_SIGNED, aspect="auto",
                extent=(0, 1, -scale, scale))  # fmt: skip
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks([-scale, 0, scale], [f"−{_short(scale)}", "0", f"{_short(scale)}"],
                    size=style.SMALL - 1.5)  # fmt: skip
    for spine in axes.spines.values():
        spine.set_visible(False)


def _short(value: float) -> str:
    return f"{value:.1g}"


def _regions(figure: Figure, pair: Pair, top: float, block: float) -> None:
    width, height = figure.get_size_inches()
    names = [one.region for one in pair.regions]
    half = (width - 0.95 - 0.45 - 0.25) / 2
    bottom = height - top - block
    left = style.place(figure, 0.95, bottom, width - 0.95 - half, top)
    right = style.place(figure, 0.95 + half + 0.45, bottom, 0.25, top)
    for axes, zero in ((left, 1.0), (right, 0.0)):
        axes.axvline(zero, color=style.SOFT, linewidth=1)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), names if axes is left else [""] * len(names))
        axes.tick_params(axis="y", labelcolor=style.INK)
        axes.grid(axis="x")
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
    for row, one in enumerate(pair.regions):
        _span(left, one.joint_times, row, style.INK, "o")
        _span(right, _points(one.hiding), row - 0.17, style.INK, "o")
        _span(right, _points(one.elsewhere), row + 0.17, style.SOFT, "s")
    left.set_xlabel("times its share of the difference (joint)", loc="left")
    right.set_xlabel(f"points of {pair.truth} less {pair.predicted} when hidden", loc="left")
    handles = [
        Line2D([], [], color=style.INK, marker="o", markersize=4, label="region hidden"),
        Line2D([], [], color=style.SOFT, marker="s", markersize=4,
               label="as much hidden at a random place"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="lower right", ncols=2, frameon=False, fontsize=style.SMALL)


def _span(axes: Axes, interval: Interval, y: float, color: str, marker: str) -> None:
    axes.plot([interval.low, interval.high], [y, y], color=color, linewidth=1.3)
    axes.plot([interval.value], [y], marker=marker, color=color, markersize=4,
              markeredgecolor=style.PAPER, markeredgewidth=0.4)  # fmt: skip


def _points(interval: Interval) -> Interval:
    return Interval(100 * interval.value, 100 * interval.low, 100 * interval.high)
