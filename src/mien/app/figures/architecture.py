"""A network as blocks: the face's height is the image's, the depth the channels'; edges between.

Layers that keep the shape (normalisation, activation, dropout) are written under the block that
they follow. Heights and depths are drawn on root scales and labelled with their numbers.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Polygon

from mien.app.figures import style
from mien.theory.formulas import by
from mien.theory.trace import INPUT
from mien.theory.walk import Layer, Walk

_TALLEST, _SHORTEST = 1.2, 0.16  # inches
_WIDEST, _NARROWEST = 0.75, 0.07
_GAP, _TEXT = 0.5, 0.118
_ACROSS = 7.2  # a row's width: a page's text width
_SLANT = 0.28
_COLOURS = {"convolution": style.BLUE, "pooling": style.ORANGE, "linear": style.GREEN,
            "other": style.PURPLE, "input": style.SOFT}  # fmt: skip
_SHORT = {
    "BatchNorm": "batch norm", "LeakyReLU": "leaky ReLU", "Dropout": "dropout",
    "Flatten": "flatten",
    "MaxPool": "max-pool", "AvgPool": "average pool", "AdaptiveAvgPool": "global average",
    "Conv": "conv", "Linear": "linear", "Normalise": "normalise", "Identity": "identity",
    "max_pool": "max-pool", "avg_pool": "average pool", "conv": "conv",
}  # fmt: skip


@dataclass
class _Block:
    """What is drawn as one: a layer, and those behind it that keep its shape."""

    title: str
    kind: str
    shape: tuple[int, ...]
    members: list[int] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    w: float = 0.0
    h: float = 0.0


def draw_architecture(
    walk: Walk, path_stem: Path, *, title: str, language: str = "en"
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``."""
    blocks, edges = _blocks(walk)
    rows = _lay_out(blocks, edges)
    skips = _skips(blocks, edges)
    lines = max(len(block.below) for block in blocks)
    above = 0.42 + 0.2 * min(3, len(skips))
    row_height = above + _TALLEST + 0.35 + _TEXT * (lines + 2)
    height = 0.75 + rows * row_height
    word = style.labels(language)
    with style.style(language):
        figure = style.new_figure(_ACROSS + 0.3, height)
        about = word("network", parameters=f"{walk.parameters:,}", macs=f"{walk.macs:,}",
                     input=by(walk.input[1:]), output=by(walk.output[1:]))  # fmt: skip
        style.headline(figure, title, about)
        axes = style.place(figure, 0, 0, 0, 0)
        axes.set_axis_off()
        axes.set_xlim(0, _ACROSS + 0.3)
        axes.set_ylim(0, height)
        for block in blocks:
            # Rows are numbered downwards by the layout; here they become inches from below.
            block.y = height - 0.75 - block.y * row_height - above - _TALLEST / 2
            _draw(axes, block)
        for a, b in edges:
            _connect(axes, blocks, a, b, skips, row_height)
        _legend(axes, {block.kind for block in blocks}, height, language)
        return style.save(figure, path_stem, language)


def _blocks(walk: Walk) -> tuple[list[_Block], list[tuple[int, int]]]:
    image = walk.input[1:]
    blocks = [_Block("input", "input", image, [INPUT])]
    place = {INPUT: 0}
    edges: list[tuple[int, int]] = []
    for number, layer in enumerate(walk.layers):
        sources = sorted({place[s] for s in layer.sources if s in place})
        kind = _kind(layer)
        alone = len(sources) == 1 and sources[0] == len(blocks) - 1
        keeps = layer.output[1:] == blocks[-1].shape or layer.kind == "Flatten"
        if alone and kind == "other" and keeps and layer.macs == 0:
            blocks[-1].members.append(number)
            blocks[-1].below.append(_name(layer.kind))
            place[number] = len(blocks) - 1
            continue
        if kind == "other" and len(sources) > 1:
            blocks.append(_Block("add", "other", layer.output[1:], [number], [_name(layer.kind)]))
        else:
            blocks.append(_Block(_title(layer), kind, layer.output[1:], [number]))
        place[number] = len(blocks) - 1
        edges += [(source, len(blocks) - 1) for source in sources]
    return blocks, edges


def _kind(layer: Layer) -> str:
    kind = layer.kind.casefold()
    if kind.startswith("conv"):
        return "convolution"
    return "pooling" if "pool" in kind else "linear" if kind == "linear" else "other"


def _name(kind: str) -> str:
    bare = re.sub("[123]d$", "", kind)
    return _SHORT.get(bare, bare)


def _title(layer: Layer) -> str:
    name = _name(layer.kind)
    if layer.predicted.windows:
        name += " " + "×".join(str(w.kernel) for w in layer.predicted.windows)
        for what in ("stride", "dilation"):
            each = [getattr(window, what) for window in layer.predicted.windows]
            if max(each) > 1:
                alike = len(set(each)) == 1
                name += f"\n{what} " + (str(each[0]) if alike else "×".join(map(str, each)))
    return name + (f"\n{layer.groups} groups" if layer.groups > 1 else "")


def _lay_out(blocks: list[_Block], edges: list[tuple[int, int]]) -> int:
    """Sizes and places, wrapped into rows of the page's width; gives the number of rows."""
    tallest = max(max(b.shape[1:], default=1) for b in blocks)
    deepest = max(b.shape[0] for b in blocks)
    x, row = 0.3, 0
    for block in blocks:
        side = block.shape[1] if len(block.shape) > 1 else 0
        channels = block.shape[0]
        if side:
            block.h = max(_SHORTEST, _TALLEST * (side / tallest) ** 0.6)
            block.w = max(_NARROWEST, _WIDEST * (channels / deepest) ** 0.5)
        else:  # a vector: its length is what there is to see
            block.h = max(_SHORTEST, _TALLEST * (channels / deepest) ** 0.5)
            block.w = 0.1
        text = max(len(line) for line in [*block.title.split("\n"), by(block.shape), *block.below])
        room = max(block.w + _SLANT * block.h * 0.6, 0.062 * text)
        if x + room > _ACROSS and x > 0.3:
            x, row = 0.3, row + 1
        block.x, block.y = x + (room - block.w) / 2, float(row)
        x += room + _GAP * 0.55
    return row + 1


