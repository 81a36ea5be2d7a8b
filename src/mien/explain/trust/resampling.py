"""Bootstrap intervals of means over images: single, in groups, and of many differences at once.

Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 13 (percentiles);
Westfall and Young 1993, "Resampling-Based Multiple Testing" (the largest of several statistics).
N images, M quantities measured on the same images.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.types import Interval

LEVEL = 0.95
REPLICATES = 2000
_CHUNK = 200


def mean_interval(values_N: NDArray[Any], *, seed: int = 0, level: float = LEVEL) -> Interval:
    """The mean with its percentile interval over images drawn anew; nan of no images."""
    values = np.asarray(values_N, dtype=np.float64)
    if len(values) == 0:
        return Interval(math.nan, 0.0, 1.0)
    means = _bootstrap_means(values[:, None], seed)[:, 0]
    return _percentiles(float(values.mean()), means, level)


def grouped_interval(
    groups: Sequence[NDArray[Any]], *, seed: int = 0, level: float = LEVEL
) -> Interval:
    """The mean over all values, whose groups (random networks) and members are both drawn anew.

    groups: arrays of values, one for each random draw that its images met.
    """
    groups = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    if not groups:
        return Interval(math.nan, 0.0, 1.0)
    rng = np.random.default_rng(seed)
    G = len(groups)
    drawn = rng.integers(G, size=(REPLICATES, G))
    # For every place of every replicate, the sum over each group's members drawn anew.
    sums = np.stack([
        rng.multinomial(len(g), np.full(len(g), 1 / len(g)), size=(REPLICATES, G)) @ g
        for g in groups
    ])  # fmt: skip
    sizes = np.array([len(g) for g in groups])
    chosen = np.take_along_axis(sums, drawn[None], axis=0)[0]
    means = chosen.sum(axis=1) / sizes[drawn].sum(axis=1)
    return _percentiles(float(np.concatenate(groups).mean()), means, level)


def simultaneous(
    differences_NM: NDArray[Any], *, seed: int = 0, level: float = LEVEL
) -> list[Interval]:
    """M mean differences with intervals that all hold at once with probability ``level``.

    Their half-width is the quantile of the largest of the M studentised deviations, bootstrapped
    over images, times each one's standard error: correlated differences cost little.
    """
    values = np.asarray(differences_NM, dtype=np.float64)
    N, M = values.shape
    if N < 2:
        return [Interval(math.nan, -1.0, 1.0)] * M
    means = values.mean(axis=0)
    error = values.std(axis=0, ddof=1) / math.sqrt(N)
    # A difference that is the same for every image (two equal maps) has no error to divide by.
    scale = np.where(error > 0, error, 1.0)
    worst = np.abs((_bootstrap_means(values, seed) - means) / scale).max(axis=1)
    half = np.quantile(worst, level) * error
    ends = zip(means.tolist(), half.tolist(), strict=True)
    return [Interval(m, m - h, m + h) for m, h in ends]


def _bootstrap_means(values_NM: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    N, parts = len(values_NM), []
    for begin in range(0, REPLICATES, _CHUNK):
        count = min(_CHUNK, REPLICATES - begin)
        # How often each image is drawn: a matrix product instead of gathering N·M values.
        times = rng.multinomial(N, np.full(N, 1 / N), size=count)
        parts.append(times @ values_NM / N)
    return np.concatenate(parts)


def _percentiles(observed: float, values: NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(observed, float(min(low, observed)), float(max(high, observed)))
