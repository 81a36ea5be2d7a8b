"""On pictures of people and places, where they are present; and on broken ones, memory bounded."""

import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

import mien
from mien.models import bundled
from mien.predict.faces import open_detector
from mien.predict.pictures import read_picture
from mien.predict.pipeline import Predictor
from mien.types import Box
from predict_fakes import FakeClassifier

_MEDIA = Path(__file__).parents[3] / "shared/media"
# Middles of the faces and their widths, as a person sees them.
_FACES = {
    "single_face.jpg": [(280, 265, 210)],
    "multi_face.jpg": [(266, 118, 100), (365, 292, 105), (479, 257, 90), (577, 365, 110),
                       (735, 350, 115)],
    "0-f1-su-ph.jpg": [(264, 275, 330)],
    "15-f13-anc-ph.jpg": [(222, 300, 300)],
    "Image_with_alpha.png": [(770, 420, 330)],
}  # fmt: skip

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def media() -> Path:
    if not _MEDIA.is_dir():
        pytest.skip(f"{_MEDIA} is not here")
    return _MEDIA


@pytest.fixture(scope="module")
def model() -> Predictor:
    """The default model; a helper's tree may lack it."""
    if not (bundled.FOLDER / bundled.INDEX).is_file():
        pytest.skip("no model is bundled yet")
    return mien.load()


def _fits(box: Box, face: tuple[int, int, int]) -> bool:
    x, y, width = face
    away = np.hypot(box.left + box.width / 2 - x, box.top + box.height / 2 - y)
    return bool(away < 0.25 * width and 0.7 < box.width / width < 1.7)


@pytest.mark.parametrize("name", _FACES)
def test_every_face_is_found_and_found_once(media: Path, name: str) -> None:
    """By the detector alone, which may find more that is none."""
    found = open_detector("haar").detect(read_picture(media / name))
    for face in _FACES[name]:
        assert sum(_fits(one.box, face) for one in found) == 1
    assert len(found) <= len(_FACES[name]) + 6


def test_the_pipeline_invents_nothing(media: Path, model: Predictor) -> None:
    for name, faces in _FACES.items():
        assert len(model.predict(media / name)) == len(faces), name
    assert model.predict(media / "no_face.jpg") == []


def test_no_face_in_the_film_without_one(media: Path, model: Predictor) -> None:
    film = cv2.VideoCapture(str(media / "no_face.mp4"))
    for number in range(0, 90, 30):
        film.set(cv2.CAP_PROP_POS_FRAMES, number)
        good, frame = film.read()
        assert good
        assert model.predict(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)) == []


def test_read_as_a_person_would(media: Path, model: Predictor) -> None:
    for name, label in (("single_face.jpg", "happy"), ("0-f1-su-ph.jpg", "surprise")):
        assert model.predict(media / name)[0].label == label
    happy = [face.label == "happy" for face in model.predict(media / "multi_face.jpg")]
    assert sum(happy) >= 4


_ALL_OF_THEM = """
import sys, zipfile
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from mien.errors import DataError
from mien.predict.faces import open_detector
from mien.predict.pipeline import Predictor
from predict_fakes import FakeClassifier
model = Predictor(FakeClassifier(), open_detector("haar", quick=True, working=200))
read = refused = 0
with zipfile.ZipFile(sys.argv[1]) as archive:
    for info in archive.infolist():
        if not info.is_dir():
            try:
                model.predict(archive.read(info))
                read += 1
            except DataError as error:
                assert "\\n" not in str(error)
                refused += 1
# Not ru_maxrss, which begins at what the parent held when it forked.
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(read, refused, int(peak) // 1024)
"""


def test_malformed_pictures_are_all_answered_in_little_memory(malformed: Path) -> None:
    here = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", _ALL_OF_THEM, str(malformed), here]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    read, refused, mebibytes = map(int, done.stdout.split())
    assert read + refused == 107
    assert read >= 70
    assert mebibytes < 500


def test_the_hopper_has_one_answer_in_every_orientation(malformed: Path) -> None:
    model = Predictor(FakeClassifier(), open_detector("none"))
    with zipfile.ZipFile(malformed) as archive:
        names = [n for n in archive.namelist() if "hopper_orientation_" in n and "jpg" in n]
        said = [model.predict(archive.read(name))[0].confidence for name in names]
    assert len(said) == 7
    assert max(said) - min(said) < 0.01
