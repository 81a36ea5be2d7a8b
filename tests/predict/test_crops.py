"""A box to a crop: exact where it can be, upright where the box is turned, never outside memory."""

import cv2
import numpy as np
import pytest

from mien.predict.crops import crop, crops
from mien.types import Box

NOISE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def box(left: float, top: float, side: float, angle: float = 0.0) -> Box:
    return Box(left=left, top=top, width=side, height=side, angle=angle)


def luma(picture: np.ndarray) -> np.ndarray:
    return (picture @ np.array([0.299, 0.587, 0.114])).round()


def test_a_box_of_the_crops_size_is_the_pixels_themselves() -> None:
    part = NOISE[7:55, 11:59]
    np.testing.assert_array_equal(crop(NOISE, box(11, 7, 48), 48, 3), part.transpose(2, 0, 1))
    grey = crop(NOISE, box(11, 7, 48), 48)
    assert grey.shape == (1, 48, 48)
    assert np.abs(grey[0] - luma(part)).max() <= 1


@pytest.mark.parametrize("times", [2, 3])
def test_a_larger_box_is_averaged(times: int) -> None:
    strong = np.where(NOISE > 127, 255, 0).astype(np.uint8)
    cut = crop(strong, box(3, 5, 24 * times), 24, 3)
    part = strong[5 : 5 + 24 * times, 3 : 3 + 24 * times].astype(float)
    means = part.reshape(24, times, 24, times, 3).mean(axis=(1, 3))
    assert np.abs(cut.transpose(1, 2, 0) - means).max() <= 1


def test_a_very_large_box_keeps_its_place() -> None:
    """A ramp cut from a huge square is a ramp again, at every scale."""
    ramp = np.repeat(np.linspace(0, 255, 3000)[None], 3000, axis=0).round().astype(np.uint8)
    cut = crop(np.repeat(ramp[:, :, None], 3, 2), box(500, 400, 2000), 48)[0]
    expected = (500 + (np.arange(48) + 0.5) * 2000 / 48) / 3000 * 255
    assert np.abs(cut - expected).max() < 1.5


def test_a_turned_box_gives_an_upright_crop() -> None:
    """The picture is turned clockwise by OpenCV; the box says so and undoes it."""
    smooth = cv2.GaussianBlur(NOISE, (0, 0), 3)
    upright = crop(smooth, box(40, 25, 40), 20)
    middle = (60 - 0.5, 45 - 0.5)
    there = cv2.getRotationMatrix2D(middle, -25, 1.0)
    turned = cv2.warpAffine(smooth, there, (120, 90), flags=cv2.INTER_CUBIC)
    again = crop(turned, box(40, 25, 40, 25), 20).astype(int)
    assert np.abs(again - upright).mean() < 1
    assert np.abs(crop(turned, box(40, 25, 40, -25), 20).astype(int) - upright).mean() > 4


def test_beyond_the_picture_the_edge_is_repeated() -> None:
    picture = np.full((30, 30, 3), 9, np.uint8)
    picture[:, 0] = 200
    cut = crop(picture, box(-20, 0, 24), 24)[0]
    assert (cut[:, :20] == 200).all()
    assert (cut[:, 22:] == 9).all()
    for away in (box(-500, -500, 40), box(900, 10, 40), box(29.9, 29.9, 0.5)):
        assert crop(picture, away, 24).shape == (1, 24, 24)


def test_the_whole_picture_and_no_boxes() -> None:
    assert crops(NOISE, [], 48).shape == (0, 1, 48, 48)
    whole = crops(NOISE, [None], 48, 3)
    assert whole.shape == (1, 3, 48, 48)
    assert abs(float(whole.mean()) - NOISE.mean()) < 1
    for shape in ((1, 1, 3), (1, 4000, 3), (4000, 1, 3)):
        assert crops(np.full(shape, 77, np.uint8), [None], 48).mean() == 77


def test_a_flat_crop_is_brought_to_a_usual_spread_and_others_stay() -> None:
    grey = np.random.default_rng(2).normal(size=(48, 48, 1)).repeat(3, axis=2)
    for spread, after in ((1, 1), (10, 45), (24, 45), (27, 27), (60, 60)):
        picture = np.clip(np.round(128 + spread * grey), 0, 255).astype(np.uint8)
        cut = crop(picture, box(0, 0, 48), 48)
        assert abs(cut.std() - after) < 3
        if after == spread:
            np.testing.assert_array_equal(cut[0], picture[:, :, 0])
        else:
            assert np.corrcoef(cut.ravel(), picture[:, :, 0].ravel())[0, 1] > 0.98
