import math

import numpy as np
import pytest

from mien.explain.trust.resampling import grouped_interval, mean_interval, simultaneous


def test_a_large_sample_has_the_normal_interval() -> None:
    values = np.random.default_rng(0).standard_normal(2000)
    found = mean_interval(values)
    half = 1.96 * values.std() / math.sqrt(2000)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(half, rel=0.1)
    assert found.value - found.low == pytest.approx(half, rel=0.1)
    assert math.isnan(mean_interval(np.empty(0)).value)


def test_groups_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    groups = [rng.standard_normal(50) + shift for shift in (-2.0, 0.0, 2.0, 4.0)]
    alone = mean_interval(np.concatenate(groups))
    together = grouped_interval(groups)
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_simultaneous_intervals_hold_at_once() -> None:
    rng = np.random.default_rng(2)
    together, each = 0, 0
    for _ in range(150):
        values = rng.standard_normal((80, 8))
        found = simultaneous(values)
        together += all(one.low <= 0 <= one.high for one in found)
        each += all(abs(v.mean()) <= 1.96 * v.std(ddof=1) / math.sqrt(80) for v in values.T)
    # 0.95 ± three standard errors; eight plain intervals hold at once in 0.95^8 = 0.66.
    assert together / 150 >= 0.89
    assert each / 150 < 0.8


def test_equal_columns_cost_nothing_and_no_difference_stays_none() -> None:
    values = np.random.default_rng(3).standard_normal((400, 1))
    one = simultaneous(values)[0]
    many = simultaneous(np.hstack([values] * 6 + [np.zeros_like(values)]))
    assert many[0].high == pytest.approx(one.high)
    assert (many[-1].low, many[-1].value, many[-1].high) == (0, 0, 0)
