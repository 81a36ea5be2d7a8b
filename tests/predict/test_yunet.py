"""YuNet's boxes as squares: a network that sees bars, whose place and tilt are known by hand."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import ModelFileError, OptionError
from mien.models import bundled
from mien.predict.faces import finer, open_detector
from mien.predict.yunet import YuNetDetector, _in_full_range, _noise, _one_face


class SeesBars:
    """A box of 80×100 about each white bar, the surer the more upright the bar stands."""

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 - OpenCV's name
        self.size = size

    def detect(self, seen: np.ndarray) -> tuple[int, np.ndarray | None]:
        assert seen.shape[1::-1] == self.size
        white = (seen.min(axis=2) > 128).astype(np.uint8)
        number, names = cv2.connectedComponents(white)
        rows = []
        for name in range(1, number):
            y, x = np.nonzero(names == name)
            off = np.stack([x - x.mean(), y - y.mean()])
            long = np.linalg.eigh(off @ off.T)[1][:, 1]
            score = 0.9 * abs(long[1])
            if score > 0.5 and len(x) > 200:
                rows.append([x.mean() - 40, y.mean() - 50, 80, 100, *[0] * 10, score])
        return len(rows), np.array(rows, np.float32) if rows else None


@pytest.fixture
def yunet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> YuNetDetector:
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *given: SeesBars())
    (tmp_path / "bars.onnx").touch()
    return YuNetDetector(tmp_path / "bars.onnx")


def bar(x: int, y: int, tilt: float, length: int = 70) -> np.ndarray:
    """A white bar in a black picture of 640×480, tilted clockwise by so many degrees."""
    picture = np.zeros((480, 640, 3), np.uint8)
    corners = cv2.boxPoints(((x, y), (18, length), tilt)).round().astype(np.int32)
    return cv2.fillConvexPoly(picture, corners, (255, 255, 255))


@pytest.mark.parametrize(
    ("tilt", "angle"),
    [(0, 0), (8, 0), (-8, 0), (16, 0), (-16, 0), (30, 30), (-30, -30), (45, 30), (-40, -30)],
)
def test_a_tilted_head_is_found_where_it_is(
    yunet: YuNetDetector, tilt: float, angle: float
) -> None:
    (found,) = yunet.detect(bar(400, 200, tilt))
    assert found.box.angle == angle
    assert found.box.left + found.box.width / 2 == pytest.approx(400, abs=1.5)
    assert found.box.top + found.box.height / 2 == pytest.approx(200, abs=1.5)
    assert found.box.width == found.box.height == pytest.approx(0.5 * 80 + 0.58 * 100)
    assert found.score == pytest.approx(0.9 * np.cos(np.deg2rad(tilt - angle)), abs=0.01)


def test_small_pictures_are_enlarged_and_large_ones_reduced(yunet: YuNetDetector) -> None:
    large = cv2.resize(bar(400, 200, 0), (1280, 960), interpolation=cv2.INTER_NEAREST)
    (found,) = yunet.detect(large)
    assert found.box.width == pytest.approx(2 * 98)
    assert found.box.left + found.box.width / 2 == pytest.approx(800, abs=2)
    small = bar(320, 240, 0, length=200)[150:330, 250:390][:100, :80]
    (found,) = yunet.detect(small)
    assert found.box.width == pytest.approx(98 / 3)
    assert found.box.left + found.box.width / 2 == pytest.approx(70, abs=1)
    (found,) = yunet.detect(cv2.resize(bar(400, 200, 30), (1280, 960)))
    assert found.box.angle == 30
    assert found.box.left + found.box.width / 2 == pytest.approx(800, abs=3)
    assert found.box.top + found.box.height / 2 == pytest.approx(400, abs=3)


def rows(*boxes: tuple[float, float, float, float, float]) -> np.ndarray:
    """As YuNet gives them: left, top, width, height and score; the points are not looked at."""
    return np.array([[*box[:4], *[0] * 10, box[4]] for box in boxes], np.float32)


def test_two_heads_are_two_and_the_larger_comes_first(yunet: YuNetDetector) -> None:
    both = np.maximum(bar(150, 200, 0), bar(480, 250, 30))
    assert {found.box.angle for found in yunet.detect(both)} == {0, 30}
    large, small = (300, 200, 200, 200, 0.8), (100, 100, 50, 50, 0.9)
    yunet._searches = {640: (0.0,)}
    yunet._network.detect = lambda seen: (2, rows(small, large))
    assert [found.box.width for found in yunet.detect(bar(9, 9, 0))] == pytest.approx([216, 54])
    assert yunet.detect(np.zeros((480, 640, 3), np.uint8)) != []
    yunet._network.detect = lambda seen: (0, None)
    assert yunet.detect(bar(9, 9, 0)) == []


def test_a_small_face_beside_a_large_one_stays(yunet: YuNetDetector) -> None:
    """One search has kept its boxes apart itself; what two of them find in one place is one."""
    parent, child = (200, 200, 185, 185, 0.90), (360, 290, 74, 74, 0.89)
    yunet._searches = {640: (0.0,)}
    yunet._network.detect = lambda seen: (2, rows(parent, child))
    assert len(yunet.detect(bar(9, 9, 0))) == 2
    middle = (280, 200, 80, 80)
    given = iter([rows((*middle, 0.80)), rows((*middle, 0.84)), rows((*middle, 0.70))])
    yunet._searches = {640: (0.0, 30.0, -30.0)}
    yunet._network.detect = lambda seen: (1, next(given))
    (found,) = yunet.detect(bar(9, 9, 0))  # 320, 240 is the middle of the picture, which turns
    assert (found.box.angle, found.score) == (0, pytest.approx(0.80))


def test_boxes_without_extent_are_none(yunet: YuNetDetector) -> None:
    yunet._searches = {640: (0.0,)}
    both = rows((300, 200, 0, 100, 0.9), (300, 200, 80, 100, 0.9))
    yunet._network.detect = lambda seen: (2, both)
    assert [found.box.width for found in yunet.detect(bar(9, 9, 0))] == [pytest.approx(98)]


def test_quick_looks_for_upright_heads_alone(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *given: SeesBars())
    (tmp_path / "bars.onnx").touch()
    quick = open_detector("yunet", model_file=tmp_path / "bars.onnx", quick=True)
    assert len(quick.detect(bar(400, 200, 8))) == 1
    assert quick.detect(bar(400, 200, 70)) == []
    for size in (9, 5000):
        with pytest.raises(OptionError, match=f"size is {size}; give 64 to 4096 pixels"):
            open_detector("yunet", model_file=tmp_path / "bars.onnx", working=size)
    with pytest.raises(OptionError, match="least between 0 and 1, not 2"):
        open_detector("yunet", model_file=tmp_path / "bars.onnx", least=2)


class Sees:
    """A box about each bar that is 40 to 90 pixels long as searched; says what it was shown."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 - OpenCV's name
        self.sizes.append(size)

    def detect(self, seen: np.ndarray) -> tuple[int, np.ndarray | None]:
        _, _, about, middles = cv2.connectedComponentsWithStats((seen[..., 0] > 128).astype("u1"))
        found = [
            (x - high / 2, y - high / 2, high, high, 0.9)
            for (x, y), (_, _, _, high, _) in zip(middles[1:], about[1:], strict=True)
            if 40 <= high <= 90
        ]
        return len(found), rows(*found) if found else None


