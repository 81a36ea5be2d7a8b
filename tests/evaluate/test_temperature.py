import numpy as np
import pytest
from scipy import optimize, special

from mien.errors import DataError
from mien.evaluate.temperature import (
    HIGHEST,
    LOWEST,
    cross_fit,
    fit_temperature,
    folds_of,
    softmax,
)


def _nll(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    log_p = special.log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return -log_p[np.arange(len(labels)), labels].mean()


def _drawn(n: int, scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose labels are drawn with exactly their softmax, then multiplied by ``scale``."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, 5))
    chance = special.softmax(logits, axis=1).cumsum(axis=1)
    labels = (chance > rng.random((n, 1))).argmax(axis=1)
    return scale * logits, labels


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_likelihood_is_highest_there(scale: float) -> None:
    logits, labels = _drawn(700, scale)
    found = fit_temperature(logits, labels)
    best = optimize.minimize_scalar(
        lambda t: _nll(logits, labels, t), bounds=(LOWEST, HIGHEST), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    assert found == pytest.approx(best.x, rel=1e-5)
    assert found == pytest.approx(scale, rel=0.15)
    assert _nll(logits, labels, found) <= best.fun + 1e-12


def test_two_images_by_hand() -> None:
    # Three of four images of logits (1, 0) are right: sigmoid(1 / T) = 3/4, so 1 / T = log 3.
    logits = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (4, 1))
    found = fit_temperature(logits, np.array([0, 0, 0, 1]))
    assert found == pytest.approx(1 / np.log(3), rel=1e-9)
    assert softmax(logits, found)[0] == pytest.approx([0.75, 0.25])


def test_where_there_is_no_best_an_end_of_the_range_is_it() -> None:
    logits = np.eye(3, dtype=np.float32)
    assert fit_temperature(logits, np.arange(3)) == LOWEST
    assert fit_temperature(logits, np.array([1, 2, 0])) == HIGHEST
    with pytest.raises(DataError, match="labelled images"):
        fit_temperature(logits[:0], np.zeros(0, dtype=np.int64))


def test_huge_logits_do_not_overflow() -> None:
    logits, labels = _drawn(300, 1.0)
    assert fit_temperature(logits * 10 + 1e4, labels) == pytest.approx(
        10 * fit_temperature(logits, labels), rel=1e-6
    )


def test_no_fold_uses_its_own_labels() -> None:
    logits, labels = _drawn(400, 2.0)
    folds = folds_of(np.array([f"{i:032x}" for i in range(400)]))
    before = cross_fit(logits, labels, folds)
    changed = labels.copy()
    changed[folds == 3] = (changed[folds == 3] + 1) % 5
    after = cross_fit(logits, changed, folds)
    assert after.temperatures[3] == before.temperatures[3]
    assert all(after.temperatures[f] > before.temperatures[f] for f in (0, 1, 2, 4))
    mine = folds == 3
    np.testing.assert_array_equal(after.probabilities[mine], before.probabilities[mine])
    expected = fit_temperature(logits[~mine], labels[~mine])
    np.testing.assert_allclose(before.probabilities[mine], softmax(logits[mine], expected))


def test_identical_images_share_a_fold_and_the_order_does_not_matter() -> None:
    hashes = np.array([f"{i % 30:032x}" for i in range(100)])
    folds = folds_of(hashes, seed=4)
    for name in np.unique(hashes):
        assert len(set(folds[hashes == name])) == 1
    assert sorted(np.bincount(folds[:30])) == [6] * 5
    order = np.random.default_rng(0).permutation(100)
    np.testing.assert_array_equal(folds_of(hashes[order], seed=4), folds[order])
    with pytest.raises(DataError, match="3 different"):
        folds_of(hashes[:3])
