"""How far stated probabilities agree with how often they come true. Numbers only, no words.

p is float64 N×K probabilities, ``confidence`` the largest of a row, ``right`` whether that class
is the label. In a bin of n images the gap is mean confidence minus accuracy. Estimates:

``ece``           expected calibration error: mean absolute gap over 15 bins of equal width,
                  weighted by their images (Naeini et al. 2015; Guo et al. 2017).
``adaptive_ece``  the same over 15 bins of equally many images (Nguyen and O'Connor 2015); images
                  of equal confidence stay together.
``debiased_ece``  the root of the mean squared gap over the adaptive bins, from which the share
                  that chance alone adds is taken off (Kumar, Liang and Ma 2019, "Verified
                  Uncertainty Calibration"): in place of each gap², gap² - s²/n with s² the
                  variance of confidence - right in the bin, which is unbiased; 0 where the sum is
                  negative. Bins with one image count nothing. It is a root mean square, so it
                  is at least the mean absolute gap of the same bins, but for chance.
``classwise_ece`` mean over classes of the ECE of p_k against whether k is the label (Kull et al.
                  2019, "Beyond temperature scaling").

All but the debiased one are biased upward: with few images a bin's accuracy is off by chance,
which makes a gap where there is none (about 2 points at 3,000 images). A bootstrap adds chance a
second time, so its percentiles can leave the truth out. Where all gaps are much larger than chance
there is no bias; where there are none, the bootstrap shows √2 - 1 of it, chance on top of chance.
The interval goes from the estimate less the largest bias that this allows, less 1.96 deviations of
the replicates, to the estimate plus as many: in simulations it holds the truth in at least 95 %.
Its lower end is 0 where the labels are no further off than labels drawn with the stated
confidences (consistency resampling, Bröcker and Smith 2007). ``debiased_ece`` is unbiased before
its root, and its interval is the basic one (Efron and Tibshirani 1993, chapter 13) about the
squared plug-in error, which is the truth of the replicates. Bins stay put while images are drawn
anew. Intervals hold at 95 %.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.intervals import wilson
from mien.types import Interval

BINS = 15
REPLICATES = 500
_CHUNK = 2**22  # numbers drawn at a time
_ENDS = (0.025, 0.975)

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Images whose confidence lies in (low, high]; confidence nan and accuracy 0 of 0 if none."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and dicts; null where there are no images."""
        stated = self.confidence if self.n else None
        return {"low": self.low, "high": self.high, "n": self.n, "confidence": stated,
                "accuracy": self.accuracy.to_json()}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Brier:
    """Multi-class Brier score Σ_k (p_k - y_k)², mean over images, 0..2, and what it is made of.

    ``value`` = reliability - resolution + uncertainty + remainder exactly, summed over classes,
    each in 15 bins of equal width (Murphy 1973); the remainder is what varies within the bins
    (Stephenson, Coelho and Jolliffe 2008).
    """

    value: Interval
    reliability: float
    resolution: float
    uncertainty: float
    remainder: float

    def to_json(self) -> dict[str, Any]:
        """Value and interval with the four parts beside them."""
        parts = ("reliability", "resolution", "uncertainty", "remainder")
        return {**self.value.to_json(), **{name: getattr(self, name) for name in parts}}


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """All estimates over one set of probabilities (see the module).

    overconfidence: mean confidence minus accuracy, positive where it claims too much. nll: mean
    negative log-likelihood in nats. p_calibrated: how often labels drawn with the stated
    confidences have an adaptive ECE as large as the observed one.
    """

    n: int
    ece: Interval
    adaptive_ece: Interval
    debiased_ece: Interval
    classwise_ece: Interval
    overconfidence: Interval
    brier: Brier
    nll: Interval
    p_calibrated: float
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts."""
        names = ("ece", "adaptive_ece", "debiased_ece", "classwise_ece", "overconfidence",
                 "brier", "nll")  # fmt: skip
        return {
            **{name: getattr(self, name).to_json() for name in names},
            "p_calibrated": self.p_calibrated,
            "bins": [one.to_json() for one in self.bins],
        }


def reliability(
    p: Floats, labels: NDArray[np.int64], *, replicates: int = REPLICATES, seed: int = 0
) -> Reliability:
    """Every estimate of the calibration of ``p`` float64 N×K, N ≥ 1, against ``labels`` int64 N."""
    confidence, right = top(p, labels)
    wide, even = equal_width(confidence), equal_mass(confidence)
    estimates = _estimates(p, labels, wide, even)
    drawn = np.concatenate([estimates(w) for w in weights(len(p), replicates, seed)])
    found = dict(
        zip(_NAMES, zip(estimates(np.ones((1, len(p))))[0], drawn.T, strict=True), strict=True)
    )
    wide_p = _p_calibrated(confidence, wide, found["ece"][0], replicates, seed)
    even_p = _p_calibrated(confidence, even, found["adaptive_ece"][0], replicates, seed)
    return Reliability(
        n=len(p),
        ece=_biased(*found["ece"], from_zero=wide_p > _ENDS[0]),
        adaptive_ece=_biased(*found["adaptive_ece"], from_zero=even_p > _ENDS[0]),
        debiased_ece=_root(*found["squared"], found["plugged"][0]),
        classwise_ece=_biased(*found["classwise_ece"], from_zero=False),
        overconfidence=percentiles(*found["overconfidence"]),
        brier=_brier(p, labels, percentiles(*found["brier"])),
        nll=percentiles(*found["nll"]),
        p_calibrated=even_p,
        bins=_bins(confidence, right, wide),
    )


def top(p: Floats, labels: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Confidence 0..1 and whether right (0 or 1), float64 N each."""
    return p.max(axis=1), (p.argmax(axis=1) == labels).astype(np.float64)


