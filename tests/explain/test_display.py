"""The scaling for display: shared, robust, signed, and the same whatever is in the maps."""

import numpy as np
import pytest

from mien.explain.display import as_picture, colours, overlay, scaled, shared_limit


def test_the_limit_is_the_percentile_of_all_maps_together():
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=(3, 20, 20)), 10 * rng.normal(size=(20, 20))
    together = np.concatenate([small.ravel(), large.ravel()])
    assert shared_limit([small, large]) == pytest.approx(np.percentile(np.abs(together), 99.5))
    loud = small.copy()
    loud[0, 0, 0] = 1e6
    assert shared_limit([loud]) == pytest.approx(shared_limit([small]), rel=0.2)


def test_limits_of_odd_maps():
    assert shared_limit([np.zeros((4, 4))]) == 1
    assert shared_limit([]) == 1
    assert shared_limit([np.full((2, 2), np.nan), np.array([[2.0, -3.0]])]) == pytest.approx(
        3, rel=0.01
    )
    sparse = np.zeros((100, 100))
    sparse[0, 0] = -5
    assert shared_limit([sparse]) == 5


def test_scaled_keeps_signs_and_ends_at_one():
    values = scaled(np.array([[-4.0, -1.0, 0.0, 1.0, 8.0, np.nan]]), 2.0)
    np.testing.assert_array_equal(values, [[-1, -0.5, 0, 0.5, 1, 0]])
    assert values.dtype == np.float32


def test_colours_are_white_at_zero_blue_below_and_vermillion_above():
    low, zero, high = colours(np.array([-1.0, 0.0, 1.0])).astype(int)
    assert (zero == 255).all()
    assert low[2] > low[0] + 60
    assert high[0] > high[2] + 60
    ramp = colours(np.linspace(0, 1, 50)).astype(int).sum(axis=1)
    assert (np.diff(ramp) <= 0).all()


def test_an_overlay_of_nothing_is_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (6, 6)).astype(np.uint8)
    grey = overlay(np.zeros((6, 6)), picture)
    np.testing.assert_array_equal(grey, picture[..., None].repeat(3, -1))
    colour = np.random.default_rng(1).integers(0, 256, (3, 6, 6)).astype(np.uint8)
    np.testing.assert_array_equal(overlay(np.zeros((6, 6)), as_picture(colour)),
                                  colour.transpose(1, 2, 0))  # fmt: skip
    full = overlay(np.ones((6, 6)), picture).astype(int)
    assert (full[..., 0] > full[..., 2]).all()
