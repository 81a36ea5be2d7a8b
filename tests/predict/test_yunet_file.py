"""The real YuNet, collected where ``MIEN_YUNET`` names its file (see conftest.py)."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.predict.faces import open_detector
from mien.predict.pipeline import load

MEDIA = Path(__file__).parents[3] / "shared/media"
REAL = Path(os.environ["MIEN_YUNET"])


def test_the_real_one_finds_the_faces_of_photographs() -> None:
    model = load(detector="yunet", detector_model=REAL, views=1)
    for name, faces in (("multi_face.jpg", 5), ("single_face.jpg", 1), ("0-f1-su-ph.jpg", 1),
                        ("Image_with_alpha.png", 1), ("no_face.jpg", 0)):  # fmt: skip
        assert len(model.predict(MEDIA / name)) == faces, name


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1), (31, 33), (641, 639)])
def test_the_real_one_takes_pictures_of_any_shape(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    assert open_detector("yunet", model_file=REAL).detect(noise) == []


def test_the_real_one_finds_a_small_lit_face_in_the_dark() -> None:
    photo = cv2.imread(str(MEDIA / "single_face.jpg"))[:, :, ::-1]
    yunet = open_detector("yunet", model_file=REAL)
    (box,) = (found.box for found in yunet.detect(np.ascontiguousarray(photo)))
    top, left, side = (max(0, int(value)) for value in (box.top, box.left, box.width))
    face = cv2.resize(photo[top : top + side, left : left + side], (64, 64),
                      interpolation=cv2.INTER_AREA)  # fmt: skip
    dark = np.full((480, 640, 3), 6, np.uint8)
    dark[200:264, 301:365] = face
    (found,) = yunet.detect(dark)
    assert found.box.left + found.box.width / 2 == pytest.approx(333, abs=6)
    assert found.box.top + found.box.height / 2 == pytest.approx(232, abs=6)