def equal_width(confidence: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each image among (0, 1/bins], …, (1 - 1/bins, 1]; 0 belongs to the first."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def equal_mass(confidence: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each image among ``bins`` of about equally many; equal confidences share one."""
    ordered = np.sort(confidence)
    starts = ordered[(np.arange(1, bins) * len(ordered)) // bins]
    return np.asarray(np.searchsorted(starts, confidence, side="right"), dtype=np.int64)


def spread(values: Floats, which: NDArray[np.int64], bins: int = BINS) -> Floats:
    """``values`` N as N×bins, each in the column of its bin and 0 elsewhere."""
    table = np.zeros((len(values), bins))
    table[np.arange(len(values)), which] = values
    return table


def weights(n: int, replicates: int, seed: int) -> Iterator[Floats]:
    """How often each of n images is drawn in each replicate: float64 r×n, in pieces."""
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK // n)
    for start in range(0, replicates, size):
        count = min(size, replicates - start)
        drawn = rng.integers(n, size=(count, n)) + n * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(np.float64)


def percentiles(observed: float, drawn: Floats) -> Interval:
    """The percentile interval of a mean, which has no bias to mind."""
    low, high = np.quantile(drawn, _ENDS)
    return Interval(float(observed), float(min(low, observed)), float(max(high, observed)))


_NAMES = ("ece", "adaptive_ece", "classwise_ece", "squared", "plugged", "overconfidence",
          "brier", "nll")  # fmt: skip


def _estimates(
    p: Floats, labels: NDArray[np.int64], wide: NDArray[np.int64], even: NDArray[np.int64]
) -> Callable[[Floats], Floats]:
    """A function from weights r×N to the estimates r×len(_NAMES)."""
    N, K = p.shape
    confidence, right = top(p, labels)
    off, truth = confidence - right, np.eye(K)[labels]
    tables = [spread(off, wide), spread(off, even)]
    tables += [spread((p - truth)[:, k], equal_width(p[:, k])) for k in range(K)]
    stacked = np.hstack(tables)
    count, square = spread(np.ones(N), even), spread(off**2, even)
    log_p = np.log(np.maximum(p[np.arange(N), labels], 1e-300))
    means = np.column_stack([off, ((p - truth) ** 2).sum(axis=1), -log_p])

    def values(w: Floats) -> Floats:
        sums = (w @ stacked).reshape(len(w), 2 + K, BINS)
        errors = np.abs(sums).sum(axis=2) / N
        squared, plugged = _squared(w @ count, sums[:, 1], w @ square, N)
        rest = w @ means / N
        classwise = errors[:, 2:].mean(axis=1)
        return np.column_stack([errors[:, :2], classwise, squared, plugged, rest])

    return values


def _squared(n: Floats, total: Floats, square: Floats, N: int) -> tuple[Floats, Floats]:
    """Mean squared gap over bins (last axis) without what chance adds, and with it."""
    mean = total / np.maximum(n, 1)
    variance = (square - n * mean**2) / np.maximum(n - 1, 1)
    many = n >= 2
    plain = np.where(many, n * mean**2, 0)
    return (plain - np.where(many, variance, 0)).sum(axis=-1) / N, plain.sum(axis=-1) / N


def _p_calibrated(
    confidence: Floats, which: NDArray[np.int64], observed: float, replicates: int, seed: int
) -> float:
    """Share of draws, being right with the stated confidence, whose ECE is as large as observed."""
    rng, N = np.random.default_rng((seed, 1)), len(confidence)
    members, as_large = spread(np.ones(N), which), 0
    size = max(1, _CHUNK // N)
    for start in range(0, replicates, size):
        drawn = rng.random((min(size, replicates - start), N)) < confidence
        errors = np.abs((confidence - drawn) @ members).sum(axis=1) / N
        as_large += int((errors >= observed - 1e-12).sum())
    return (1 + as_large) / (1 + replicates)


def _biased(observed: float, drawn: Floats, *, from_zero: bool) -> Interval:
    """The interval of an error that chance pushes up (see the module)."""
    bias = max(float(drawn.mean()) - observed, 0.0) / (math.sqrt(2) - 1)
    deviations = 1.96 * float(drawn.std())
    low = 0.0 if from_zero else max(observed - bias - deviations, 0.0)
    return Interval(float(observed), float(low), min(float(observed) + deviations, 1.0))


def _root(observed: float, drawn: Floats, plugged: float) -> Interval:
    """The unbiased estimate varies about the plug-in error, the truth of the replicates."""
    low, high = observed + plugged - np.quantile(drawn, _ENDS[::-1])
    ends = np.sqrt(np.maximum([observed, min(low, observed), max(high, observed)], 0))
    return Interval(*(float(x) for x in ends))


def _brier(p: Floats, labels: NDArray[np.int64], value: Interval) -> Brier:
    N, K = p.shape
    parts = np.zeros(3)
    for k in range(K):
        which, truth = equal_width(p[:, k]), (labels == k).astype(np.float64)
        n = np.bincount(which, minlength=BINS).astype(np.float64)
        stated = np.bincount(which, p[:, k], BINS) / np.maximum(n, 1)
        seen = np.bincount(which, truth, BINS) / np.maximum(n, 1)
        base = truth.mean()
        parts += [n @ (stated - seen) ** 2 / N, n @ (seen - base) ** 2 / N, base * (1 - base)]
    remainder = value.value - (parts[0] - parts[1] + parts[2])
    return Brier(value=value, reliability=float(parts[0]), resolution=float(parts[1]),
                 uncertainty=float(parts[2]), remainder=float(remainder))  # fmt: skip


def _bins(confidence: Floats, right: Floats, which: NDArray[np.int64]) -> tuple[Bin, ...]:
    n = np.bincount(which, minlength=BINS)
    stated, hits = np.bincount(which, confidence, BINS), np.bincount(which, right, BINS)
    return tuple(
        Bin(
            low=b / BINS,
            high=(b + 1) / BINS,
            n=int(n[b]),
            confidence=float(stated[b] / n[b]) if n[b] else float("nan"),
            accuracy=wilson(int(hits[b]), int(n[b])),
        )
        for b in range(BINS)
    )
