"""The face-region ledger: per class and region, how many times its share of the area a region
holds of the attribution, and what hiding it does, with intervals.

N images, R regions, H W height and width. *Times its share*: of the sum of a map's absolute
values, the share that falls on the region, divided by the region's share of the picture's area;
1 where the map knows nothing of the region; the mean over images. A class is that of the images'
labels, ``*`` is all of them; the maps explain whatever class they were made for.

Intervals are bootstrap percentiles over images; with a template each replicate also moves the
template by up to ``shift`` pixels each way, so they hold what a misplaced template would have
given. Hiding is measured at the template's own place. ``joint`` intervals hold for the whole
table at once (``resample.joint``), and only what they support is said (``findings``).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.explain.regions.findings import describe
from mien.explain.regions.resample import REPLICATES, Replicates, joint, means
from mien.explain.regions.shares import shares
from mien.explain.regions.table import EVERY, WHICH, Cell, Ledger
from mien.explain.regions.template import REGIONS, Masks
from mien.types import Interval

__all__ = ["Cell", "Ledger", "ledger"]


def ledger(
    maps: NDArray[np.floating],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    regions: Masks,
    classes: Sequence[str],
    *,
    occlusion: NDArray[np.float64] | None = None,
    elsewhere: NDArray[np.float64] | None = None,
    shift: int = 4,
    method: str = "",
    split: str = "",
    names: Sequence[str] = REGIONS,
    replicates: int = REPLICATES,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Ledger:
    """The ledger of signed maps (N×H×W) of labelled images.

    Args:
        labels, predicted: int64 N, indices into ``classes``; every image has a label.
        regions: bool R×H×W, a template, or N×R×H×W, masks of each image, which are not shifted.
        occlusion, elsewhere: N×R changes of probability, as ``hiding.hide`` gives them.
        shift: of a template, in pixels. names: of the R regions.

    Raises:
        ValueError: shapes that do not fit, no images, or an image without a label.
    """
    _check(maps, labels, predicted, regions, names, classes)
    own = regions.ndim == 4
    shift = 0 if own else shift
    found = shares(maps, regions, shift=shift)
    placed = [found.times(), found.times("positive"), _together(found.absolute, names)]
    area = np.broadcast_to(found.area, found.absolute.shape)[0]
    columns = _columns(placed, area, occlusion, elsewhere)
    K, R = len(classes), len(names)
    # Base groups: right and wrong of each class; every cell is a union of them.
    group = 2 * labels + (labels != predicted)
    drawn = means(columns, group, _members(K), replicates=replicates, seed=seed)
    cells = _cells(drawn, classes, names, hidden=occlusion is not None)
    every = drawn.interval(0, 2 * R)
    table = Ledger(
        method=method, split=split, n=len(maps), source="masks" if own else "template",
        shift=shift, regions=tuple(names), classes=tuple(classes), cells=tuple(cells),
        together=every, apart=_apart(drawn, classes, names),
        ahead=_ahead(drawn, names, hidden=occlusion is not None),
        blank=int(np.isnan(found.absolute[0, :, 0]).sum()), notes=tuple(notes),
    )  # fmt: skip
    return replace(table, findings=tuple(describe(table)))


def _columns(
    placed: list[NDArray[np.float64]],
    area_NR: NDArray[np.float64],
    occlusion: NDArray[np.float64] | None,
    elsewhere: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """S×N×M: times R, positive R, together 1, area R; hidden: change R, elsewhere R, beyond R."""
    fixed = [area_NR]
    if occlusion is not None:
        away = np.full_like(occlusion, np.nan) if elsewhere is None else elsewhere
        fixed += [occlusion, away, occlusion - away]
    S = len(placed[0])
    # What does not depend on the placement is the same at each.
    still = np.broadcast_to(np.concatenate(fixed, axis=1), (S, *np.hstack(fixed).shape))
    return np.concatenate([*placed, still], axis=2)


def _together(absolute: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    both = [names.index(name) for name in ("eyes", "mouth") if name in names]
    return np.asarray(absolute[:, :, both].sum(axis=2, keepdims=True))


def _members(K: int) -> NDArray[np.bool_]:
    """Which of the 2K groups (right, wrong of each class) make each of the (K+1)·3 cells."""
    rows = []
    for label in (None, *range(K)):
        for which in WHICH:
            row = np.zeros((K, 2), dtype=np.bool_)
            parts = {"all": [0, 1], "right": [0], "wrong": [1]}[which]
            for k in range(K) if label is None else [label]:
                row[k, parts] = True
            rows.append(row.ravel())
    return np.stack(rows)


def _cells(
    drawn: Replicates, classes: Sequence[str], names: Sequence[str], *, hidden: bool
) -> list[Cell]:
    R, rows = len(names), (len(classes) + 1) * len(WHICH)
    times, positive, area = 0, R, 2 * R + 1
    change, away, beyond = area + R, area + 2 * R, area + 3 * R
    jointly = _jointly(drawn, times, R)
    beyonds = _jointly(drawn, beyond, R) if hidden else {}
    cells = []
    for row in range(rows):
        label = (EVERY, *classes)[row // len(WHICH)]
        for r, region in enumerate(names):
            extra = {}
            if hidden:
                extra = {
                    "occlusion": drawn.interval(row, change + r),
                    "elsewhere": drawn.interval(row, away + r),
                    "beyond": drawn.interval(row, beyond + r),
                    "joint_beyond": beyonds[row, r],
                }
            cell = Cell(
                label=label, which=WHICH[row % len(WHICH)], region=region,
                n=int(drawn.n[row, times + r]), area=float(drawn.observed[row, area + r]),
                times=drawn.interval(row, times + r), joint=jointly[row, r],
                positive=drawn.interval(row, positive + r), **extra,
            )  # fmt: skip
            cells.append(cell)
    return cells


def _jointly(drawn: Replicates, first: int, R: int) -> dict[tuple[int, int], Interval]:
    """Joint intervals of R statistics in every cell, one family for each of ``WHICH``."""
    found = {}
    span = slice(first, first + R)
    for w in range(len(WHICH)):
        rows = np.arange(w, len(drawn.observed), len(WHICH))
        columns = drawn.drawn[:, rows, span].reshape(len(drawn.drawn), -1)
        intervals = joint(columns, drawn.observed[rows, span].ravel(), drawn.n[rows, span].ravel())
        for number, interval in enumerate(intervals):
            found[int(rows[number // R]), number % R] = interval
    return found


def _apart(
    drawn: Replicates, classes: Sequence[str], names: Sequence[str]
) -> dict[tuple[str, str], Interval]:
    """Times among right less times among wrong predictions, one family for all."""
    R = len(names)
    right = np.arange(1, len(drawn.observed), len(WHICH))
    wrong = right + 1
    gap = drawn.drawn[:, right, :R] - drawn.drawn[:, wrong, :R]
    seen = drawn.observed[right, :R] - drawn.observed[wrong, :R]
    fewer = np.minimum(drawn.n[right, :R], drawn.n[wrong, :R])
    intervals = joint(gap.reshape(len(gap), -1), seen.ravel(), fewer.ravel())
    keys = [(label, region) for label in (EVERY, *classes) for region in names]
    return dict(zip(keys, intervals, strict=True))


def _ahead(
    drawn: Replicates, names: Sequence[str], *, hidden: bool
) -> dict[tuple[str, str, str], Interval]:
    """Eyes and mouth each less every other part of the face, over all images; a family a measure.

    Of what hiding does the sign is turned, so that above 0 is ahead in both.
    """
    R = len(names)
    found = {}
    for what, first, sign in (("times", 0, 1), ("beyond", 5 * R + 1, -1)):
        pairs = [
            (mine, other)
            for mine in ("mouth", "eyes")
            for other in names
            if mine in names and other not in ("mouth", "eyes", "rest")
        ]
        if not pairs or (what == "beyond" and not hidden):
            continue
        a = [first + names.index(mine) for mine, _ in pairs]
        b = [first + names.index(other) for _, other in pairs]
        gap = sign * (drawn.drawn[:, 0, a] - drawn.drawn[:, 0, b])
        seen = sign * (drawn.observed[0, a] - drawn.observed[0, b])
        intervals = joint(gap, seen, np.minimum(drawn.n[0, a], drawn.n[0, b]))
        for (mine, other), interval in zip(pairs, intervals, strict=True):
            found[what, mine, other] = interval
    return found


def _check(
    maps: NDArray[np.floating],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    regions: Masks,
    names: Sequence[str],
    classes: Sequence[str],
) -> None:
    if len(maps) == 0 or len(maps) != len(labels) or len(labels) != len(predicted):
        raise ValueError(f"{len(maps)} maps, {len(labels)} labels, {len(predicted)} predictions")
    if regions.shape[-3] != len(names):
        raise ValueError(f"{regions.shape[-3]} regions, {len(names)} names")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(f"labels outside 0..{len(classes) - 1}: choose labelled images")
