"""Detectors: what is found and where, merging of windows, threads, and bad arguments."""

import threading
from pathlib import Path

import numpy as np
import pytest

from mien.data.synthetic import generate
from mien.errors import ModelFileError, OptionError
from mien.predict.faces import open_detector
from mien.predict.haar import HaarDetector, _merged
from predict_fakes import with_face


@pytest.fixture(scope="module")
def haar() -> HaarDetector:
    return HaarDetector(working=480)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return generate(12, seed=0).images[:, 0]


def best(haar: HaarDetector, picture: np.ndarray) -> tuple[float, float, float, float, float]:
    found = max(haar.detect(picture), key=lambda one: one.score)
    box = found.box
    return (box.left + box.width / 2, box.top + box.height / 2, box.width, box.angle, found.score)


def test_drawn_faces_are_found_where_they_are(haar: HaarDetector, faces: np.ndarray) -> None:
    seen = 0
    for face in faces[:5]:
        x, y, side, angle, score = best(haar, with_face(face, 70, 60, 40)[:150, :200])
        near = np.hypot(x - 95, y - 75) < 12 and 50 < side < 90
        seen += bool(near and score >= haar.sure and angle == 0)
    assert seen >= 4


def test_a_tilted_face_is_turned_upright(haar: HaarDetector, faces: np.ndarray) -> None:
    for tilt in (24.0, -24.0):
        pictures = [with_face(faces[n], 80, 60, 40, tilt=tilt)[:160, :200] for n in range(3)]
        angles = [best(haar, picture)[3] for picture in pictures]
        assert sum(12 < angle * np.sign(tilt) < 30 for angle in angles) >= 2


def test_a_large_picture_is_searched_at_a_bounded_size(faces: np.ndarray) -> None:
    picture = np.kron(with_face(faces[0], 120, 200, 90), np.ones((4, 4, 1), np.uint8))
    numbers = x, y, side, *_ = best(HaarDetector(working=360, quick=True), picture)
    assert np.hypot(x - 1040, y - 600) < 80
    assert 340 < side < 600
    assert {type(number) for number in numbers} == {float}  # np.float64(…) is ugly to print


def test_at_a_larger_size_smaller_faces_are_found(faces: np.ndarray) -> None:
    found = {640: 0, 1600: 0}
    for face in faces[:4]:
        picture = np.pad(with_face(face, 50, 100, 80), ((620, 220), (700, 420), (0, 0)), "reflect")
        for working in found:
            quick = open_detector("haar", working=working, quick=True)
            boxes = [one.box for one in quick.detect(picture)]
            found[working] += any(np.hypot(box.left - 800, box.top - 700) < 20 for box in boxes)
    assert found[640] == 0
    assert found[1600] >= 3


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (1, 20_000), (48, 48), (200, 20)])
def test_odd_shapes_have_no_faces(haar: HaarDetector, shape: tuple[int, int]) -> None:
    assert haar.detect(np.full((*shape, 3), 128, np.uint8)) == []


def test_many_threads_see_what_one_sees(haar: HaarDetector, faces: np.ndarray) -> None:
    pictures = [with_face(face, 60, 40, 50)[:130, :130] for face in faces[:4]]
    alone = [haar.detect(picture) for picture in pictures]
    together: list[object] = [None] * 4

    def work(n: int) -> None:
        together[n] = haar.detect(pictures[n])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert together == alone
    assert all(found == sorted(found, key=lambda one: -one.box.width) for found in alone)


def test_windows_that_agree_are_merged_by_hand() -> None:
    """Two windows of one face, three of another beside it, one alone; weights are votes."""
    windows = np.array([
        [50, 50, 40, 0, 1], [54, 50, 40, 22, 1],
        [150, 80, 30, 0, 1], [150, 82, 30, 0, 1], [153, 81, 30, 0, 2],
        [300, 20, 25, 0, 1],
    ], dtype=float)  # fmt: skip
    first, second = _merged(windows, least=2.0)
    np.testing.assert_allclose(first, [151.5, 81, 30, 0, 4])
    np.testing.assert_allclose(second, [52, 50, 40, 11, 2])
    assert len(_merged(windows, least=1.0)) == 3
    assert _merged(np.empty((0, 5)), least=1.0) == []


def test_a_weaker_square_inside_a_stronger_is_dropped() -> None:
    windows = np.array([[50, 50, 60, 0, 3], [45, 60, 25, 0, 2], [120, 50, 60, 0, 2]], float)
    assert [row[0] for row in _merged(windows, least=1.0)] == [50, 120]


def test_bad_arguments(tmp_path: Path) -> None:
    for name, options, message in (
        ("hog", {}, "no detector is called 'hog'; there are haar, yunet, none"),
        ("haar", {"model_file": "x.onnx"}, "'haar' takes no model file"),
        ("yunet", {}, "needs its model: --detector-model FILE"),
        ("haar", {"size": 3}, "the detector 'haar': .*size"),
        ("haar", {"working": 10}, "size is 10; give 64 to 4096 pixels"),
        ("haar", {"smallest": 10}, "smallest from 20 and least from 0 on, not 10 and 4"),
        ("none", {"working": 640}, "'none' does not search"),
    ):
        with pytest.raises(OptionError, match=message):
            open_detector(name, **options)  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match="no such file"):
        open_detector("yunet", model_file=tmp_path / "none.onnx")
    (tmp_path / "other.onnx").write_bytes(b"no network")
    with pytest.raises(ModelFileError, match="cannot run it as a YuNet"):
        open_detector("yunet", model_file=tmp_path / "other.onnx")
    assert open_detector("none").detect(np.zeros((9, 9, 3), np.uint8)) == []
