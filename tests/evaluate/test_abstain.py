import numpy as np
import pytest
from scipy import stats

from mien.evaluate.abstain import (
    abstentions,
    at_coverage,
    choose_threshold,
    risk_coverage,
    upper_bound,
)


def test_the_curve_by_hand() -> None:
    confidence = np.array([0.9, 0.5, 0.8, 0.6])
    curve = risk_coverage(confidence, np.array([1.0, 0.0, 0.0, 1.0]), replicates=50)
    # From the surest: right, wrong, right, wrong.
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.error.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.aurc.value == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert (curve.low <= curve.error).all()
    assert (curve.error <= curve.high).all()


def test_equal_confidences_have_the_mean_error_whatever_their_order() -> None:
    curve = risk_coverage(np.full(4, 0.7), np.array([1.0, 1.0, 0.0, 0.0]), replicates=50)
    assert curve.error.tolist() == pytest.approx([0.5] * 4)


def test_accuracy_at_a_coverage() -> None:
    confidence = np.linspace(0, 1, 1000)
    right = (np.arange(1000) >= 300).astype(float)
    found = at_coverage(confidence, right, 0.8, replicates=200)
    assert found.full.value == pytest.approx(0.7)
    assert found.accuracy.value == pytest.approx(700 / 800)
    assert found.gain.value == pytest.approx(0.175)
    assert found.gain.low < 0.175 < found.gain.high
    flat = at_coverage(confidence, np.tile([1.0, 0.0], 500), 0.8, replicates=200)
    assert flat.gain.low <= 0 <= flat.gain.high


def test_the_bound_is_clopper_and_pearson() -> None:
    for wrong, n in ((0, 30), (3, 40), (39, 40)):
        reference = stats.binomtest(wrong, n).proportion_ci(0.9, method="exact").high
        assert upper_bound(wrong, n, 0.05) == pytest.approx(reference, rel=1e-9)
    assert upper_bound(5, 5, 0.05) == 1.0


def _answers(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.3, 1, size=n)
    return confidence, (rng.random(n) < confidence).astype(float)


def test_the_promise_is_kept() -> None:
    # Above a threshold t the true risk is 1 - (1 + t) / 2.
    risks, found = [], 0
    for seed in range(120):
        chosen = choose_threshold(*_answers(800, seed), 0.2)
        if chosen is not None:
            threshold, bound = chosen
            assert bound <= 0.2
            risks.append(1 - (1 + threshold) / 2)
            found += 1
    assert found > 110
    assert np.mean(np.array(risks) > 0.2) <= 0.05
    assert np.mean(risks) > 0.1


def test_what_cannot_be_promised_is_not() -> None:
    assert choose_threshold(*_answers(30, 0), 0.01) is None
    assert choose_threshold(np.zeros(0), np.zeros(0), 0.2) is None
    sure = choose_threshold(np.full(200, 0.9), np.ones(200), 0.1)
    assert sure is not None
    assert sure[0] == 0.9


def test_realised_errors_are_of_other_folds() -> None:
    confidence, right = _answers(3000, 5)
    folds = np.arange(3000) % 5
    by_fold = np.tile(confidence, (5, 1))
    (row,) = abstentions(by_fold, confidence, right, folds, [0.2])
    answered = np.zeros(3000, dtype=bool)
    for f in range(5):
        chosen = choose_threshold(confidence[folds != f], right[folds != f], 0.2)
        assert chosen is not None
        answered |= (folds == f) & (confidence >= chosen[0])
    assert row.coverage.value == pytest.approx(answered.mean())
    assert row.realised.value == pytest.approx(1 - right[answered].mean())
    # Labels of a fold do not move its own threshold: what it answers stays.
    changed = np.where(folds == 2, 0.0, right)
    (other,) = abstentions(by_fold, confidence, changed, folds, [0.2])
    kept = answered & (folds == 2)
    moved = choose_threshold(confidence[folds != 2], changed[folds != 2], 0.2)
    assert moved is not None
    assert (kept == ((folds == 2) & (confidence >= moved[0]))).all()
    assert other.coverage.value < row.coverage.value