def test_a_finer_search_finds_small_faces_and_loses_no_large_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *given: Sees())
    (tmp_path / "bars.onnx").touch()
    many = sum(bar(x, 240, 0, length) for x, length in ((80, 24), (240, 42), (480, 80)))
    found = {}
    for working in (640, 1280):
        yunet = open_detector("yunet", model_file=tmp_path / "bars.onnx", working=working)
        yunet._searches = dict.fromkeys(yunet._searches, (0.0,))
        yunet._network.sizes.clear()
        found[working] = [round(one.box.width / 1.08) for one in yunet.detect(many)]
        sizes = yunet._network.sizes
        assert sizes == [(640, 480), (1280, 960)][: len(sizes)]
        assert len(sizes) == working // 640
    # 42 is found at both sizes and stands for one face.
    assert found[640] == pytest.approx([80, 42], abs=2)
    assert found[1280] == pytest.approx([80, 42, 24], abs=2)


def test_its_file_and_settings_are_part_of_its_identity(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *given: Sees())
    said = []
    for content, options in ((b"one", {}), (b"two", {}), (b"one", {"least": 0.6}), (b"one", {})):
        (tmp_path / "bars.onnx").write_bytes(content)
        said.append(YuNetDetector(tmp_path / "bars.onnx", **options).settings)
    assert said[0] == said[3]
    assert said[0] not in said[1:3]
    assert said[0]["checksum"] == hashlib.sha256(b"one").hexdigest()


def test_of_a_small_picture_searches_at_one_size_are_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *given: Sees())
    (tmp_path / "bars.onnx").touch()
    yunet = open_detector("yunet", model_file=tmp_path / "bars.onnx", working=2560)
    assert yunet._searches == {640: (0.0, 30.0, -30.0), 2560: (0.0,), 1280: (0.0,)}
    yunet._network.sizes.clear()
    yunet.detect(np.zeros((100, 150, 3), np.uint8))
    assert yunet._network.sizes == [(450, 300)]


