"""How much of a face is needed: the smallest window found that fires a filter as the face does.

All but a window of the picture is replaced by the data's mean grey, its rim softened over a pixel
so that no edge is made. The window starts as the small square, among those that tile the receptive
field, that fires the unit most by itself, and grows by the side that helps most, until it reaches
90 % of the way from grey to the whole face. A smaller window of another form may exist: the result
is an upper bound.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.explain.filters.layer import AsInput, FilterLayer, Window, activations, as_batch
from mien.theory.untouched import untouched
from mien.types import Progress, silent

ENOUGH = 0.9

# Activations of the pairs at the given rows with only the given boxes seen (None: everything).
Answer = Callable[[NDArray[np.int64], NDArray[np.int64] | None], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Needed:
    """For M (image, unit) pairs the window found.

    windows: M, inside the picture. of_picture, of_field: float64 M, its share of the area of the
    picture and of the part of the field that lies in the picture; nan where the unit does not
    fire more for the whole picture than for grey.
    """

    windows: list[Window]
    of_picture: NDArray[np.float64]
    of_field: NDArray[np.float64]


def needed(
    network: nn.Module,
    layer: FilterLayer,
    images: NDArray[np.uint8],
    index: NDArray[np.int64],
    filters: NDArray[np.int64],
    ys: NDArray[np.int64],
    xs: NDArray[np.int64],
    *,
    grey: float,
    as_input: AsInput,
    batch_size: int = 256,
    device: str = "cpu",
    progress: Progress = silent,
) -> Needed:
    """Windows for image ``index[m]``, filter ``filters[m]`` and its unit (``ys[m]``, ``xs[m]``).

    Args:
        images: uint8 N×C×H×W. grey: what stands outside of a window, 0..255.
    """
    size = layer.picture
    fields = [
        layer.window(y, x).clipped(*size) for y, x in zip(ys.tolist(), xs.tolist(), strict=True)
    ]
    pixels = as_batch(images[index], "cpu").float()
    units = np.stack([filters, ys, xs], axis=1)

    def answer(rows: NDArray[np.int64], boxes: NDArray[np.int64] | None) -> NDArray[np.float64]:
        """Activations with only ``boxes`` (top, left, bottom, right) seen; None: all."""
        found = []
        for begin in range(0, len(rows), batch_size):
            part = rows[begin : begin + batch_size]
            x = pixels[part]
            if boxes is not None:
                seen = _revealed(boxes[begin : begin + batch_size], size)
                x = grey + seen * (x - grey)
            out = activations(network, layer, as_input(x.to(device)))
            at = torch.from_numpy(units[part]).to(device)
            picked = out[torch.arange(len(out), device=device), at[:, 0], at[:, 1], at[:, 2]]
            found.append(picked.double().cpu().numpy())
        return np.concatenate(found)

    with untouched(network), torch.no_grad():
        every = np.arange(len(index))
        full, none = answer(every, None), answer(every, np.zeros((len(index), 4), dtype=np.int64))
        goal = none + ENOUGH * (full - none)
        boxes = _grow(fields, goal, full > none, answer, progress)
    windows = [Window(t, left, b - t, r - left) for t, left, b, r in boxes.tolist()]
    area = np.array([w.height * w.width for w in windows], dtype=np.float64)
    area[full <= none] = np.nan
    inside = np.array([f.height * f.width for f in fields])
    return Needed(windows=windows, of_picture=area / (size[0] * size[1]), of_field=area / inside)


def _grow(
    fields: list[Window], goal: NDArray[np.float64], active: NDArray[np.bool_], answer: Answer,
    progress: Progress,
) -> NDArray[np.int64]:  # fmt: skip
    """Boxes M×4 (top, left, bottom, right) that reach the goal, or fill the field."""
    limits = np.array([[f.top, f.left, f.top + f.height, f.left + f.width] for f in fields])
    step = max(1, round(min(fields[0].height, fields[0].width) / 16))
    sides = step * np.array([[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    boxes, current = _first(limits, answer)
    while True:
        left = np.flatnonzero(active & (current < goal) & (boxes != limits).any(axis=1))
        progress("uncovering faces", len(boxes) - len(left), len(boxes))
        if len(left) == 0:
            return boxes
        low, high = limits[left, None, :2], limits[left, None, 2:]
        tried = boxes[left, None] + sides
        tried = np.concatenate(
            [np.maximum(tried[..., :2], low), np.minimum(tried[..., 2:], high)], axis=2
        )
        grows = (tried != boxes[left, None]).any(axis=2)
        values = np.full(grows.shape, -np.inf)
        values[grows] = answer(np.repeat(left, 4)[grows.ravel()], tried[grows])
        best = values.argmax(axis=1)
        boxes[left] = tried[np.arange(len(left)), best]
        current[left] = values[np.arange(len(left)), best]


def _first(
    limits: NDArray[np.int64], answer: Answer
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The tile of each field that fires its unit most when it alone is seen, and how much."""
    rows, tiles = [], []
    for m, (top, left, bottom, right) in enumerate(limits.tolist()):
        side = max(3, round(min(bottom - top, right - left) / 5))
        side = min(side, bottom - top, right - left)
        for y in sorted({*range(top, bottom - side, side), bottom - side}):
            for x in sorted({*range(left, right - side, side), right - side}):
                rows.append(m)
                tiles.append((y, x, y + side, x + side))
    of, boxes = np.array(rows), np.array(tiles)
    values = answer(of, boxes)
    # Sorted by pair, the best first; of each pair the first row is taken.
    order = np.lexsort((-values, of))
    _, first = np.unique(of[order], return_index=True)
    chosen = order[first]
    return boxes[chosen], values[chosen]


def _revealed(boxes: NDArray[np.int64], size: tuple[int, int]) -> Tensor:
    """M×1×H×W, 1 inside the boxes, ½ and ¼ on the pixels around them, 0 beyond."""
    tops, lefts, bottoms, rights = (torch.from_numpy(boxes[:, k, None]) for k in range(4))
    sides = []
    for low, high, length in ((tops, bottoms, size[0]), (lefts, rights, size[1])):
        at = torch.arange(length)[None]
        inside = ((at >= low) & (at < high)).float()
        rim = ((at == low - 1) | (at == high)) & (high > low)
        sides.append(inside + 0.5 * rim)
    return (sides[0][:, :, None] * sides[1][:, None, :])[:, None]
