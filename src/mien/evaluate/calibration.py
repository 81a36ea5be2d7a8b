"""How far to believe a classifier's confidence, from its saved logits alone; no model runs.

Before: softmax of the logits. After: with the label smoothing of training taken back, which needs
no labels (``theory.smoothing``), and with a temperature, each image with one that was fitted
without its fold (``temperature.cross_fit``; five folds, identical images in one). Everything is
over the labelled images that have no copy in training, where there are any. The intervals of
"after" take the folds' temperatures as given; at 3,000 images that hides about a hundredth of the
temperature either way. The temperature and the thresholds to store are fitted on all the folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from mien.errors import DataError, OptionError
from mien.evaluate.abstain import (
    Abstention,
    AtCoverage,
    RiskCoverage,
    abstentions,
    at_coverage,
    risk_coverage,
)
from mien.evaluate.reliability import (
    REPLICATES,
    Bin,
    Floats,
    Reliability,
    percentiles,
    reliability,
    top,
    weights,
)
from mien.evaluate.temperature import FOLDS, cross_fit, fit_temperature, folds_of, softmax
from mien.theory.smoothing import as_smoothing, unsmoothed
from mien.types import Finding, Interval, Outputs, Value
from mien.words import say

ERRORS = (0.05, 0.1, 0.15, 0.2, 0.25)
SURE_SHARE = 0.8
# Of 15 bins that could be pointed out, one is wrong by chance in at most 5 %.
_BIN_FEWEST = 20


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Confidence before and after a temperature, and what abstaining gains.

    n: images. without_copies: whether images with a copy in training were left out. smoothing: of
    the labels in training, which is taken back first (``theory.smoothing``). temperature:
    fitted on all n, the one to store. fold_temperatures: those that ``after`` is measured with.
    nll_gain: nats of likelihood an image that the temperature gains, cross-fitted, paired.
    risk_coverage, at_80, abstain: at the cross-fitted probabilities.
    """

    n: int
    without_copies: bool
    smoothing: float
    temperature: float
    fold_temperatures: tuple[float, ...]
    before: Reliability
    after: Reliability
    nll_gain: Interval
    risk_coverage: RiskCoverage
    at_80: AtCoverage
    abstain: tuple[Abstention, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts."""
        return {
            "n": self.n,
            "without_copies": self.without_copies,
            "smoothing": self.smoothing,
            "temperature": self.temperature,
            "fold_temperatures": list(self.fold_temperatures),
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "nll_gain": self.nll_gain.to_json(),
            "risk_coverage": self.risk_coverage.to_json(),
            "at_80": self.at_80.to_json(),
            "abstain": [one.to_json() for one in self.abstain],
            "findings": [one.to_json() for one in calibration_findings(self)],
        }


def calibration(
    outputs: Outputs,
    *,
    errors: Sequence[float] = ERRORS,
    folds: int = FOLDS,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Calibration:
    """Measure the calibration of saved predictions.

    Args:
        outputs: the caller chooses the split; images without a label are left out, and those with
            a copy in training where any others are left.
        errors: error rates for which to choose a threshold of abstention, each in (0, 1).
        folds: of the cross-fitting. replicates: of the bootstrap. seed: of folds and draws.

    Raises:
        DataError: too few labelled images, or a label smoothing that none can be. OptionError: an
            error rate outside (0, 1).
    """
    if not all(0 < error < 1 for error in errors):
        raise OptionError(f"error rates {list(errors)}: each must lie between 0 and 1")
    labelled = outputs.take(outputs.labels >= 0)
    if len(labelled) == 0:
        raise DataError("none of these images has a label; calibrate on a split that has labels")
    without = not bool(labelled.copied.all())
    used = labelled.take(~labelled.copied) if without else labelled
    smoothing = smoothing_of(outputs)
    logits = unsmoothed(used.logits, smoothing)
    crossed = cross_fit(logits, used.labels, folds_of(used.hashes, folds=folds, seed=seed))
    temperature = fit_temperature(logits, used.labels)
    plain, after = softmax(used.logits), crossed.probabilities
    confidence, right = top(after, used.labels)
    by_fold = np.stack([softmax(logits, t).max(axis=1) for t in crossed.temperatures])
    fitted = softmax(logits, temperature).max(axis=1)
    return Calibration(
        n=len(used),
        without_copies=without,
        smoothing=smoothing,
        temperature=temperature,
        fold_temperatures=crossed.temperatures,
        before=reliability(plain, used.labels, replicates=replicates, seed=seed),
        after=reliability(after, used.labels, replicates=replicates, seed=seed),
        nll_gain=_nll_gain(plain, after, used.labels, replicates, seed),
        risk_coverage=risk_coverage(confidence, right, replicates=replicates, seed=seed),
        at_80=at_coverage(confidence, right, SURE_SHARE, replicates=replicates, seed=seed),
        abstain=abstentions(by_fold, fitted, right, crossed.folds, errors),
    )


def smoothing_of(outputs: Outputs) -> float:
    """The label smoothing that the predictions' network was trained with; 0 where none is named.

    Raises:
        DataError: what stands there is no share below 1.
    """
    found = as_smoothing(outputs.about.get("label_smoothing", 0.0))
    if found is None:
        raise DataError("these predictions name a label smoothing that is no number from 0 to 1")
    return found


def _nll_gain(before: Floats, after: Floats, labels: Any, replicates: int, seed: int) -> Interval:
    rows = np.arange(len(labels))
    gains = np.log(np.maximum(after[rows, labels], 1e-300))
    gains -= np.log(np.maximum(before[rows, labels], 1e-300))
    drawn = [w @ gains / len(labels) for w in weights(len(labels), replicates, seed)]
    return percentiles(float(gains.mean()), np.concatenate(drawn))


def describe_calibration(found: Calibration, *, language: str = "en") -> list[str]:
    """What these numbers support saying, in sentences."""
    return [say(one, language) for one in calibration_findings(found)]


def calibration_findings(found: Calibration) -> list[Finding]:
    """What these numbers support saying, as facts without words.

    ``too-sure``, ``too-unsure``  mean confidence and accuracy differ, the interval of their
        difference leaves out 0; with the bin of the largest supported gap where there is one
        (``-where``): its accuracy's 95 % interval and an exact binomial test at 5 % / 15 agree.
    ``uneven``  no such difference, but labels drawn with the stated confidences come as far off in
        less than 1 % of draws.
    ``unsmoothed``  label smoothing is taken back before the temperature.
    ``tempered``  the temperature raises the likelihood of unseen images, interval above 0, and
        the debiased error is lower with it.
    ``tempered-too-sure``, ``tempered-too-unsure``  as the first two, with the temperature, where
        labels drawn with the stated confidences also come as far off in less than 5 % of draws.
    ``surest``  accuracy on the surest 80 % is above that on all, interval above 0.
    ``unsure``  a threshold of abstention, that of the lowest error rate that can be promised.
    """
    made = [_level(found.before), _uneven(found.before)]
    if found.smoothing:
        made.append(Finding(kind="unsmoothed", values={"smoothing": f"{found.smoothing:g}"}))
    if found.nll_gain.low > 0 and found.after.debiased_ece.value < found.before.debiased_ece.value:
        values: dict[str, Value] = {
            "temperature": f"{found.temperature:.2f}",
            "before": found.before.debiased_ece,
            "after": found.after.debiased_ece,
            "n": found.n,
        }
        made.append(Finding(kind="tempered", values=values))
    made.append(_tempered_level(found))
    if found.at_80.gain.low > 0:
        gain = found.at_80
        made.append(Finding(kind="surest", values={
            "share": f"{100 * gain.coverage:.0f} %", "accuracy": gain.accuracy,
            "difference": gain.gain, "full": gain.full}))  # fmt: skip
    made.append(_unsure(found.abstain))
    return [one for one in made if one is not None]


def _signed(found: Reliability) -> tuple[int, Interval] | None:
    """1 where confidence is too high and -1 where too low, and by how much; None if unsupported."""
    over = found.overconfidence
    if over.low <= 0 <= over.high:
        return None
    sign = 1 if over.value > 0 else -1
    low, high = sorted((sign * over.low, sign * over.high))
    return sign, Interval(abs(over.value), low, high)


def _level(found: Reliability) -> Finding | None:
    signed = _signed(found)
    if signed is None:
        return None
    sign, difference = signed
    kind = "too-sure" if sign > 0 else "too-unsure"
    values: dict[str, Value] = {"difference": difference, "n": found.n}
    gaps = [(sign * (b.confidence - b.accuracy.value), b) for b in found.bins if _off(b, sign)]
    if not gaps:
        return Finding(kind=kind, values=values)
    worst = max(gaps, key=lambda gap: gap[0])[1]
    values |= {"stated": f"{100 * worst.confidence:.0f} %", "right": worst.accuracy,
               "images": worst.n}  # fmt: skip
    return Finding(kind=f"{kind}-where", values=values)


def _tempered_level(found: Calibration) -> Finding | None:
    signed = _signed(found.after)
    if signed is None or found.after.p_calibrated >= 0.05:
        return None
    kind = "tempered-too-sure" if signed[0] > 0 else "tempered-too-unsure"
    values: dict[str, Value] = {"difference": signed[1], "temperature": f"{found.temperature:.2f}"}
    return Finding(kind=kind, values=values)


def _off(one: Bin, sign: int) -> bool:
    """Whether a bin's accuracy is surely below (sign 1) or above (-1) its confidence."""
    if one.n < _BIN_FEWEST:
        return False
    hits = round(one.accuracy.value * one.n)
    below = stats.binom.cdf(hits, one.n, one.confidence)
    above = stats.binom.sf(hits - 1, one.n, one.confidence)
    outside = one.accuracy.high < one.confidence if sign > 0 else one.accuracy.low > one.confidence
    return bool(outside and (below if sign > 0 else above) <= 0.05 / 15)


def _uneven(found: Reliability) -> Finding | None:
    if not found.overconfidence.low <= 0 <= found.overconfidence.high:
        return None
    if found.p_calibrated >= 0.01:
        return None
    values: dict[str, Value] = {"error": found.debiased_ece, "p": found.p_calibrated, "n": found.n}
    return Finding(kind="uneven", values=values)


def _unsure(rows: Sequence[Abstention]) -> Finding | None:
    """The strictest promise, told where its realised error does not speak against it."""
    for row in sorted(rows, key=lambda r: r.error):
        if row.threshold is not None and row.realised.low <= row.error:
            values: dict[str, Value] = {
                "error": f"{100 * row.error:.0f} %",
                "threshold": f"{100 * row.threshold:.0f} %",
                "coverage": row.coverage,
                "realised": row.realised,
            }
            return Finding(kind="unsure", values=values)
    return None
