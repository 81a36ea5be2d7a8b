"""The face-region ledger as figures: dots with intervals, and the template over the mean face."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mien.app.figures import style
from mien.explain.regions.table import EVERY, Cell, Ledger
from mien.explain.regions.template import REGIONS, template
from mien.types import Interval

ROW, PANEL, COLUMNS = 0.2, 2.0, 4  # inches of a region's row and of a panel, panels side by side
_FINE = 6  # outlines are drawn on a grid so many times finer than the pixels
_HEAD, _FOOT = 0.5, 0.42  # inches above and below a panel
_COLORS = dict(zip(REGIONS, (style.ORANGE, style.BLUE, style.GREEN, style.VERMILLION,
                             style.PURPLE, style.SOFT), strict=True))  # fmt: skip
_WHICH = {"right": (style.BLUE, "o", -0.17), "wrong": (style.VERMILLION, "D", 0.17)}


def draw_ledger(
    table: Ledger, path_stem: Path, *, title: str = "", trust: str = ""
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``; returns their paths.

    A panel for all images and for each class, a row in it a region. The upper half: how many times
    its share a region holds of the attribution, for right and wrong predictions, with the 95 %
    interval of each by itself; the grey bar behind is of all of them, and holds jointly for all
    bars of the figure. The lower half, where regions were hidden: what that adds to the
    probability, and what hiding as much at a random place adds. A row of fewer than two images is
    empty.
    """
    labels = (EVERY, *table.classes)
    hidden = table.cells[0].occlusion is not None
    columns = min(COLUMNS, len(labels))
    bands = math.ceil(len(labels) / columns)
    block = len(table.regions) * ROW
    band = _HEAD + block + _FOOT + (block + _FOOT if hidden else 0)
    width, height = 0.95 + columns * PANEL + 0.1, 0.75 + bands * band + 0.45
    with style.style():
        figure = style.new_figure(width, height)
        style.headline(figure, title or "Where the attribution falls",
                       _subtitle(table) + (f"\n{trust}" if trust else ""))  # fmt: skip
        for number, label in enumerate(labels):
            row, column = divmod(number, columns)
            left = 0.95 + column * PANEL
            right, top = width - left - PANEL + 0.16, 0.75 + row * band + _HEAD
            axes = style.place(figure, left, height - top - block, right, top)
            _panel(axes, table, label, first=column == 0)
            _name(axes, table, label)
            _times(axes, table, label)
            _caption(axes, "times its share of the area", first=column == 0)
            if hidden:
                top += block + _FOOT
                axes = style.place(figure, left, height - top - block, right, top)
                _panel(axes, table, label, first=column == 0)
                _hiding(axes, table, label)
                _caption(axes, "points of probability when hidden", first=column == 0)
        _legend(figure, hidden=hidden)
        return style.save(figure, path_stem)


def draw_template(
    mean_face: NDArray[np.floating],
    path_stem: Path,
    *,
    classes: dict[str, NDArray[np.floating]] | None = None,
    n: int = 0,
) -> tuple[Path, Path]:
    """The template laid over the mean face H×W, and over each class's mean where there are any.

    n: images behind the mean face, for the caption.
    """
    faces = {"all": mean_face, **(classes or {})}
    columns = min(4, len(faces))
    rows = math.ceil(len(faces) / columns)
    side, gap = 1.9, 0.28
    with style.style():
        width = 0.25 * 2 + columns * side + (columns - 1) * 0.12
        height = 0.95 + rows * (side + gap) + 0.35
        figure = style.new_figure(max(width, 4.2), height)
        said = f"over the mean of {n:,} images" if n else "over the mean face"
        style.headline(figure, "The face-region template", f"{said}; brows win over eyes, "
                       "eyes over mouth, mouth over nose, all over cheeks")  # fmt: skip
        for number, (name, face) in enumerate(faces.items()):
            row, column = divmod(number, columns)
            left, top = 0.25 + column * (side + 0.12), 0.95 + row * (side + gap) + 0.1
            axes = style.place(
                figure, left, height - top - side, figure.get_figwidth() - left - side, top
            )
            _over(axes, face)
            axes.set_title(name, size=style.SMALL, color=style.INK, pad=3)
        handles = [Line2D([], [], color=_COLORS[name], label=name) for name in REGIONS[:-1]]
        figure.legend(handles=handles, loc="lower center", ncols=5, frameon=False,
                      fontsize=style.SMALL, handlelength=1.2)  # fmt: skip
        return style.save(figure, path_stem)


def _over(axes: Axes, face: NDArray[np.floating]) -> None:
    height, width = face.shape
    axes.imshow(face, cmap="gray", extent=(0, width, height, 0), interpolation="bicubic")
    fine = template(height * _FINE, width * _FINE)
    x, y = (np.arange(width * _FINE) + 0.5) / _FINE, (np.arange(height * _FINE) + 0.5) / _FINE
    for name, region in zip(REGIONS[:-1], fine, strict=False):
        axes.contour(x, y, region.astype(float), levels=[0.5], colors=[_COLORS[name]],
                     linewidths=1.4)  # fmt: skip
    axes.set_axis_off()


