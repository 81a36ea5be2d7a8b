import numpy as np
import pytest

from mien.explain.trust.baselines import BASELINES, centre, edges, mean_face
from trust_toys import pictures


@pytest.mark.parametrize("name", BASELINES)
def test_maps_are_of_the_pictures_shape_and_repeatable(name: str) -> None:
    images = pictures(5, side=24)
    colour = np.repeat(images, 3, axis=1)
    run = BASELINES[name].run
    maps = run(images, 7)
    assert maps.shape == (5, 24, 24)
    assert maps.dtype == np.float32
    assert (maps >= 0).all()
    assert np.ptp(maps, axis=(1, 2)).min() > 0
    assert (maps == run(images, 7)).all()
    assert run(colour, 7) == pytest.approx(maps, rel=1e-4, abs=1e-3)


def test_the_edge_detector_is_sobels() -> None:
    step = np.zeros((1, 1, 16, 16), np.uint8)
    step[..., 8:] = 100
    found = edges(step)[0]
    # Sobel's columns are -1 -2 -1 and 1 2 1: four times the step on both sides of it.
    assert found[5, 6:10].tolist() == [0, 400, 400, 0]


def test_the_centre_is_in_the_middle_and_the_mean_face_where_the_mean_differs() -> None:
    bump = centre(pictures(1, side=16))[0]
    assert bump[7, 7] == bump[8, 8] == bump.max()
    assert bump[7, 7] / bump[7, 11] == pytest.approx(np.exp((3.5**2 - 0.5**2) / 2 / 4**2))
    images = np.full((3, 1, 24, 24), 120, np.uint8)
    images[:, :, 6:9, 6:9] = [[[[10]]], [[[20]]], [[[30]]]]
    found = mean_face(images)[1]
    strongest = np.zeros((24, 24), bool)
    strongest.ravel()[found.ravel().argsort()[-9:]] = True
    assert strongest[6:9, 6:9].all()
