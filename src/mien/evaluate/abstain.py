"""What it costs to answer "unsure": risk against coverage, and thresholds with a guarantee.

Confidence is any score that is higher where the answer is surer; an image is answered where its
confidence is at least a threshold. Coverage is the share answered, risk the share of these that is
wrong. Knows nothing of models or words. N images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mien.evaluate.intervals import wilson
from mien.evaluate.reliability import REPLICATES, Floats, percentiles, weights
from mien.types import Interval

CONFIDENCE = 0.95  # that a threshold keeps what it promises
_POINTS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskCoverage:
    """Risk as coverage shrinks from 1; of equal confidences each has the mean error of all.

    coverage, error: float64 M, ascending in coverage, thinned to at most 200 points. low, high:
    Wilson's 95 % intervals of the error, each by itself. aurc: the area under the whole curve,
    the mean risk over coverages 1/N, 2/N, … 1 (Geifman, Uziel and El-Yaniv 2019).
    """

    coverage: Floats
    error: Floats
    low: Floats
    high: Floats
    aurc: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts."""
        lists = {
            name: getattr(self, name).tolist() for name in ("coverage", "error", "low", "high")
        }
        return {**lists, "aurc": self.aurc.to_json()}


@dataclass(frozen=True, kw_only=True)
class AtCoverage:
    """Accuracy where only the surest share of the images is answered, and what that gains.

    full: accuracy on all images. gain: accuracy minus full, by paired bootstrap.
    """

    coverage: float
    accuracy: Interval
    full: Interval
    gain: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and dicts."""
        parts = {name: getattr(self, name).to_json() for name in ("accuracy", "full", "gain")}
        return {"coverage": self.coverage, **parts}


@dataclass(frozen=True, kw_only=True)
class Abstention:
    """A threshold for a wanted error rate.

    error: the wanted rate. threshold: fitted on all images, the one to store; None where none
    can promise the rate. bound: the error that it promises, at most ``error``, with ``CONFIDENCE``.
    coverage, realised: share answered and share of these that is wrong, each image met by a
    threshold that was fitted on other folds.
    """

    error: float
    threshold: float | None
    bound: float | None
    coverage: Interval
    realised: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and dicts."""
        return {
            "error": self.error,
            "threshold": self.threshold,
            "bound": self.bound,
            "coverage": self.coverage.to_json(),
            "realised": self.realised.to_json(),
        }


def risk_coverage(
    confidence: Floats, right: Floats, *, replicates: int = REPLICATES, seed: int = 0
) -> RiskCoverage:
    """The curve over float64 N confidences and whether each answer is right (0 or 1)."""
    wrong, N = _surest_first(confidence, 1 - right), len(confidence)
    kept = np.arange(1, N + 1)
    total = np.cumsum(wrong)
    areas = [_area(w, wrong) for w in weights(N, replicates, seed)]
    shown = np.unique(np.linspace(1, N, min(N, _POINTS)).round().astype(int)) - 1
    bands = [wilson(round(total[i]), int(kept[i])) for i in shown]
    return RiskCoverage(
        coverage=kept[shown] / N,
        error=total[shown] / kept[shown],
        low=np.array([band.low for band in bands]),
        high=np.array([band.high for band in bands]),
        aurc=percentiles(float((total / kept).mean()), np.concatenate(areas)),
    )


