import numpy as np
import pytest
from scipy import stats

from mien.explain.trust.similarity import between_images, spearman


def test_spearman_is_scipys_of_absolute_values() -> None:
    rng = np.random.default_rng(0)
    # Rounded, so that there are ties.
    a, b = (rng.standard_normal((6, 9, 7)).round(1) for _ in range(2))
    b[:3] += a[:3]
    wanted = [
        stats.spearmanr(abs(x).ravel(), abs(y).ravel()).statistic for x, y in zip(a, b, strict=True)
    ]
    assert spearman(a, b) == pytest.approx(wanted, abs=1e-12)


def test_sign_and_scale_do_not_count_and_an_even_map_is_like_nothing() -> None:
    a = np.random.default_rng(1).standard_normal((3, 5, 5))
    assert spearman(a, -3 * a) == pytest.approx(1)
    assert spearman(a, np.ones_like(a)).tolist() == [0, 0, 0]


def test_each_map_meets_the_next() -> None:
    a = np.random.default_rng(2).standard_normal((3, 5, 5))
    wanted = [spearman(a[i : i + 1], a[(i + 1) % 3][None])[0] for i in range(3)]
    assert between_images(a) == pytest.approx(wanted)
