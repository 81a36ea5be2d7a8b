import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mien.evaluate.distances import energy, fit_mahalanobis


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), [40, 60, 100])
    mix = rng.normal(size=(6, 6))
    return rng.normal(size=(200, 6)) @ mix + 3 * rng.normal(size=(3, 6))[labels], labels


def test_distances_are_scipy_s(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = data
    fitted = fit_mahalanobis(x, labels, shrinkage=0.0)
    within = np.concatenate([x[labels == k] - x[labels == k].mean(axis=0) for k in range(3)])
    precision = np.linalg.inv(within.T @ within / 200)
    for i in (0, 77, 199):
        expected = [
            mahalanobis(x[i], x[labels == k].mean(axis=0), precision) ** 2 for k in range(3)
        ]
        assert fitted.distances(x[i : i + 1])[0] == pytest.approx(expected)
        assert fitted.score(x[i : i + 1])[0] == pytest.approx(min(expected))
    around = np.linalg.inv(np.cov(x.T, bias=True))
    relative = fitted.score(x, relative=True)
    assert relative[5] == pytest.approx(
        fitted.score(x)[5] - mahalanobis(x[5], x.mean(axis=0), around) ** 2
    )


def test_the_nearest_class_is_that_of_linear_discriminant_analysis(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    x, labels = data
    fitted = fit_mahalanobis(x, labels, shrinkage=0.0)
    lda = LinearDiscriminantAnalysis(priors=[1 / 3] * 3).fit(x, labels)
    np.testing.assert_array_equal(fitted.distances(x).argmin(axis=1), lda.predict(x))


def test_the_shrinkage_is_ledoit_and_wolf_s(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = data[0][::10], data[1][::10]
    fitted = fit_mahalanobis(x, labels)
    means = np.stack([x[labels == k].mean(axis=0) for k in range(3)])
    reference = LedoitWolf(assume_centered=True).fit(x - means[labels])
    assert fitted.shrinkage == pytest.approx(reference.shrinkage_)
    np.testing.assert_allclose(fitted.precision, reference.precision_, rtol=1e-8)
    assert 0 < fitted.shrinkage < 1


def test_energy() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [800.0, 0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(energy(logits), -logsumexp(logits.astype(float), axis=1))
