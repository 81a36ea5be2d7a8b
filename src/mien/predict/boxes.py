"""Boxes of faces: moved, scaled, compared; pictures turned to look for them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.types import Box

_Floats = NDArray[np.float64]
_Clash = Callable[[_Floats, _Floats], bool]


SIZES = (64, 4096)


def check_size(working: int) -> None:
    """Refuse a side, in pixels, at which no picture can be searched, or not in bearable memory.

    Raises:
        OptionError: it is none from 64 to 4096.
    """
    if not SIZES[0] <= working <= SIZES[1]:
        raise OptionError(f"the detector's size is {working}; give {SIZES[0]} to {SIZES[1]} pixels")


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes as they stand, their angles aside; 0..1."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    common = max(0.0, width) * max(0.0, height)
    union = a.width * a.height + b.width * b.height - common
    return common / union if union > 0 else 0.0


def scale_box(box: Box, factor: float) -> Box:
    """The same box in a picture that is ``factor`` times as large."""
    return replace(box, left=box.left * factor, top=box.top * factor, width=box.width * factor,
                   height=box.height * factor)  # fmt: skip


def moved(box: Box, dx: float, dy: float, scale: float) -> Box:
    """The middle shifted by pixels, the sides scaled about it."""
    width, height = box.width * scale, box.height * scale
    left = box.left + dx + (box.width - width) / 2
    top = box.top + dy + (box.height - height) / 2
    return replace(box, left=left, top=top, width=width, height=height)


def turned(picture: NDArray[Any], degrees: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """The picture turned so that a head tilted clockwise by so much stands upright; the way back.

    It keeps its size, and corners turn out of it. The way back is a 2×3 matrix for x, y and 1.
    """
    height, width = picture.shape[:2]
    # OpenCV's angles are counter-clockwise.
    there = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    seen = cv2.warpAffine(picture, there, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return seen, cv2.invertAffineTransform(there)


def apart(squares: list[_Floats], clash: _Clash | None = None) -> list[_Floats]:
    """Non-maximum suppression: no square that clashes with one of a higher score.

    squares: middle x, y, side, angle and score. clash: by default 0.4 of the smaller of two squares
    lies on the other one. What is left comes by falling score.
    """
    clash = clash or (lambda a, b: common_area(a, b) >= 0.4 * min(a[2], b[2]) ** 2)
    kept: list[_Floats] = []
    for square in sorted(squares, key=lambda s: -s[4]):
        if not any(clash(square, other) for other in kept):
            kept.append(square)
    return kept


def common_area(a: _Floats, b: _Floats) -> float:
    """Of two squares, middle x, y and side, as if both stood upright."""
    reach = (a[2] + b[2]) / 2 - np.abs(a[:2] - b[:2])
    common = np.clip(np.minimum(reach, min(a[2], b[2])), 0, None)
    return float(common[0] * common[1])
