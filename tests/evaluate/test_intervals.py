import math
import statistics

import numpy as np
import pytest
from scipy import stats

from mien.evaluate.intervals import (
    Interval,
    bootstrap,
    f1_from_counts,
    newcombe,
    paired_difference,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 56), (17, 56), (56, 56), (2280, 3589)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_wilson_is_scipys(k: int, n: int, level: float) -> None:
    theirs = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    ours = wilson(k, n, level)
    assert (ours.value, ours.low, ours.high) == pytest.approx((k / n, theirs.low, theirs.high))
    assert 0 <= ours.low <= ours.value <= ours.high <= 1


def test_wilson_of_the_issues_example() -> None:
    # 17 of 56: "31 % [20, 44]" says the issue of 31 %; by hand (0.3036 + 0.0343 ± 0.1252) / 1.0686.
    found = wilson(17, 56)
    assert found.low == pytest.approx(0.1992, abs=2e-4)
    assert found.high == pytest.approx(0.4334, abs=2e-4)


def test_nothing_of_nothing_is_undefined_and_knows_nothing() -> None:
    found = wilson(0, 0)
    assert math.isnan(found.value)
    assert (found.low, found.high) == (0, 1)
    assert found.to_json() == {"value": None, "low": 0, "high": 1}
    assert math.isnan(newcombe(0, 0, 3, 4).value)
    assert math.isnan(paired_difference(0, 0, 0).value)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (1, -1)])
def test_no_proportion(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson(k, n)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_no_level(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        wilson(1, 3, level)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_is_newcombes(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    found = newcombe(*counts)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)
    there, back = found, newcombe(counts[2], counts[3], counts[0], counts[1])
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low)
    )


def test_paired_difference_by_hand() -> None:
    # Fagerland, Lydersen, Laake 2014 (Statistics in Medicine 33:2850), airway data: 1 and 7 of 21.
    found = paired_difference(1, 7, 21)
    half = 1.959964 * math.sqrt((2 / 23 + 8 / 23 - (6 / 23) ** 2) / 23)
    assert found.value == pytest.approx(-6 / 21)
    assert (found.low, found.high) == pytest.approx((-6 / 23 - half, -6 / 23 + half), abs=1e-6)
    with pytest.raises(ValueError, match="discordant"):
        paired_difference(5, 5, 9)


def test_paired_difference_covers() -> None:
    rng = np.random.default_rng(3)
    draws = rng.multinomial(200, [0.12, 0.08, 0.8], size=2000)
    hits = [
        found.low <= 0.04 <= found.high
        for found in (paired_difference(int(a), int(b), 200) for a, b, _ in draws)
    ]
    assert 0.93 <= statistics.mean(hits) <= 0.975


def test_f1_in_closed_form_covers_and_is_f1() -> None:
    found = f1_from_counts(30, 20)
    assert found.value == pytest.approx(2 * 30 / (2 * 30 + 20))
    jaccard = wilson(30, 50)
    assert found.low == pytest.approx(2 * jaccard.low / (1 + jaccard.low))
    assert f1_from_counts(0, 5).low == 0
    assert 0 < f1_from_counts(0, 5).high < 1
    assert math.isnan(f1_from_counts(0, 0).value)


def _accuracy(counts: np.ndarray) -> np.ndarray:
    right = np.diagonal(counts, axis1=-2, axis2=-1).sum(axis=-1)
    return np.stack([right / counts.sum(axis=(-2, -1))], axis=-1)


def test_bootstrap_is_the_bootstrap_over_images() -> None:
    counts = np.array([[40, 10, 5], [3, 9, 2], [8, 1, 30]])
    cells = np.repeat(np.arange(9), counts.ravel())
    rng = np.random.default_rng(0)
    # Images drawn one by one, as the textbook says.
    drawn = rng.choice(cells, size=(20000, len(cells)))
    low, high = np.quantile(np.isin(drawn, [0, 4, 8]).mean(axis=1), [0.025, 0.975])
    [found] = bootstrap(counts, _accuracy, replicates=20000)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.011)
    assert found.value == counts.trace() / counts.sum()


def test_bootstrap_agrees_with_wilson_on_a_large_sample() -> None:
    counts = np.array([[1500, 500], [700, 900]])
    [found] = bootstrap(counts, _accuracy)
    closed = wilson(2400, 3600)
    assert (found.low, found.high) == pytest.approx((closed.low, closed.high), abs=0.002)


def test_bootstrap_repeats_itself_with_its_seed() -> None:
    counts = np.array([[3990, 1011], [703, 3017]])
    assert bootstrap(counts, _accuracy, seed=4) == bootstrap(counts, _accuracy, seed=4)
    assert bootstrap(counts, _accuracy, seed=4) != bootstrap(counts, _accuracy, seed=5)


def test_bootstrap_leaves_undefined_replicates_out() -> None:
    def rare(counts: np.ndarray) -> np.ndarray:
        n = counts[..., 1, :].sum(axis=-1)
        share = np.divide(counts[..., 1, 1], n, out=np.full(n.shape, np.nan), where=n != 0)
        return np.stack([share, np.full(n.shape, np.nan)], axis=-1)

    found, never = bootstrap(np.array([[50, 0], [1, 1]]), rare)
    assert (found.value, found.low, found.high) == (0.5, 0, 1)
    assert math.isnan(never.value)
    assert (never.low, never.high) == (0, 1)


def test_bootstrap_needs_images() -> None:
    with pytest.raises(ValueError, match="no images"):
        bootstrap(np.zeros((2, 2), dtype=np.int64), _accuracy)


def test_an_interval_is_a_value() -> None:
    assert Interval(0.5, 0.4, 0.6) == Interval(0.5, 0.4, 0.6)
    assert Interval(0.5, 0.4, 0.6).to_json() == {"value": 0.5, "low": 0.4, "high": 0.6}
