"""Intervals for proportions, for their differences, and for statistics of a confusion matrix.

Knows counts only: nothing of images, files or models. A level of 0.95 means that 95 of 100
intervals so made, from images drawn anew, cover the true value. All assume that images are
independent of each other; pictures of one person or from one film are not quite, and then the
intervals are a little too narrow.

K classes, R replicates; a confusion matrix is int64 K×K, rows are the truth.

- Wilson 1927, "Probable inference, the law of succession, and statistical inference",
  JASA 22:209; recommended by Brown, Cai, DasGupta 2001, Statistical Science 16:101.
- Newcombe 1998, "Interval estimation for the difference between independent proportions",
  Statistics in Medicine 17:873, method 10.
- Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial
  proportions based on paired data", J. Educational and Behavioral Statistics 37:479.
- Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentiles).
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.types import Interval

LEVEL = 0.95
REPLICATES = 2000


def wilson(successes: int, total: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a proportion; 0 of 0 is nan with the interval 0..1.

    Raises:
        ValueError: not 0 ≤ successes ≤ total, or a level outside (0, 1).
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total} is no proportion")
    if total == 0:
        return Interval(math.nan, 0.0, 1.0)
    z2 = _quantile(level) ** 2
    p = successes / total
    middle = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = math.sqrt(z2 * p * (1 - p) / total + z2 * z2 / (4 * total * total)) / (1 + z2 / total)
    # At the ends the formula gives exactly 0 and 1, but for rounding.
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == total else middle + half
    return Interval(p, low, high)


def newcombe(s1: int, n1: int, s2: int, n2: int, level: float = LEVEL) -> Interval:
    """The difference s1/n1 - s2/n2 of independent proportions (hybrid of Wilson's intervals).

    Raises:
        ValueError: as ``wilson``.
    """
    a, b = wilson(s1, n1, level), wilson(s2, n2, level)
    if n1 == 0 or n2 == 0:
        return Interval(math.nan, -1.0, 1.0)
    difference = a.value - b.value
    low = difference - math.hypot(a.value - a.low, b.high - b.value)
    high = difference + math.hypot(a.high - a.value, b.value - b.low)
    return Interval(difference, max(low, -1.0), min(high, 1.0))


def paired_difference(only_a: int, only_b: int, total: int, level: float = LEVEL) -> Interval:
    """Accuracy of A minus that of B on the same images, after Bonett and Price.

    Args:
        only_a: images that A alone has right. only_b: images that B alone has right.
        total: all images, also those that both or neither have right.

    Raises:
        ValueError: more discordant images than images.
    """
    if only_a < 0 or only_b < 0 or only_a + only_b > total:
        raise ValueError(f"{only_a} and {only_b} of {total} are no discordant images")
    if total == 0:
        return Interval(math.nan, -1.0, 1.0)
    a, b = (only_a + 1) / (total + 2), (only_b + 1) / (total + 2)
    half = _quantile(level) * math.sqrt((a + b - (a - b) ** 2) / (total + 2))
    value = (only_a - only_b) / total
    return Interval(value, max(a - b - half, -1.0), min(a - b + half, 1.0))


def f1_from_counts(right: int, wrong: int, level: float = LEVEL) -> Interval:
    """F1 of one class with an interval in closed form.

    Of the images that are of the class or are called so, ``right`` are both and ``wrong`` only
    one of the two. Given their number, ``right`` is binomial with the Jaccard index J as its
    probability, and F1 = 2J / (1 + J) rises with J; so Wilson's interval of J carries over.
    """
    jaccard = wilson(right, right + wrong, level)
    value, low, high = (2 * j / (1 + j) for j in (jaccard.value, jaccard.low, jaccard.high))
    return Interval(value, low, high)


def bootstrap(
    counts: NDArray[np.int64],
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[Interval]:
    """Percentile intervals of statistics of a confusion matrix, over images drawn anew.

    Drawing n images with replacement and counting them gives a multinomial over the cells, so
    the matrices are drawn directly: the same distribution as resampling images, in milliseconds.

    Args:
        counts: int64 K×K with at least one image.
        statistic: takes int64 …×K×K to float64 …×M; nan where it is undefined.
        seed: of the draws; the same seed gives the same intervals.

    Returns:
        M intervals. Replicates in which a statistic is undefined do not count for it.

    Raises:
        ValueError: no images, or a level outside (0, 1).
    """
    total = int(counts.sum())
    if total == 0:
        raise ValueError("no images to draw from")
    _quantile(level)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(total, counts.ravel() / total, size=replicates)
    values = statistic(drawn.reshape(replicates, *counts.shape))
    observed = statistic(counts)
    return [_percentile(observed[m], values[:, m], level) for m in range(len(observed))]


def _percentile(observed: Any, values: NDArray[np.float64], level: float) -> Interval:
    values = values[~np.isnan(values)]
    if math.isnan(observed) or len(values) == 0:
        return Interval(math.nan, 0.0, 1.0)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    # With a handful of images the percentiles can miss the estimate itself.
    return Interval(float(observed), float(min(low, observed)), float(max(high, observed)))


def _quantile(level: float) -> float:
    """The two-sided normal quantile: 1.96 for 0.95."""
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    return NormalDist().inv_cdf((1 + level) / 2)
