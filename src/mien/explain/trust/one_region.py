"""Whether attribution falls where the label is: faces of which one region alone carries it.

Mass accuracy is the share of |map| inside the region's mask (Arras, Osman, Samek 2022, "CLEVR-XAI",
relevance mass accuracy); the pointing game asks whether the strongest pixel lies inside, or within
a tolerance of it (Zhang et al. 2018, "Top-down neural attention by excitation backprop"). N images.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

TOLERANCE = 2  # pixels of 48; Zhang et al. allow 15 of some 500, 1.4 of 48


def mass(maps_NHW: NDArray[Any], masks_NHW: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share 0..1 of |map| inside each mask; the mask's area where a map is 0 everywhere."""
    strength = np.abs(np.asarray(maps_NHW, dtype=np.float64))
    total = strength.sum(axis=(1, 2))
    inside = (strength * masks_NHW).sum(axis=(1, 2))
    return np.asarray(np.divide(inside, total, out=area_share(masks_NHW), where=total > 0))


def pointing(
    maps_NHW: NDArray[Any], masks_NHW: NDArray[np.bool_], tolerance: int = TOLERANCE
) -> NDArray[np.float64]:
    """1 where the strongest pixel of |map| lies at most ``tolerance`` pixels from its mask, else 0.

    Where several pixels are strongest it is the share of them that do.
    """
    strength = np.abs(np.asarray(maps_NHW))
    side = 2 * tolerance + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    near = np.stack([cv2.dilate(mask.astype(np.uint8), disc) for mask in masks_NHW]) > 0
    peak = strength == strength.max(axis=(1, 2), keepdims=True)
    return np.asarray((peak & near).sum(axis=(1, 2)) / peak.sum(axis=(1, 2)))


def area_share(masks_NHW: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share 0..1 of each picture that its mask covers: the mass accuracy of an even map."""
    return np.asarray(masks_NHW.mean(axis=(1, 2), dtype=np.float64))