def _skips(blocks: list[_Block], edges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Edges that pass over other blocks, each of which needs an arc."""
    return [(a, b) for a, b in edges if b - a > 1]


def _draw(axes: Axes, block: _Block) -> None:
    colour = _COLOURS[block.kind]
    x, y, w, h = block.x, block.y - block.h / 2, block.w, block.h
    dx = dy = _SLANT * h * 0.6 if len(block.shape) > 1 else 0.05
    faces = (
        ([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], 0.62),
        ([(x, y + h), (x + w, y + h), (x + w + dx, y + h + dy), (x + dx, y + h + dy)], 0.4),
        ([(x + w, y), (x + w + dx, y + dy), (x + w + dx, y + h + dy), (x + w, y + h)], 0.82),
    )
    for corners, alpha in faces:
        axes.add_patch(Polygon(corners, closed=True, facecolor=(colour, alpha), edgecolor=style.INK,
                               linewidth=0.6, joinstyle="round"))  # fmt: skip
    middle = x + (w + dx) / 2
    axes.text(middle, y + h + dy + 0.06, by(block.shape), size=style.SMALL - 1, ha="center",
              va="bottom", color=style.INK, weight="bold")  # fmt: skip
    lines = [*block.title.split("\n"), *_counted(block.below)]
    for number, line in enumerate(lines):
        axes.text(middle, y - 0.08 - number * _TEXT, line, size=style.SMALL - 1, ha="center",
                  va="top", color=style.INK if number == 0 else style.SOFT)  # fmt: skip


def _counted(names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name != "identity"]


def _connect(
    axes: Axes,
    blocks: list[_Block],
    a: int,
    b: int,
    skips: list[tuple[int, int]],
    row_height: float,
) -> None:
    start, end = blocks[a], blocks[b]
    right = start.x + start.w + (_SLANT * start.h * 0.6 if len(start.shape) > 1 else 0.05)
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 7, "linewidth": 0.9,
             "color": style.INK, "shrinkA": 0.5, "shrinkB": 1.5, "zorder": 4}  # fmt: skip
    same_row = abs(start.y - end.y) < row_height / 2
    if (a, b) not in skips and same_row:
        axes.add_patch(FancyArrowPatch((right, start.y), (end.x, end.y), **arrow))
        return
    if (a, b) not in skips:
        # Around the row's end and in again from the left.
        turn, lane = (start.y + end.y) / 2 - 0.12, _ACROSS + 0.1
        path = [(right, start.y), (lane, start.y), (lane, turn), (0.12, turn), (0.12, end.y)]
        axes.plot(*zip(*path, strict=True), color=style.INK, linewidth=0.9, zorder=1)
        axes.add_patch(FancyArrowPatch((0.12, end.y), (end.x, end.y), **arrow))
        return
    path = _detour(blocks, a, b, right, skips.index((a, b)) % 3, row_height)
    axes.plot(*zip(*path, strict=True), color=style.VERMILLION, linewidth=0.9, zorder=1)
    arrow |= {"color": style.VERMILLION}
    axes.add_patch(FancyArrowPatch(path[-1], (end.x, path[-1][1]), **arrow))


def _detour(
    blocks: list[_Block], a: int, b: int, right: float, lane: int, row_height: float
) -> list[tuple[float, float]]:
    """Around the blocks between two that are joined: over them, or through the gap of two rows."""
    start, end = blocks[a], blocks[b]
    row = [o for o in blocks[a:] if abs(o.y - start.y) < row_height / 2]
    inner = min(row_height, abs(start.y - end.y)) < row_height / 2
    passed = [o for o in row if o.x <= end.x] if inner else row
    tops = [o.y + o.h / 2 + (_SLANT * o.h * 0.6 if len(o.shape) > 1 else 0.05) for o in passed]
    level = max(tops) + 0.26 + 0.07 * lane
    entry, into = end.x - 0.13 - 0.04 * lane, end.y + end.h * 0.3
    begin = [(right, start.y), (right + 0.05 + 0.03 * lane, start.y)]
    rise = [(begin[1][0], level)]
    if inner:
        return [*begin, *rise, (entry, level), (entry, into)]
    side = _ACROSS + 0.14 + 0.05 * lane
    turn = (start.y + end.y) / 2 - 0.18 - 0.06 * lane
    first = [(side, start.y)] if len(row) == 1 else [*rise, (side, level)]
    return [*begin, *first, (side, turn), (entry, turn), (entry, into)]


def _legend(axes: Axes, kinds: set[str], height: float, language: str) -> None:
    x, word = _ACROSS + 0.05, style.labels(language)
    for kind in reversed([k for k in _COLOURS if k in kinds and k != "input"]):
        name = word(kind)
        axes.text(x, height - 0.3, name, size=style.SMALL - 1, ha="right", va="center",
                  color=style.SOFT)  # fmt: skip
        x -= 0.062 * len(name) * (1 if name.isascii() else 1.9) + 0.12
        axes.add_patch(Polygon([(x, height - 0.35), (x + 0.1, height - 0.35),
                                (x + 0.1, height - 0.25), (x, height - 0.25)],
                               facecolor=(_COLOURS[kind], 0.62), edgecolor=style.INK,
                               linewidth=0.5))  # fmt: skip
        x -= 0.16
