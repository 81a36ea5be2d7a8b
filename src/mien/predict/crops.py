"""Boxes to crops: what a detector found, cut and brought to the size that the network eats.

Knows nothing of detectors; a box already has the geometry of FER2013's crops (``faces``).
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Box

_FINE = 8  # beyond this the part is averaged before it is turned and cut

# Deviation of grey values: 1 % of PublicTest's faces are below 25, half below 54.
_NOTHING, _FLAT, _SPREAD = 2.0, 25.0, 45.0


def crop(picture: NDArray[np.uint8], box: Box, size: int, channels: int = 1) -> NDArray[np.uint8]:
    """The face in ``box``, upright, uint8 C×size×size.

    Cut to a fraction of a pixel and turned back by the box's angle; what lies beyond the picture
    repeats its edge. Each pixel of a smaller crop averages all that it covers; grey is ITU-R 601
    luma. A box that is not square is stretched, as training's pictures are. A crop whose values
    deviate by less than 25, which hardly one of FER2013's does, is brought to a deviation of 45
    (one of less than 2 shows nothing and stays): it was taken in the dark or in mist.

    Args:
        picture: uint8 H×W×3 RGB. channels: 1 grey or 3 RGB.
    """
    part: NDArray[Any]
    part, box = _around(picture, box)
    coarse = int(max(box.width, box.height) / size / _FINE)
    if coarse > 1:
        shape = (max(1, part.shape[1] // coarse), max(1, part.shape[0] // coarse))
        across, down = shape[0] / part.shape[1], shape[1] / part.shape[0]
        part = cv2.resize(part, shape, interpolation=cv2.INTER_AREA)
        box = Box(left=box.left * across, top=box.top * down, width=box.width * across,
                  height=box.height * down, angle=box.angle)  # fmt: skip
    # As many samples for each pixel as it covers, then their mean: no aliasing at any angle.
    fine = max(1, round(max(box.width, box.height) / size))
    cut = cv2.warpAffine(part, _onto(box, size * fine), (size * fine, size * fine),
                         flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                         borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    if channels == 1:
        cut = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)
    if fine > 1:
        cut = cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA)
    planes = cut[np.newaxis] if channels == 1 else cut.transpose(2, 0, 1)
    return _exposed(np.ascontiguousarray(planes, dtype=np.uint8))


def crops(
    picture: NDArray[np.uint8], boxes: Sequence[Box | None], size: int, channels: int = 1
) -> NDArray[np.uint8]:
    """The same for several boxes of a picture, uint8 N×C×size×size; None is the whole picture."""
    height, width = picture.shape[:2]
    whole = Box(left=0, top=0, width=width, height=height)
    cut = [crop(picture, whole if box is None else box, size, channels) for box in boxes]
    return np.array(cut, dtype=np.uint8).reshape(-1, channels, size, size)


def _exposed(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    spread = float(planes.std())
    if not _NOTHING <= spread < _FLAT:
        return planes
    middle = float(planes.mean())
    shown = (planes - middle) * (_SPREAD / spread) + np.clip(middle, 100, 150)
    return np.asarray(np.clip(np.round(shown), 0, 255), dtype=np.uint8)


def _around(picture: NDArray[np.uint8], box: Box) -> tuple[NDArray[np.uint8], Box]:
    """The part of the picture that the turned box can touch, and the box in it."""
    height, width = picture.shape[:2]
    reach = (max(box.width, box.height) if not box.angle else np.hypot(box.width, box.height)) / 2
    x, y = box.left + box.width / 2, box.top + box.height / 2
    left, right = (int(np.clip(x + side * (reach + 2), 0, width)) for side in (-1, 1))
    top, bottom = (int(np.clip(y + side * (reach + 2), 0, height)) for side in (-1, 1))
    left, top = min(left, width - 1), min(top, height - 1)
    part = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
    inside = Box(left=box.left - left, top=box.top - top, width=box.width, height=box.height,
                 angle=box.angle)  # fmt: skip
    return part, inside


def _onto(box: Box, size: int) -> NDArray[np.float64]:
    """The affine map 2×3 from the crop's pixels to the picture's, middles of pixels at halves."""
    angle = np.deg2rad(box.angle)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([box.width / size, box.height / size])
    middle = np.array([box.left + box.width / 2, box.top + box.height / 2])
    offset = middle + linear @ np.full(2, 0.5 - size / 2) - 0.5
    return np.column_stack([linear, offset])