def _panel(axes: Axes, table: Ledger, label: str, *, first: bool) -> None:
    R = len(table.regions)
    axes.set_ylim(R - 0.5, -0.5)
    axes.set_yticks(range(R), table.regions if first else [""] * R)
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.tick_params(axis="x", labelsize=style.SMALL - 0.5, pad=2)
    axes.grid(axis="x")
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _name(axes: Axes, table: Ledger, label: str) -> None:
    n = max(table.cell(label, region).n for region in table.regions)
    shown = "all classes" if label == EVERY else label
    axes.text(0, 1.13, shown, transform=axes.transAxes, size=style.BODY, weight="bold")
    axes.text(0, 1.03, f"{n:,} images", transform=axes.transAxes, size=style.SMALL - 0.5,
              color=style.SOFT)  # fmt: skip


def _caption(axes: Axes, text: str, *, first: bool) -> None:
    if first:
        axes.set_xlabel(text, loc="left", labelpad=2, color=style.SOFT)


def _times(axes: Axes, table: Ledger, label: str) -> None:
    axes.axvline(1, color=style.SOFT, linewidth=1)
    for row, region in enumerate(table.regions):
        every = table.cell(label, region)
        if not math.isnan(every.joint.low):
            axes.barh(row, every.joint.high - every.joint.low, left=every.joint.low, height=0.78,
                      color=style.FAINT, linewidth=0)  # fmt: skip
        for which in ("right", "wrong"):
            cell = table.cell(label, region, which)
            color, marker, offset = _WHICH[which]
            _dot(axes, cell.times, row + offset, color, marker)
    axes.set_xlim(*_span(table))
    axes.xaxis.set_major_locator(_steps())


def _hiding(axes: Axes, table: Ledger, label: str) -> None:
    axes.axvline(0, color=style.SOFT, linewidth=1)
    for row, region in enumerate(table.regions):
        cell = table.cell(label, region)
        if cell.occlusion is not None and cell.elsewhere is not None:
            _dot(axes, _percent(cell.elsewhere), row + 0.17, style.SOFT, "s")
            _dot(axes, _percent(cell.occlusion), row - 0.17, style.INK, "o")
    axes.set_xlim(*_hidden_span(table))
    axes.xaxis.set_major_locator(_steps())


def _dot(axes: Axes, interval: Interval, y: float, color: str, marker: str) -> None:
    if math.isnan(interval.value) or math.isnan(interval.low):
        return
    axes.plot([interval.low, interval.high], [y, y], color=color, linewidth=1.3)
    axes.plot([interval.value], [y], marker=marker, color=color, markersize=3.4,
              markeredgecolor=style.PAPER, markeredgewidth=0.4)  # fmt: skip


def _legend(figure: Figure, *, hidden: bool) -> None:
    def entry(color: str, marker: str, text: str) -> Line2D:
        return Line2D([], [], color=color, marker=marker, markersize=4, label=text)

    handles = [
        entry(style.BLUE, "o", "right predictions"),
        entry(style.VERMILLION, "D", "wrong predictions"),
        Line2D([], [], color=style.FAINT, linewidth=7, label="all, joint interval"),
    ]
    if hidden:
        handles += [entry(style.INK, "o", "region hidden"),
                    entry(style.SOFT, "s", "as much hidden at a random place")]  # fmt: skip
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), frameon=False,
                  fontsize=style.SMALL, bbox_to_anchor=(0.25 / figure.get_figwidth(), 0.0),
                  borderaxespad=0.3)  # fmt: skip


def _subtitle(table: Ledger) -> str:
    placed = (
        f"template, moved by up to {table.shift} pixels in the intervals"
        if table.source == "template"
        else "the drawn faces' own masks"
    )
    return f"{table.method}, {table.n:,} images; {placed}; 95 % bootstrap intervals"


def _span(table: Ledger) -> tuple[float, float]:
    ends = [x for c in table.cells for x in _ends(c.times if c.which != "all" else c.joint)]
    return min([*ends, 0.8]) - 0.1, max([*ends, 1.2]) + 0.1


def _hidden_span(table: Ledger) -> tuple[float, float]:
    cells: list[Cell] = [cell for cell in table.cells if cell.which == "all"]
    ends = [
        100 * x
        for cell in cells
        for one in (cell.occlusion, cell.elsewhere)
        if one is not None
        for x in _ends(one)
    ]
    return min([*ends, -1.0]) - 3, max([*ends, 0.0]) + 3


def _ends(interval: Interval) -> list[float]:
    return [] if math.isnan(interval.low) else [interval.low, interval.high]


def _percent(interval: Interval) -> Interval:
    return Interval(100 * interval.value, 100 * interval.low, 100 * interval.high)


def _steps() -> MaxNLocator:
    return MaxNLocator(nbins=4, steps=[1, 2, 5, 10])
