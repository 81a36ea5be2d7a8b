"""Detectors: what is found and where, merging of windows, threads, and bad arguments."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mien.data.synthetic import generate
from mien.errors import ModelFileError, OptionError
from mien.predict.boxes import apart
from mien.predict.faces import finer, open_detector
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


def grouped_by_definition(windows: np.ndarray, least: float) -> list[np.ndarray]:
    """Each with each, and all anew for each group."""
    groups = []
    while len(windows):
        x, y, side = windows[:, :3].T
        larger = np.maximum(side[:, None], side)
        agree = np.hypot(x[:, None] - x, y[:, None] - y) < 0.3 * larger
        agree &= larger < 1.5 * np.minimum(side[:, None], side)
        best = agree.sum(axis=1).argmax()
        group = windows[agree[best]]
        x, y, side, angle, _ = group.T
        groups.append(np.array([x.mean(), y.mean(), np.exp(np.log(side).mean()), angle.mean(),
                                len(group)]))  # fmt: skip
        windows = windows[~agree[best]]
    return [group for group in groups if group[4] >= least]


def test_thousands_of_windows_are_merged_as_a_few_are() -> None:
    """A class photo searched finely: none of its windows is left out, whichever come last."""
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(np.arange(10), np.arange(8)), axis=2).reshape(-1, 2) * 130.0 + 90
    small = np.concatenate([
        np.column_stack([rng.normal(place, 4, (50, 2)), rng.uniform(44, 56, 50)])
        for place in places
    ])  # fmt: skip
    small = np.column_stack([small, np.zeros(len(small)), np.ones(len(small))])
    large = np.array([[1800, 500, 400, 0, 1]] * 6 + [[1800, 1200, 380, 22, 1]] * 6, float)
    windows = np.concatenate([small, large])
    windows = windows[np.lexsort(windows.T)]
    assert len(windows) > 4000
    found = _merged(windows, least=4.0)
    expected = grouped_by_definition(windows, 4.0)
    assert len(found) == len(expected) == 82
    key = lambda group: (round(group[0]), round(group[1]))  # noqa: E731
    for one, other in zip(sorted(found, key=key), sorted(expected, key=key), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    assert {(round(one[2]), one[3]) for one in found if one[2] > 100} == {(400, 0), (380, 22)}


def test_windows_anywhere_are_merged_by_the_definition() -> None:
    rng = np.random.default_rng(1)
    for number in (1, 7, 300):
        windows = np.column_stack([
            rng.uniform(0, 400, (number, 2)), rng.uniform(24, 160, number),
            rng.choice([-22.0, 0, 22], number), np.ones(number),
        ])  # fmt: skip
        expected = apart(grouped_by_definition(windows, 2.0))
        np.testing.assert_allclose(_merged(windows, least=2.0), expected, rtol=1e-9)


def test_a_finer_search_is_advised_where_it_would_show_more() -> None:
    haar, none = HaarDetector(), open_detector("none")
    # 640 × 480 pixels with a border of 0.08 of the shorter side on each side.
    assert haar.factor(3000, 4000, 640) == pytest.approx(0.16 / (1.16 * 1.12) ** 0.5)
    assert finer(haar, 3000, 4000) == (1280, haar.factor(3000, 4000, 640))
    assert finer(haar, 200, 1000) is None  # searched as it is
    assert finer(haar, 480, 640) is None
    assert finer(HaarDetector(working=2400), 6000, 9000) == (4096, pytest.approx(0.24, abs=0.03))
    assert finer(HaarDetector(working=4096), 9000, 9000) is None
    assert finer(none, 9000, 9000) is None


def test_large_searches_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    together, most = 0, {}

    def windows(self: HaarDetector, grey: np.ndarray, *one: object) -> np.ndarray:
        nonlocal together
        together += 1
        most[self.working] = max(most.get(self.working, 0), together)
        time.sleep(0.02)
        together -= 1
        return np.empty((0, 5))

    monkeypatch.setattr(HaarDetector, "_windows", windows)
    for working in (1280, 1281):
        haar = HaarDetector(working=working, quick=True)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(haar.detect, [np.zeros((60, 60, 3), np.uint8)] * 4))
    assert most[1280] > 1
    assert most[1281] == 1


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
