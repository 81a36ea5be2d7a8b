"""Faces by YuNet, a small network of OpenCV's zoo, from a file that the user has.

Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research
20:656. Its boxes are brought to the squares that FER2013 would have cut by what was measured with
``face_detection_yunet_2023mar.onnx`` on faces pasted into pictures (docs/results/detection.md). Its
five points are not used: where a head is tilted by 30° they turn by 3, so tilted heads are looked
for in the picture turned both ways, as ``haar`` does; in its corners, which turn out of it, by
their upright search alone.
"""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelFileError, OptionError
from mien.predict.boxes import apart, check_size, common_area, turned
from mien.types import Box, Detection

_Floats = NDArray[np.float64]

# The side of FER2013's square as a sum of parts of a box's width and height; their middles agree.
_OF_WIDTH, _OF_HEIGHT = 0.50, 0.58
_TURN = 30.0
# A turned search finds upright heads too; it counts where it is surer by more than this.
_SURER = 0.05
_MOST_ENLARGED = 3.0
# Faces of 90 to 440 pixels are found best. A search that is finer than the usual one misses larger
# ones, so others are added, each at half of the one before, down to about the usual.
_USUAL, _FINER = 640, 1.25
# The smallest face that it was made for. Of pictures a pixel high OpenCV reads beyond the end: the
# same one gave no face in most runs, and faces far outside it in others.
_SMALLEST = 10
_DARK, _NOISY, _SMOOTHED = 80, 10.0, 2.0
_LAPLACIANS_APART = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)

_LOG_LEVEL = threading.Lock()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the lines of its own that OpenCV adds about a file that is no network."""
    with _LOG_LEVEL:  # one for the whole process
        loud = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(loud)


class YuNetDetector:
    """YuNet through ``cv2.FaceDetectorYN``.

    Args:
        model_file: ``face_detection_yunet_….onnx``.
        working: pictures are brought to this many pixels along their longer side, small ones to
            three times their size at most. More finds smaller faces, takes longer, and finds more
            that is none; above 640 large faces are looked for in the reduced picture besides, and
            tilted heads there alone.
        quick: look for upright faces only, in a third of the time, and at one size.
        least: the lowest score, 0..1, that counts as a face.

    Raises:
        ModelFileError: the file is missing, or no YuNet.
        OptionError: a value out of its range.
    """

    name = "yunet"
    sure = 0.3  # so that a pipeline bears with more novelty the surer it is, from 0.5 on

    def __init__(
        self, model_file: Path, *, working: int = 640, quick: bool = False, least: float = 0.5
    ) -> None:
        check_size(working)
        if not 0 < least < 1:
            raise OptionError(f"yunet: least between 0 and 1, not {least:g}")
        if not model_file.is_file():
            raise ModelFileError(f"{model_file}: no such file; give YuNet's .onnx")
        self._searches = _searches(working, quick=quick)
        self.settings = {"working": working, "quick": quick, "least": least,
                         "checksum": _checksum(model_file)}  # fmt: skip
        self._lock = threading.Lock()
        try:
            with _silent():
                self._network = cv2.FaceDetectorYN.create(str(model_file), "", (320, 320), least)
                self.detect(np.zeros((64, 64, 3), np.uint8))
        except cv2.error as error:
            raise ModelFileError(
                f"{model_file}: OpenCV cannot run it as a YuNet (face_detection_yunet_….onnx, "
                "232,589 bytes; a clone without Git LFS holds a pointer to it)"
            ) from error

    def factor(self, height: int, width: int, working: int) -> float:
        """By how much a picture would be enlarged, or reduced (below 1), to be searched."""
        return min(_MOST_ENLARGED, working / max(height, width))

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        """See ``Detector.detect``. One thread at a time; the score is the network's, 0..1."""
        squares: list[_Floats] = []
        factors: dict[float, tuple[float, ...]] = {}
        for longer, turns in self._searches.items():  # of a small picture several are one
            factors.setdefault(self.factor(picture.shape[0], picture.shape[1], longer), turns)
        for factor, turns in factors.items():
            if min(picture.shape[:2]) * factor < _SMALLEST:
                continue
            # Enlarged last: noise is the picture's own, pixel for pixel.
            seen = _resized(_in_full_range(_resized(picture, min(1.0, factor))), max(1.0, factor))
            seen = np.ascontiguousarray(seen[..., ::-1])  # OpenCV's order
            with self._lock:
                self._network.setInputSize(seen.shape[1::-1])
                found = [row for turn in turns for row in self._squares(seen, turn)]
            squares += [np.array([*(row[:3] / factor), *row[3:], factor]) for row in found]
        kept = apart(squares, _one_face)
        return [_detection(square) for square in sorted(kept, key=lambda s: -s[2])]

    def _squares(self, seen: NDArray[Any], turn: float) -> list[_Floats]:
        """Middle x, y, side, angle and score, less what a turned search must be surer by."""
        back: NDArray[Any] = np.eye(2, 3)
        if turn:
            seen, back = turned(seen, turn)
        _, rows = self._network.detect(seen)
        # In a picture a pixel high it finds boxes without any extent.
        found = [] if rows is None else [row.astype(float) for row in rows if min(row[2:4]) >= 1]
        return [_square(row, back, turn) for row in found]