def test_sizes_near_the_usual_take_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *given: Sees())
    (tmp_path / "bars.onnx").touch()
    for working, sizes in ((400, {400}), (700, {700}), (800, {640, 800}), (1281, {640, 1281})):
        yunet = YuNetDetector(tmp_path / "bars.onnx", working=working)
        assert set(yunet._searches) == sizes
    # It enlarges small pictures, so a finer search shows more of those as well.
    usual = YuNetDetector(tmp_path / "bars.onnx")
    assert finer(usual, 480, 640) == (1280, 1.0)
    assert finer(usual, 100, 200) is None


def test_noise_in_the_dark_is_smoothed_before_it_is_enlarged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """White noise of deviation 1 has 1 / (2s√π) behind a Gaussian of deviation s."""
    shown = []

    class Shown(Sees):
        def detect(self, seen: np.ndarray) -> tuple[int, None]:
            shown.append(seen)
            return 0, None

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *given: Shown())
    (tmp_path / "bars.onnx").touch()
    yunet = YuNetDetector(tmp_path / "bars.onnx", quick=True)
    dark = np.random.default_rng(0).normal(30, 3, (240, 320, 1)).round().astype(np.uint8)
    shown.clear()
    yunet.detect(dark.repeat(3, axis=2))
    (seen,) = shown
    assert seen.shape == (480, 640, 3)  # enlarged twice
    stretched = 3 * 255 / (np.percentile(dark, 99.9) - np.percentile(dark, 1))
    behind = stretched / (2 * 2.0 * np.sqrt(np.pi))
    # Smoothed after it was enlarged, it would be twice as strong.
    assert seen[8:-8, 8:-8, 1].astype(float).std() == pytest.approx(behind, rel=0.15)


def test_a_small_face_stays_before_a_large_one_that_another_size_shows() -> None:
    parent, child = np.array([320, 240, 200, 0, 0.9, 1.0]), np.array([400, 320, 80, 0, 0.8, 2.0])
    again = np.array([322, 238, 180, 0, 0.85, 2.0])
    assert _one_face(parent, again)
    assert not _one_face(parent, child)
    assert not _one_face(again, child)  # one search, which kept them apart itself
    assert _one_face(parent, np.array([400, 320, 80, 30, 0.8, 1.0]))  # as before for turned ones


def test_contrast_is_stretched_between_its_ends() -> None:
    flat = np.repeat(np.arange(80, 181, dtype=np.uint8), 32).reshape(101, 32, 1).repeat(3, axis=2)
    full = _in_full_range(flat).astype(float)
    low, high = np.percentile(flat[::2, ::2], (1, 99.9))
    expected = np.clip((flat - low) / (high - low) * 255, 0, 255)
    assert np.abs(full - expected).max() <= 0.5
    dark = np.random.default_rng(0).normal(20, 3, (60, 60, 1)).clip(0, 255).astype(np.uint8)
    smooth = _in_full_range(dark.repeat(3, axis=2))
    assert 90 < smooth.mean() < 130
    # White noise of 255/(2.33 + 3.09) after stretching, over a Gaussian of σ = 2: a 7.1th of it.
    assert smooth.std() == pytest.approx(255 / 5.42 / (2 * 2 * np.pi**0.5), rel=0.25)
    clean = np.linspace(20, 40, 60).round().astype(np.uint8).reshape(60, 1, 1)
    clean = np.broadcast_to(clean, (60, 60, 3)).copy()
    clean[20:40, 20:40] = 45
    edge = _in_full_range(clean)[30, 18:22, 0].astype(int)
    assert np.abs(np.diff(edge)).max() > 100  # no noise: a step of the picture stays one
    lit = np.full((480, 640, 3), 6, np.uint8)
    lit[200:240, 300:340] = np.arange(60, 220, 4, dtype=np.uint8)[None, :, None]
    assert len(np.unique(_in_full_range(lit)[200:240, 300:340])) > 30  # half a percent, not white
    grey = np.full((40, 40, 3), 77, np.uint8)
    assert (_in_full_range(grey) == grey).all()


@pytest.mark.parametrize("deviation", [0.0, 5.0, 10.0, 20.0])
def test_noise_is_estimated(deviation: float) -> None:
    """White noise on a slope with a step, which has none itself."""
    picture = np.linspace(60, 180, 120)[:, None] + np.zeros((120, 120))
    picture[40:80, 40:80] += 30
    picture += np.random.default_rng(0).normal(scale=deviation, size=picture.shape)
    grey = picture.round().clip(0, 255).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    assert _noise(grey) == pytest.approx(deviation, rel=0.06, abs=0.5)


def test_another_network_is_refused_in_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelFileError, match=r"tiny\.onnx: OpenCV cannot run it as a YuNet"):
        open_detector("yunet", model_file=bundled.FOLDER / "tiny.onnx")
    assert capfd.readouterr() == ("", "")  # OpenCV has nothing to add