def at_coverage(
    confidence: Floats,
    right: Floats,
    coverage: float = 0.8,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> AtCoverage:
    """Accuracy on the surest ``coverage`` (0..1] of the images; the interval of it is Wilson's."""
    hits, N = _surest_first(confidence, right), len(confidence)
    kept = math.ceil(coverage * N - 1e-9)
    share, full = hits[:kept].sum() / kept, hits.mean()
    gains = [_gain(w, hits, kept) for w in weights(N, replicates, seed)]
    found = wilson(round(hits[:kept].sum()), kept)
    return AtCoverage(
        coverage=coverage,
        accuracy=found,
        full=wilson(round(right.sum()), N),
        gain=percentiles(float(share - full), np.concatenate(gains)),
    )


def _surest_first(confidence: Floats, values: Floats) -> Floats:
    """``values`` by falling confidence; among equal confidences each is their mean."""
    unique, which = np.unique(-confidence, return_inverse=True)
    n = np.bincount(which, minlength=len(unique))
    return np.repeat(np.bincount(which, values) / n, n)


def _area(w: Floats, wrong: Floats) -> Floats:
    """The area under the curve of each replicate; w is r×N, in the order of ``wrong``."""
    kept = np.cumsum(w, axis=1)
    risk = np.cumsum(w * wrong, axis=1) / np.maximum(kept, 1)
    area: Floats = (w * risk).sum(axis=1) / kept[:, -1]
    return area


def _gain(w: Floats, hits: Floats, kept: int) -> Floats:
    before = np.cumsum(w, axis=1) - w
    inside = np.clip(kept - before, 0, w)
    gain: Floats = (inside @ hits) / kept - (w @ hits) / w.sum(axis=1)
    return gain


def choose_threshold(
    confidence: Floats, right: Floats, error: float, *, delta: float = 1 - CONFIDENCE
) -> tuple[float, float] | None:
    """A threshold whose risk is at most ``error``, and the risk that it promises; or None.

    Selection with guaranteed risk (Geifman and El-Yaniv 2017, "Selective Classification for Deep
    Neural Networks"): a binary search over at most ⌊log2 N⌋ + 1 coverages, each held to the exact
    binomial upper bound (Clopper and Pearson) at delta divided by that number. With probability
    at least 1 - delta over the draw of these images, the risk on further images of the same kind
    is at most the promise. That needs a score that was fixed before these images were seen; it is
    approximate where the same images also chose the network or the temperature.

    Args:
        confidence, right: float64 N. error: wanted risk, in (0, 1).
    """
    thresholds, size = np.unique(confidence)[::-1], len(confidence)
    if size == 0:
        return None
    answered = np.searchsorted(np.sort(-confidence), -thresholds, side="right")
    wrong = np.cumsum(1 - right[np.argsort(-confidence, kind="stable")])[answered - 1]
    steps = size.bit_length()  # the most that the search below can take
    low, high, best = 0, len(thresholds) - 1, None
    while low <= high:
        middle = (low + high) // 2
        bound = upper_bound(round(wrong[middle]), int(answered[middle]), delta / steps)
        if bound <= error:
            best, low = (float(thresholds[middle]), bound), middle + 1
        else:
            high = middle - 1
    return best


def upper_bound(wrong: int, n: int, delta: float) -> float:
    """The risk at which ``wrong`` or fewer of n have a probability of ``delta``, exactly."""
    if wrong >= n:
        return 1.0
    return float(stats.beta.ppf(1 - delta, wrong + 1, n - wrong))


def abstentions(
    by_fold: Floats,
    fitted: Floats,
    right: Floats,
    folds: NDArray[np.int64],
    errors: Sequence[float],
) -> tuple[Abstention, ...]:
    """A threshold for each wanted error rate, and what such thresholds do on unseen folds.

    Args:
        by_fold: float64 F×N, row f every image's confidence at what was fitted without fold f.
        fitted: float64 N, confidence at what is stored, for the threshold that is stored.
        right: float64 N, 0 or 1. folds: int64 N, 0..F-1. errors: wanted rates, each in (0, 1).
    """
    return tuple(_abstention(by_fold, fitted, right, folds, error) for error in errors)


def _abstention(
    by_fold: Floats, fitted: Floats, right: Floats, folds: NDArray[np.int64], error: float
) -> Abstention:
    answered = np.zeros(len(right), dtype=np.bool_)
    for fold, confidence in enumerate(by_fold):
        inside = folds == fold
        chosen = choose_threshold(confidence[~inside], right[~inside], error)
        if chosen is not None:
            answered[inside] = confidence[inside] >= chosen[0]
    stored = choose_threshold(fitted, right, error)
    n = int(answered.sum())
    return Abstention(
        error=error,
        threshold=stored[0] if stored else None,
        bound=stored[1] if stored else None,
        coverage=wilson(n, len(right)),
        realised=wilson(n - round(right[answered].sum()), n),
    )
