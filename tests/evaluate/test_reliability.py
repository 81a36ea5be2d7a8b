import numpy as np
import pytest
from scipy import special
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from mien.evaluate.reliability import equal_mass, equal_width, reliability


def _drawn(n: int, sharpen: float, seed: int = 0, K: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels; calibrated where ``sharpen`` is 1, too sure above."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, K))
    chance = special.softmax(logits, axis=1).cumsum(axis=1)
    labels = (chance > rng.random((n, 1))).argmax(axis=1)
    return special.softmax(sharpen * logits, axis=1), labels


def _hand() -> tuple[np.ndarray, np.ndarray]:
    """Two classes: four images stated at 0.9 of which three are right, one at 0.7, wrong."""
    p = np.array([[0.9, 0.1]] * 4 + [[0.3, 0.7]])
    return p, np.array([0, 0, 0, 1, 0])


def test_by_hand() -> None:
    found = reliability(*_hand(), replicates=50)
    # Gaps: 0.9 - 3/4 = 0.15 over four images, 0.7 - 0 over one.
    assert found.ece.value == pytest.approx((4 * 0.15 + 0.7) / 5)
    assert found.overconfidence.value == pytest.approx((4 * 0.9 + 0.7 - 3) / 5)
    # Σ_k (p_k - y_k)²: 2·0.01 three times, 2·0.81, 2·0.49.
    assert found.brier.value.value == pytest.approx((3 * 0.02 + 1.62 + 0.98) / 5)
    assert found.nll.value == pytest.approx(-(3 * np.log(0.9) + np.log(0.1) + np.log(0.3)) / 5)
    # The bin of four: 0.15² - s²/4 with s² = 0.25 from three hits of four; the bin of one is out.
    assert found.debiased_ece.value == pytest.approx(0.0)
    filled = [one for one in found.bins if one.n]
    assert [(b.n, round(b.confidence, 6), b.accuracy.value) for b in filled] == [
        (1, 0.7, 0.0),
        (4, 0.9, 0.75),
    ]


def test_the_debiased_error_by_hand() -> None:
    p, labels = np.tile([0.95, 0.05], (10, 1)), np.array([0] * 2 + [1] * 8)
    found = reliability(p, labels, replicates=50)
    # Gap 0.75, two hits of ten: s² = 10/9 · 0.2 · 0.8.
    expected = 0.75**2 - (10 / 9 * 0.16) / 10
    assert found.debiased_ece.value == pytest.approx(np.sqrt(expected))
    assert found.p_calibrated < 0.05


def test_against_scikit_learn() -> None:
    p, labels = _drawn(2000, 1.7, K=2)
    found = reliability(p, labels, replicates=50)
    # scikit-learn scores one of two classes; ours sums both, which are equal.
    assert found.brier.value.value == pytest.approx(2 * brier_score_loss(labels, p[:, 1]))
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    hit, stated = calibration_curve(right, confidence, n_bins=15, strategy="uniform")
    filled = [one for one in found.bins if one.n]
    assert [b.accuracy.value for b in filled] == pytest.approx(list(hit))
    assert [b.confidence for b in filled] == pytest.approx(list(stated))
    n = np.array([b.n for b in filled])
    assert found.ece.value == pytest.approx((n * np.abs(hit - stated)).sum() / 2000)


def test_the_brier_score_is_the_sum_of_its_parts() -> None:
    # In steps of 1/10 nothing varies within a bin, so Murphy's three parts are all.
    rng = np.random.default_rng(1)
    first = rng.integers(0, 11, size=500) / 10
    p, labels = np.column_stack([first, 1 - first]), (rng.random(500) < 0.4).astype(np.int64)
    brier = reliability(p, labels, replicates=50).brier
    assert brier.remainder == pytest.approx(0, abs=1e-12)
    base = labels.mean()
    assert brier.uncertainty == pytest.approx(2 * base * (1 - base))
    groups = [(p[:, 1] == v, v) for v in np.unique(p[:, 1])]
    assert brier.reliability == pytest.approx(
        2 * sum(w.mean() * (v - labels[w].mean()) ** 2 for w, v in groups)
    )
    continuous = reliability(*_drawn(500, 2.0), replicates=50).brier
    parts = continuous.reliability - continuous.resolution + continuous.uncertainty
    assert parts + continuous.remainder == pytest.approx(continuous.value.value)
    assert abs(continuous.remainder) < 0.02


def test_a_calibrated_model_has_no_debiased_error_and_the_plain_one_is_biased() -> None:
    runs = [reliability(*_drawn(2000, 1.0, seed=s), replicates=60) for s in range(8)]
    many = reliability(*_drawn(40_000, 1.0), replicates=60)
    assert many.debiased_ece.value < many.debiased_ece.high < 0.015
    assert sum(run.debiased_ece.low > 0 or run.ece.low > 0 for run in runs) <= 1
    assert np.mean([run.adaptive_ece.value for run in runs]) > 0.02
    assert sum(run.p_calibrated < 0.05 for run in runs) <= 2
    assert sum(r.overconfidence.low <= 0 <= r.overconfidence.high for r in runs) >= 6


def test_the_truth_lies_in_the_intervals_of_a_model_that_is_too_sure() -> None:
    p, labels = _drawn(400_000, 1.6, seed=9)
    confidence = p.max(axis=1)
    off = confidence - (p.argmax(axis=1) == labels)
    wide, even = equal_width(confidence), equal_mass(confidence)
    true = np.abs(np.bincount(wide, off)).sum() / len(off)
    n = np.bincount(even)
    squared = np.sqrt((n * (np.bincount(even, off) / n) ** 2).sum() / len(off))
    inside = np.zeros(3)
    for seed in range(20):
        found = reliability(*_drawn(1500, 1.6, seed=seed), replicates=100, seed=seed)
        pairs = (
            (found.ece, true),
            (found.debiased_ece, squared),
            (found.overconfidence, off.mean()),
        )
        inside += [i.low <= t <= i.high for i, t in pairs]
        assert found.ece.low > 0
        assert found.debiased_ece.low > 0
    assert (inside >= 17).all()


def test_bins() -> None:
    assert equal_width(np.array([0, 1 / 15, 0.0667, 1.0, 0.5])).tolist() == [0, 0, 1, 14, 7]
    assert np.bincount(equal_mass(np.arange(150) / 150)).tolist() == [10] * 15
    # Equal confidences stay together.
    which = equal_mass(np.array([0.3] * 100 + [0.9] * 50))
    assert len(set(which[:100])) == 1
    assert set(which[:100]).isdisjoint(which[100:])
