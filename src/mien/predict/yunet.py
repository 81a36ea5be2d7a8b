"""Faces by YuNet, a small network of OpenCV's zoo, from a file that the user has.

Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research
20:656. Its boxes are brought to the squares that FER2013 would have cut by what was measured with
``face_detection_yunet_2023mar.onnx`` on faces pasted into pictures (docs/results/detection.md). Its
five points are not used: where a head is tilted by 30° they turn by 3, so tilted heads are looked
for in the picture turned both ways, as ``haar`` does; in its corners, which turn out of it, by
their upright search alone.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelFileError, OptionError
from mien.predict.boxes import apart, turned
from mien.types import Box, Detection

_Floats = NDArray[np.float64]

# The side of FER2013's square as a sum of parts of a box's width and height; their middles agree.
_OF_WIDTH, _OF_HEIGHT = 0.50, 0.58
_TURN = 30.0
# A turned search finds upright heads too; it counts where it is surer by more than this.
_SURER = 0.05
_MOST_ENLARGED = 3.0
# The smallest face that it was made for. Of pictures a pixel high OpenCV reads beyond the end: the
# same one gave no face in most runs, and faces far outside it in others.
_SMALLEST = 10
_DARK, _SMOOTHED = 80, 2.0


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
            three times their size at most. More finds smaller faces, and takes longer.
        quick: look for upright faces only, in a third of the time.
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
        if working < 64 or not 0 < least < 1:
            raise OptionError(f"yunet: working from 64 on and least between 0 and 1, not {working} "
                              f"and {least:g}")  # fmt: skip
        if not model_file.is_file():
            raise ModelFileError(f"{model_file}: no such file; give YuNet's .onnx")
        self.working, self.least = working, least
        self._turns = (0.0,) if quick else (0.0, _TURN, -_TURN)
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

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        """See ``Detector.detect``. One thread at a time; the score is the network's, 0..1."""
        height, width = picture.shape[:2]
        factor = min(_MOST_ENLARGED, self.working / max(height, width))
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        if min(size) < _SMALLEST:
            return []
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        seen: NDArray[Any] = cv2.resize(picture, size, interpolation=how)
        seen = _in_full_range(cv2.cvtColor(seen, cv2.COLOR_RGB2BGR))
        with self._lock:
            self._network.setInputSize(size)
            squares = [square for turn in self._turns for square in self._squares(seen, turn)]
        kept = apart(squares, within_search=False)
        return [_detection(square, factor) for square in sorted(kept, key=lambda s: -s[2])]

    def _squares(self, seen: NDArray[Any], turn: float) -> list[_Floats]:
        """Middle x, y, side, angle and score, less what a turned search must be surer by."""
        back: NDArray[Any] = np.eye(2, 3)
        if turn:
            seen, back = turned(seen, turn)
        _, rows = self._network.detect(seen)
        # In a picture a pixel high it finds boxes without any extent.
        found = [] if rows is None else [row.astype(float) for row in rows if min(row[2:4]) >= 1]
        return [_square(row, back, turn) for row in found]


def _in_full_range(seen: NDArray[Any]) -> NDArray[Any]:
    """Its contrast stretched: of faces at a quarter of it one in four would be missed.

    Where there is less than a third, noise is stretched too and hides nine faces in ten; smoothed
    by a standard deviation of 2 pixels, two.
    """
    # The upper end so high that a small lit face in the dark is not taken for noise.
    low, high = np.percentile(seen[::2, ::2], (1, 99.9))
    if high - low < 1:
        return seen
    stretched = (np.arange(256.0) - low) * (255 / (high - low))
    full: NDArray[Any] = cv2.LUT(seen, np.clip(np.round(stretched), 0, 255).astype(np.uint8))
    return cv2.GaussianBlur(full, (0, 0), _SMOOTHED) if high - low < _DARK else full


def _square(row: _Floats, back: _Floats, turn: float) -> _Floats:
    """A row of YuNet, left, top, width, height, five points and score, as FER2013 would cut."""
    left, top, width, height = row[:4]
    middle = back @ np.array([left + width / 2, top + height / 2, 1.0])
    side = _OF_WIDTH * width + _OF_HEIGHT * height
    return np.array([*middle, side, turn, row[14] - (_SURER if turn else 0)])


def _detection(square: _Floats, factor: float) -> Detection:
    x, y, side = square[:3] / factor
    angle = float(square[3])
    box = Box(left=float(x - side / 2), top=float(y - side / 2), width=float(side),
              height=float(side), angle=angle)  # fmt: skip
    return Detection(box=box, score=float(square[4] + (_SURER if angle else 0)))
