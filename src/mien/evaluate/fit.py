"""What a training history supports saying: over- or underfitting, or neither.

Knows losses and accuracies an epoch, no files. The history says how large a loss is, not how
uncertain: that follows from the spread of the single images' losses, which the saved predictions
give. E epochs; the result is the last measured epoch, whose averaged weights are the model.

``fit-gap``      training accuracy is above validation accuracy at the result, by Newcombe's
                 interval of a difference of independent proportions.
``fit-over``     validation loss at the result is above the lowest it had been, while training
                 loss fell further, and both by more than chance: differences of two means of n
                 losses with the spread given, level 95 % shared among the E epochs (the lowest of
                 E is chosen by the data: Bonferroni). Both losses of a difference are of the same
                 images and go together, so these intervals are wider than they need be, and the
                 sentence is the more careful for it.
``fit-under``    over the last tenth of the epochs both losses still fell by more than chance.
``fit-neither``  none of the last two: the curves show neither over- nor underfitting.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.intervals import LEVEL, newcombe
from mien.types import Finding, Interval, Outputs, Value


def image_losses(outputs: Outputs) -> NDArray[np.float64]:
    """Cross-entropy of each labelled image in nats, float64."""
    kept = outputs.labels >= 0
    scores = outputs.logits[kept].astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    picked = scores[np.arange(len(scores)), outputs.labels[kept]]
    return np.asarray(np.log(np.exp(scores).sum(axis=1)) - picked)


def describe_fit(
    train: Sequence[tuple[float, float]],
    validation: Sequence[tuple[float, float]],
    *,
    epochs: Sequence[int],
    n_train: int,
    n_validation: int,
    spread: float,
) -> list[Finding]:
    """Findings on a history.

    Args:
        train, validation: (loss, accuracy) an epoch, nan where not measured.
        epochs: their numbers. n_train, n_validation: images that each was measured on.
        spread: standard deviation of one image's loss.
    """
    known = [
        i for i, pair in enumerate(zip(train, validation, strict=True))
        if all(math.isfinite(x) for side in pair for x in side)
    ]  # fmt: skip
    if len(known) < 2 or n_train < 1 or n_validation < 1:
        return []
    last, E = known[-1], len(known)
    found = _gap(train[last][1], validation[last][1], n_train, n_validation)
    lowest = min(known, key=lambda i: (validation[i][0], i))
    start = known[max(0, E - 1 - max(1, round(E / 10)))]

    def fall(curve: Sequence[tuple[float, float]], begin: int, n: int, tests: int) -> Interval:
        return _difference(curve[begin][0], curve[last][0], n, spread, tests)

    rise = _turned(fall(validation, lowest, n_validation, E))
    further = fall(train, lowest, n_train, E)
    if lowest != last and rise.low > 0 and further.low > 0:
        values: dict[str, Value] = {"epoch": epochs[lowest], "rise_loss": rise,
                                    "fall_loss": further}  # fmt: skip
        return [*found, Finding(kind="fit-over", values=values)]
    ours, theirs = fall(train, start, n_train, 1), fall(validation, start, n_validation, 1)
    if ours.low > 0 and theirs.low > 0:
        values = {"epoch": epochs[start], "train_loss": ours, "validation_loss": theirs}
        return [*found, Finding(kind="fit-under", values=values)]
    return [*found, Finding(kind="fit-neither")]


def _gap(train: float, validation: float, n_train: int, n_validation: int) -> list[Finding]:
    right = (round(train * n_train), round(validation * n_validation))
    gap = newcombe(right[0], n_train, right[1], n_validation)
    if gap.low <= 0:
        return []
    return [Finding(kind="fit-gap", values={"difference": gap, "n_train": n_train,
                                            "n_validation": n_validation})]  # fmt: skip


def _difference(before: float, after: float, n: int, spread: float, tests: int) -> Interval:
    """``before`` minus ``after``: two means of ``n`` losses, one of ``tests`` looks."""
    z = NormalDist().inv_cdf(1 - (1 - LEVEL) / (2 * tests))
    half = z * spread * math.sqrt(2 / n)
    return Interval(before - after, before - after - half, before - after + half)


def _turned(interval: Interval) -> Interval:
    return Interval(-interval.value, -interval.high, -interval.low)
