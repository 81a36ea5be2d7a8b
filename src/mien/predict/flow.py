"""Boxes that follow what is in them from one frame to the next.

Points in each box are followed (pyramidal Lucas-Kanade); the box goes by the median of their shifts
and of the change of their distances, where points that do not come back when they are followed
backwards are dropped: Kalal, Mikolajczyk and Matas 2010, "Forward-Backward Error: Automatic
Detection of Tracking Failures".
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Box

_POINTS = 40  # followed in each box
_INNER = 0.8  # share of a box that points are taken from; its edge is background
_LEAST = 6  # points that must survive
_KEPT = 0.4  # share of the points that must survive
_RETURN = 1.5  # pixels: how near a point must come back to where it started
_FLOW = {"winSize": (15, 15), "maxLevel": 2, "criteria": (3, 12, 0.03)}


def flow(
    before: NDArray[np.uint8], after: NDArray[np.uint8], boxes: Sequence[Box | None]
) -> list[tuple[float, float, float] | None]:
    """How each box goes from one frame to the next.

    Args:
        before, after: uint8 H×W, two frames of a clip. boxes: in pixels of these.

    Returns:
        For each box shift x, shift y (pixels, of its middle) and the factor by which it grows; None
        where its points are lost or it is None itself.
    """
    starts = [_points(before, box) if box else _none() for box in boxes]
    every = np.concatenate(starts)
    if not len(every):
        return [None] * len(boxes)
    # All boxes in one call: the pyramids of both frames are built once each way.
    ends, there, _ = cv2.calcOpticalFlowPyrLK(before, after, every, None, **_FLOW)  # type: ignore[call-overload]
    back, again, _ = cv2.calcOpticalFlowPyrLK(after, before, ends, None, **_FLOW)  # type: ignore[call-overload]
    error = np.hypot(*(back - every).reshape(-1, 2).T)
    good = (there.ravel() == 1) & (again.ravel() == 1) & (error <= _RETURN)
    moves: list[tuple[float, float, float] | None] = []
    first = 0
    for box, start in zip(boxes, starts, strict=True):
        span = slice(first, first + len(start))
        first += len(start)
        move = None
        if box:
            middle = (box.left + box.width / 2, box.top + box.height / 2)
            move = _move(start.reshape(-1, 2), ends[span].reshape(-1, 2), good[span], middle)
        moves.append(move)
    return moves


def _points(grey: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
    """Corners in the inner part of a box, float32 n×1×2, x first; n is 0 outside the picture."""
    height, width = grey.shape
    margin_x, margin_y = box.width * (1 - _INNER) / 2, box.height * (1 - _INNER) / 2
    left, top = max(0, round(box.left + margin_x)), max(0, round(box.top + margin_y))
    right = min(width, round(box.left + box.width - margin_x))
    bottom = min(height, round(box.top + box.height - margin_y))
    if right - left < 8 or bottom - top < 8:
        return _none()
    apart = max(2.0, min(right - left, bottom - top) / 14)
    found = cv2.goodFeaturesToTrack(grey[top:bottom, left:right], _POINTS, 0.01, apart)
    if found is None:
        return _none()
    return np.asarray(np.add(found, (left, top)), dtype=np.float32)


def _none() -> NDArray[np.float32]:
    return np.zeros((0, 1, 2), np.float32)


def _move(
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    good: NDArray[np.bool_],
    middle: tuple[float, float],
) -> tuple[float, float, float] | None:
    """How the box about ``middle`` goes with its points; None where too few are left."""
    if good.sum() < max(_LEAST, _KEPT * len(good)):
        return None
    start, end = start[good], end[good]
    i, j = np.triu_indices(len(start), 1)
    was = np.hypot(*(start[i] - start[j]).T)
    now = np.hypot(*(end[i] - end[j]).T)
    apart = was > 1
    scale = float(np.median(now[apart] / was[apart])) if apart.any() else 1.0
    scale = min(max(scale, 0.8), 1.25)
    # What a point shifts beyond its own growth about the middle is the middle's shift.
    around = np.array(middle, np.float32)
    dx, dy = np.median(end - around - scale * (start - around), axis=0)
    return float(dx), float(dy), scale
