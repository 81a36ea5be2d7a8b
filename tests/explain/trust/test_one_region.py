import numpy as np
import pytest

from mien.explain.trust.one_region import area_share, mass, pointing


def test_mass_and_pointing_by_hand() -> None:
    mask = np.zeros((1, 10, 10), bool)
    mask[0, 4:6, 4:6] = True
    maps = np.zeros((1, 10, 10))
    maps[0, 4, 4], maps[0, 0, 0], maps[0, 5, 5] = -3.0, 4.0, 1.0
    assert mass(maps, mask) == pytest.approx([0.5])
    assert pointing(maps, mask).tolist() == [0]
    maps[0, 4, 4] = -5.0  # the strongest by size, whatever its sign
    assert pointing(maps, mask).tolist() == [1]


def test_the_tolerance_is_two_pixels() -> None:
    mask = np.zeros((1, 12, 12), bool)
    mask[0, 5, 5] = True
    for column, inside in ((6, 1), (7, 1), (8, 0)):
        maps = np.zeros((1, 12, 12))
        maps[0, 5, column] = 1.0
        assert pointing(maps, mask).tolist() == [inside]
    corner = np.zeros((1, 12, 12))
    corner[0, 7, 7] = 1.0  # 2.8 pixels away
    assert pointing(corner, mask).tolist() == [0]


def test_an_even_map_has_the_area() -> None:
    mask = np.random.default_rng(0).random((3, 8, 8)) < 0.3
    assert mass(np.ones((3, 8, 8)), mask) == pytest.approx(area_share(mask))
    assert mass(np.zeros((3, 8, 8)), mask) == pytest.approx(area_share(mask))
    assert pointing(np.zeros((3, 8, 8)), mask, tolerance=0) == pytest.approx(area_share(mask))