def _checksum(model_file: Path) -> str:
    try:
        with model_file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelFileError(f"{model_file}: cannot be read ({error.strerror})") from error


def _searches(working: int, *, quick: bool) -> dict[int, tuple[float, ...]]:
    """By the longer side in pixels: the angles of heads that are looked for there."""
    if quick:
        return {working: (0.0,)}
    usual = working if working < _FINER * _USUAL else _USUAL  # two sizes that are alike add nothing
    searches: dict[int, tuple[float, ...]] = {usual: (0.0, _TURN, -_TURN)}
    while working >= _FINER * _USUAL:
        searches[working] = (0.0,)
        working //= 2
    return searches


def _resized(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _one_face(a: _Floats, b: _Floats) -> bool:
    """Whether two rows, with the size of their search at the end, are of one face.

    One search has kept its own apart already. A small face before a large one, which may have been
    found in different sizes of the picture, is another.
    """
    if (a[3], a[5]) == (b[3], b[5]):
        return False
    common = common_area(a, b)
    if a[3] == b[3]:
        return bool(common > 0.2 * (a[2] ** 2 + b[2] ** 2 - common))
    return bool(common >= 0.4 * min(a[2], b[2]) ** 2)


def _in_full_range(seen: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Its contrast stretched: of faces at a quarter of it one in four would be missed.

    Where there is less than a third, noise is stretched too: it hides nine faces in ten or, once
    enlarged, looks like hundreds. So it is smoothed then, if there is any (as in Immerkær 1996,
    "Fast Noise Variance Estimation", by the median, which texture moves less than the mean).
    """
    # The upper end so high that a small lit face in the dark is not taken for noise.
    low, high = np.percentile(seen[::2, ::2], (1, 99.9))
    if high - low < 1:
        return seen
    stretched = (np.arange(256.0) - low) * (255 / (high - low))
    full = cv2.LUT(seen, np.clip(np.round(stretched), 0, 255).astype(np.uint8))
    if high - low < _DARK and _noise(full) > _NOISY:
        full = cv2.GaussianBlur(full, (0, 0), _SMOOTHED)
    return np.asarray(full, np.uint8)


def _noise(seen: NDArray[Any]) -> float:
    """The standard deviation of white noise in the picture's green, of flat places and slopes."""
    second = cv2.filter2D(seen[..., 1], cv2.CV_32F, _LAPLACIANS_APART)
    return float(np.median(np.abs(second))) / (0.6745 * 6)


def _square(row: _Floats, back: _Floats, turn: float) -> _Floats:
    """A row of YuNet, left, top, width, height, five points and score, as FER2013 would cut."""
    left, top, width, height = row[:4]
    middle = back @ np.array([left + width / 2, top + height / 2, 1.0])
    side = _OF_WIDTH * width + _OF_HEIGHT * height
    return np.array([*middle, side, turn, row[14] - (_SURER if turn else 0)])


def _detection(square: _Floats) -> Detection:
    x, y, side = square[:3]
    angle = float(square[3])
    box = Box(left=float(x - side / 2), top=float(y - side / 2), width=float(side),
              height=float(side), angle=angle)  # fmt: skip
    return Detection(box=box, score=float(square[4] + (_SURER if angle else 0)))
