"""How well a template of the registered face covers the regions where they truly lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.explain.regions.resample import means
from mien.explain.regions.table import plain
from mien.explain.regions.template import REGIONS, Masks
from mien.types import Interval


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Means over images, 0..1: intersection over union; the share of the template that is the
    region (precision); the share of the region that the template covers (recall).

    n: images that have the region.
    """

    region: str
    n: int
    iou: Interval
    precision: Interval
    recall: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain scalars."""
        return {
            "region": self.region, "n": self.n, "iou": plain(self.iou),
            "precision": plain(self.precision), "recall": plain(self.recall),
        }  # fmt: skip


def overlap(
    template_RHW: Masks,
    masks_NRHW: Masks,
    *,
    names: Sequence[str] = REGIONS,
    replicates: int = 2000,
    seed: int = 0,
) -> list[Overlap]:
    """The overlap of each region, with 95 % bootstrap intervals over the images."""
    both = (masks_NRHW & template_RHW).sum(axis=(2, 3))
    size = masks_NRHW.sum(axis=(2, 3)).astype(np.float64)
    guess = template_RHW.sum(axis=(1, 2)).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.concatenate([both / (size + guess - both), both / guess, both / size], axis=1)
    found[np.tile(size == 0, 3)] = np.nan
    N, R = size.shape
    drawn = means(
        found[None], np.zeros(N, dtype=np.int64), np.ones((1, 1), dtype=np.bool_),
        replicates=replicates, seed=seed,
    )  # fmt: skip
    found_of = []
    for r, name in enumerate(names):
        one = Overlap(
            region=name, n=int(drawn.n[0, r]), iou=drawn.interval(0, r),
            precision=drawn.interval(0, R + r), recall=drawn.interval(0, 2 * R + r),
        )  # fmt: skip
        found_of.append(one)
    return found_of
