"""Scores of a classifier from its saved logits: accuracy, macro-F1, classes, confusion matrix.

Knows nothing of models, files or figures. N images, K classes, R replicates. Images with label
-1 have no truth to compare with and are left out; how many is said.

Where a number is undefined it is nan, and no zero is invented:
- recall of a class with no images; precision of a class that is never predicted;
- F1 = 2TP / (2TP + FP + FN) of a class that is neither. (A class with images of which none is
  found has F1 = 0, defined.) Means over classes leave the undefined ones out.
This is scikit-learn's ``zero_division=nan``.

Intervals hold at 95 %: Wilson's for accuracy, precision and recall (given the number of images
so called, or of the class), the bootstrap's percentiles for F1 and for means over classes.
Resampling cannot vary an F1 of exactly 0 or 1, and would give it an interval without width;
there the closed form of ``intervals.f1_from_counts`` stands in, and its width is added to that of
the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluate.intervals import bootstrap, f1_from_counts, wilson
from mien.types import Interval, Outputs


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """One class: its images (``support``), how often it was predicted, and its scores."""

    name: str
    support: int
    predicted: int
    precision: Interval
    recall: Interval
    f1: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and dicts."""
        scores = {key: getattr(self, key).to_json() for key in ("precision", "recall", "f1")}
        return {
            "name": self.name,
            "support": self.support,
            "predicted": self.predicted,
            **scores,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """All scores over one set of images.

    n: labelled images, which the scores are over. unlabelled: images left out for want of a label.
    accuracy, macro_f1, balanced_accuracy (the mean recall of the classes that occur).
    loss: mean cross-entropy in nats. counts: int64 K×K, rows the truth, columns the prediction.
    per_class: K, in the order of ``classes``.
    """

    n: int
    unlabelled: int
    classes: tuple[str, ...]
    accuracy: Interval
    macro_f1: Interval
    balanced_accuracy: Interval
    loss: float
    counts: NDArray[np.int64]
    per_class: tuple[ClassScores, ...]

    @property
    def rates(self) -> NDArray[np.float64]:
        """The confusion matrix as shares of each row, float64 K×K; nan in a row of no images."""
        return _divide(self.counts, self.counts.sum(axis=1, keepdims=True))

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts; null where a number is undefined."""
        rates = [[None if np.isnan(r) else r for r in row] for row in self.rates.tolist()]
        return {
            "n": self.n,
            "unlabelled": self.unlabelled,
            "accuracy": self.accuracy.to_json(),
            "macro_f1": self.macro_f1.to_json(),
            "balanced_accuracy": self.balanced_accuracy.to_json(),
            "loss": self.loss,
            "classes": [one.to_json() for one in self.per_class],
            "confusion": {"counts": self.counts.tolist(), "rates": rates},
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Scores over all images, over those with no copy in training, and over the copies alone.

    without_copies: is ``whole`` itself where no image is copied; None where every one is.
    copies_only: None where no labelled image is copied.
    splits: how many images of each split went in. about: what made the predictions.
    """

    whole: Scores
    without_copies: Scores | None
    copies_only: Scores | None
    splits: dict[str, int]
    about: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts; null where there are no such images."""
        parts = {name: getattr(self, name) for name in ("whole", "without_copies", "copies_only")}
        return {
            "about": self.about,
            "splits": self.splits,
            **{name: part and part.to_json() for name, part in parts.items()},
        }


def confusion_counts(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], K: int
) -> NDArray[np.int64]:
    """How often class i was predicted as class j: int64 K×K, rows the truth.

    Raises:
        ValueError: different lengths, or a class outside 0..K-1.
    """
    if labels.shape != predicted.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and predictions {predicted.shape} differ")
    for what in (labels, predicted):
        if len(what) and not 0 <= what.min() <= what.max() < K:
            raise ValueError(f"classes {what.min()}..{what.max()} are not within 0..{K - 1}")
    return np.bincount(labels * K + predicted, minlength=K * K).reshape(K, K)


def cross_entropy(labels: NDArray[np.int64], logits: NDArray[np.floating[Any]]) -> float:
    """Mean negative log-likelihood in nats; computed in float64.

    Args:
        labels: int64 N, 0..K-1. logits: N×K.
    """
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(scores).sum(axis=1))
    return float((log_sum - scores[np.arange(len(labels)), labels]).mean())


def score(outputs: Outputs, *, seed: int = 0) -> Scores:
    """All scores of what a model said; ``seed`` is that of the bootstrap.

    Raises:
        DataError: no image has a label.
    """
    labelled = outputs.take(outputs.labels >= 0)
    if len(labelled) == 0:
        raise DataError("none of these images has a label; evaluate a split that has labels")
    K = len(outputs.classes)
    counts = confusion_counts(labelled.labels, labelled.predicted, K)
    f1s, macro_f1, balanced = _resampled(counts, seed)
    return Scores(
        n=len(labelled),
        unlabelled=len(outputs) - len(labelled),
        classes=outputs.classes,
        accuracy=wilson(int(counts.trace()), len(labelled)),
        macro_f1=macro_f1,
        balanced_accuracy=balanced,
        loss=cross_entropy(labelled.labels, labelled.logits),
        counts=counts,
        per_class=tuple(_class(counts, k, outputs.classes[k], f1s[k]) for k in range(K)),
    )


def evaluate(outputs: Outputs, *, seed: int = 0) -> Evaluation:
    """Scores over all of ``outputs``, without the copied images, and over these alone.

    The caller chooses the split: every row of ``outputs`` counts.

    Raises:
        DataError: no image has a label.
    """
    whole = score(outputs, seed=seed)
    copied, labelled = outputs.copied, outputs.labels >= 0
    names, numbers = np.unique(outputs.splits.astype(str), return_counts=True)
    without = score(outputs.take(~copied), seed=seed) if (~copied & labelled).any() else None
    return Evaluation(
        whole=whole,
        without_copies=without if copied.any() else whole,
        copies_only=score(outputs.take(copied), seed=seed) if (copied & labelled).any() else None,
        splits=dict(zip(names.tolist(), numbers.tolist(), strict=True)),
        about=outputs.about,
    )


def _class(counts: NDArray[np.int64], k: int, name: str, f1: Interval) -> ClassScores:
    support, predicted = int(counts[k].sum()), int(counts[:, k].sum())
    return ClassScores(
        name=name,
        support=support,
        predicted=predicted,
        precision=wilson(int(counts[k, k]), predicted),
        recall=wilson(int(counts[k, k]), support),
        f1=f1,
    )


def _resampled(counts: NDArray[np.int64], seed: int) -> tuple[list[Interval], Interval, Interval]:
    """F1 of each class, macro-F1 and balanced accuracy with their intervals."""
    *f1s, macro_f1, balanced = bootstrap(counts, _statistics, seed=seed)
    right, support = np.diagonal(counts), counts.sum(axis=1)
    wrong = support + counts.sum(axis=0) - 2 * right
    closed = [f1_from_counts(int(r), int(w)) for r, w in zip(right, wrong, strict=True)]
    recalls = [wilson(int(r), int(n)) for r, n in zip(right, support, strict=True)]
    macro_f1 = _widen(macro_f1, [c for c in closed if not np.isnan(c.value)])
    balanced = _widen(balanced, [r for r in recalls if not np.isnan(r.value)])
    f1s = [c if c.value in (0, 1) else f1 for f1, c in zip(f1s, closed, strict=True)]
    return f1s, macro_f1, balanced


def _widen(mean: Interval, parts: Sequence[Interval]) -> Interval:
    """The mean's interval with the widths that resampling could not see (see the module)."""
    stuck = [part for part in parts if part.value in (0, 1)]
    low = mean.low - sum(part.value - part.low for part in stuck) / len(parts)
    high = mean.high + sum(part.high - part.value for part in stuck) / len(parts)
    return Interval(mean.value, max(low, 0.0), min(high, 1.0))


def _statistics(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """K F1 scores, macro-F1 and balanced accuracy of …×K×K matrices: float64 …×(K+2)."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    support, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    f1 = _divide(2 * right, support + predicted)
    recall = _divide(right, support)
    means = [_mean_defined(f1), _mean_defined(recall)]
    return np.concatenate([f1, np.stack(means, axis=-1)], axis=-1)


def _divide(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """The quotient, nan where ``b`` is 0."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    quotient: NDArray[np.float64] = np.divide(a, b, out=np.full(shape, np.nan), where=b != 0)
    return quotient


def _mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is not nan; at least one is not, as there are images."""
    defined = ~np.isnan(values)
    total: NDArray[np.float64] = np.where(defined, values, 0).sum(axis=-1)
    mean: NDArray[np.float64] = total / defined.sum(axis=-1)
    return mean
