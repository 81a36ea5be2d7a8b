"""How much of each map falls on each region, and how large the region is, for every placement.

N images, S placements (shifts of the template, or one where each image has masks of its own),
R regions, H W height and width. What is measured of a signed map is its absolute value: evidence
against a class is looked at as much as evidence for it. The positive part is measured beside it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.explain.regions.template import Masks, shifted, shifts

Floats = NDArray[np.float64]
_PIECE = 512  # images in one matrix product; bounds the memory


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """absolute, positive: float64 S×N×R, shares 0..1 of a map's sum; nan where the sum is 0.

    area: float64 S×N×R, or S×1×R for a template: shares of the picture's pixels.
    """

    absolute: Floats
    positive: Floats
    area: Floats

    def times(self, which: str = "absolute") -> Floats:
        """The share of the map divided by the share of area, S×N×R; nan for an empty region."""
        share: Floats = getattr(self, which)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.area > 0, share / self.area, np.nan)


def shares(maps_NHW: NDArray[np.floating], regions: Masks, *, shift: int = 0) -> Shares:
    """Shares of maps on regions: R×H×W, one template for all, or N×R×H×W, each its own.

    Args:
        shift: measure a template at every shift of up to so many pixels; the first is none.

    Raises:
        ValueError: shapes that do not fit, or masks of each image's own with a shift.
    """
    N, H, W = maps_NHW.shape
    if regions.shape[-2:] != (H, W) or (regions.ndim == 4 and len(regions) != N):
        raise ValueError(f"regions {regions.shape} do not fit maps {maps_NHW.shape}")
    if regions.ndim == 4:
        if shift:
            raise ValueError("masks of the images' own are not shifted")
        return _on_masks(maps_NHW, regions)
    placed = np.stack([shifted(regions, dy, dx) for dy, dx in shifts(shift)])
    S, R = placed.shape[:2]
    columns = placed.reshape(S * R, H * W).T.astype(np.float32)
    found = np.empty((2, S, N, R))
    for begin in range(0, N, _PIECE):
        piece = slice(begin, begin + _PIECE)
        flat = maps_NHW[piece].reshape(-1, H * W).astype(np.float32)
        for part, values in enumerate((np.abs(flat), np.maximum(flat, 0))):
            # Scaled first: the sum of a map of 1e-30 would underflow in single precision.
            whole = np.sum(values, axis=1, dtype=np.float64, keepdims=True)
            scaled = np.divide(values, whole, where=whole > 0, out=np.full_like(values, np.nan))
            found[part, :, piece] = (scaled @ columns).reshape(-1, S, R).swapaxes(0, 1)
    area = placed.mean(axis=(2, 3))[:, None]
    return Shares(absolute=found[0], positive=found[1], area=area)


def _on_masks(maps_NHW: NDArray[np.floating], regions_NRHW: Masks) -> Shares:
    both = []
    for values in (np.abs(maps_NHW), np.maximum(maps_NHW, 0)):
        whole = values.sum(axis=(1, 2), dtype=np.float64)[:, None]
        on = np.einsum("nhw,nrhw->nr", values.astype(np.float64), regions_NRHW, optimize=True)
        both.append(np.divide(on, whole, where=whole > 0, out=np.full(on.shape, np.nan))[None])
    area = regions_NRHW.mean(axis=(2, 3))[None]
    return Shares(absolute=both[0], positive=both[1], area=area)
