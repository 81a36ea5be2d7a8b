"""Bootstrap intervals of means over images in groups, for placements that are uncertain.

N images, S placements, M statistics of an image, G groups that divide the images, C cells that
are unions of groups, B replicates. Each replicate draws N images with replacement from all of
them, and one placement for all, uniformly: so an interval holds what another sample of images and
another placement of the template would have given. Every cell and statistic is computed in the
same replicates, which gives intervals that hold jointly.

- Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentiles).
- Hesterberg 2015, "What teachers should know about the bootstrap", The American Statistician
  69:371 (percentiles moved outwards for small samples).
- Besag, Green, Higdon, Mengersen 1995, "Bayesian computation and stochastic systems",
  Statistical Science 10:3, section 6.3 (joint intervals from the ranks of draws).
"""

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mien.types import Interval

LEVEL = 0.95
REPLICATES = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Replicates:
    """observed: C×M means, at the first placement. drawn: B×C×M. n: int64 C×M images behind each.

    nan where no image has the statistic.
    """

    observed: Floats
    drawn: Floats
    n: NDArray[np.int64]

    def interval(self, cell: int, statistic: int, level: float = LEVEL) -> Interval:
        """The percentile interval of one mean by itself, moved outwards for its few images."""
        at = cell, statistic
        low, high = percentiles(self.drawn[:, cell, statistic], int(self.n[at]), level)
        return _around(float(self.observed[at]), low, high)


def means(
    placed_SNM: Floats,
    group_N: NDArray[np.int64],
    cells_CG: NDArray[np.bool_],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Replicates:
    """Means of every statistic over every cell, observed and in bootstrap replicates.

    Args:
        placed_SNM: nan where an image lacks a statistic; the first placement is the observed one.
        group_N: the group of each image. cells_CG: which groups make each cell.
    """
    order = np.argsort(group_N, kind="stable")
    known = ~np.isnan(placed_SNM[:, order])
    values = np.where(known, placed_SNM[:, order], 0.0)
    weight = known.astype(np.float64)
    S, N, M = values.shape
    G = cells_CG.shape[1]
    ends = np.concatenate([[0], np.cumsum(np.bincount(group_N, minlength=G))])
    cells = cells_CG.astype(np.float64)
    rng = np.random.default_rng(seed)
    which = rng.integers(S, size=replicates)
    drawn = np.full((replicates, len(cells), M), np.nan)
    for s in np.unique(which):
        rows = np.flatnonzero(which == s)
        counts = _times_drawn(rng, len(rows), N)
        drawn[rows] = _ratio(counts, values[s], weight[s], ends, cells)
    observed = _ratio(np.ones((1, N)), values[0], weight[0], ends, cells)[0]
    sizes = np.stack([weight[0, a:b].sum(axis=0) for a, b in itertools.pairwise(ends)])
    return Replicates(observed=observed, drawn=drawn, n=np.rint(cells @ sizes).astype(np.int64))


def percentiles(drawn_B: Floats, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The two ends; nan where fewer than two images or no replicate have the statistic."""
    known = drawn_B[~np.isnan(drawn_B)]
    if n < 2 or len(known) == 0:
        return math.nan, math.nan
    low, high = np.quantile(known, [_tail(n, level), 1 - _tail(n, level)])
    return float(low), float(high)


def joint(
    columns_BF: Floats, observed_F: Floats, n_F: NDArray[np.int64], level: float = LEVEL
) -> list[Interval]:
    """Intervals of F means that hold all at once in ``level`` of the cases.

    A replicate is as extreme as the most extreme rank of its F means; the intervals reach from
    the k-th smallest to the k-th largest replicate, with k such that at most 1 - ``level`` of the
    replicates leave any of them. Never narrower than the interval of each mean by itself, which
    is wider for few images. Means that no two images have get nan.
    """
    B = len(columns_BF)
    usable = (n_F >= 2) & ~np.isnan(columns_BF).all(axis=0)
    ends = np.full((len(n_F), 2), np.nan)
    if usable.any():
        ranked = columns_BF[:, usable]
        # A replicate that lacks a mean (none of a small cell's images were drawn) is not extreme.
        ranked = np.where(np.isnan(ranked), np.nanmedian(ranked, axis=0), ranked)
        rank = np.argsort(np.argsort(ranked, axis=0, kind="stable"), axis=0, kind="stable")
        extreme = np.sort(np.minimum(rank, B - 1 - rank).min(axis=1))
        k = int(extreme[math.floor((1 - level) * B)])
        ordered = np.sort(ranked, axis=0)
        ends[usable] = np.stack([ordered[k], ordered[B - 1 - k]], axis=1)
    found = []
    for f, value in enumerate(observed_F):
        low, high = percentiles(columns_BF[:, f], int(n_F[f]), level)
        found.append(_around(float(value), np.fmin(low, ends[f, 0]), np.fmax(high, ends[f, 1])))
    return found


def _times_drawn(rng: np.random.Generator, rows: int, N: int) -> Floats:
    """How often each of N images is drawn, rows×N: each row sums to N."""
    picked = rng.integers(N, size=(rows, N)) + N * np.arange(rows)[:, None]
    return np.bincount(picked.ravel(), minlength=rows * N).reshape(rows, N).astype(np.float64)


def _ratio(
    counts_bN: Floats, values_NM: Floats, weight_NM: Floats, ends: NDArray[np.int64], cells: Floats
) -> Floats:
    """Weighted means of every cell, b×C×M."""
    spans = list(itertools.pairwise(ends))
    total = np.stack([counts_bN[:, a:b] @ values_NM[a:b] for a, b in spans], axis=1)
    size = np.stack([counts_bN[:, a:b] @ weight_NM[a:b] for a, b in spans], axis=1)
    total, size = np.matmul(cells, total), np.matmul(cells, size)
    return np.asarray(np.divide(total, size, where=size > 0, out=np.full(size.shape, np.nan)))


@lru_cache(maxsize=4096)
def _tail(n: int, level: float) -> float:
    """The share of replicates beyond either end: Hesterberg's, from Student's t with n - 1."""
    from scipy import stats

    t = stats.t.ppf((1 + level) / 2, n - 1)
    return NormalDist().cdf(-math.sqrt(n / (n - 1)) * float(t))


def _around(value: float, low: float, high: float) -> Interval:
    # A template's first placement may be its best, and then lies above all others.
    if math.isnan(value) or math.isnan(low):
        return Interval(value, math.nan, math.nan)
    return Interval(value, float(min(low, value)), float(max(high, value)))
