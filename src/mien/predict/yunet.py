"""Faces by YuNet, a small network of OpenCV's zoo, from a file that the user has.

Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research
20:656. Its five points give the square: from the eyes and the corners of the mouth to the place,
size and angle that FER2013's crops have.
"""

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelFileError, OptionError
from mien.types import Box, Detection

# Where FER2013's squares have the middles of the eyes and of the mouth's corners, as parts of the
# side from the square's middle; see docs/results/detection.md for how they were found.
_EYES_DOWN, _MOUTH_DOWN = -0.13, 0.27
_MOST_DEGREES = 12.0  # up to this FER2013's faces are tilted too, and are left as they are


class YuNetDetector:
    """YuNet through ``cv2.FaceDetectorYN``.

    Args:
        model_file: ``face_detection_yunet_….onnx``.
        working: pictures are made smaller to this many pixels along their longer side.
        least: the lowest score, 0..1, that counts as a face.

    Raises:
        ModelFileError: the file is missing, or no YuNet.
        OptionError: a value out of its range.
    """

    name = "yunet"
    sure = 0.0

    def __init__(self, model_file: Path, *, working: int = 800, least: float = 0.5) -> None:
        if working < 64 or not 0 < least < 1:
            raise OptionError(f"yunet: working from 64 on and least between 0 and 1, not {working} "
                              f"and {least:g}")  # fmt: skip
        if not model_file.is_file():
            raise ModelFileError(f"{model_file}: no such file; give YuNet's .onnx")
        self.working, self.least = working, least
        self._lock = threading.Lock()
        try:
            self._network = cv2.FaceDetectorYN.create(str(model_file), "", (320, 320), least)
            self.detect(np.zeros((64, 64, 3), np.uint8))
        except cv2.error as error:
            raise ModelFileError(
                f"{model_file}: OpenCV cannot run it as a YuNet (face_detection_yunet_….onnx)"
            ) from error

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        """See ``Detector.detect``. One thread at a time; the score is the network's, 0..1."""
        height, width = picture.shape[:2]
        factor = min(1.0, self.working / max(height, width))
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        if factor < 1:
            small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
        with self._lock:
            self._network.setInputSize(size)
            _, rows = self._network.detect(small)
        found = [] if rows is None else [_detection(row / [*[factor] * 14, 1]) for row in rows]
        return sorted(found, key=lambda one: -one.box.width)


def _detection(row: NDArray[np.float64]) -> Detection:
    """A row of YuNet: x, y, w, h, right eye, left eye, nose, right and left corner, score."""
    right_eye, left_eye, _, right_corner, left_corner = row[4:14].reshape(5, 2)
    eyes, mouth = (right_eye + left_eye) / 2, (right_corner + left_corner) / 2
    down = mouth - eyes
    # Seen from the side the eyes come together while eyes and mouth do not, so these say the size;
    # the box's own size stands in where the points have collapsed.
    side = float(max(np.hypot(*down) / (_MOUTH_DOWN - _EYES_DOWN), 0.6 * row[3]))
    across = left_eye - right_eye
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    angle = angle if _MOST_DEGREES < abs(angle) < 60 else 0.0
    turn = np.deg2rad(angle)
    middle = eyes - _EYES_DOWN * side * np.array([-np.sin(turn), np.cos(turn)])
    box = Box(left=float(middle[0]) - side / 2, top=float(middle[1]) - side / 2, width=side,
              height=side, angle=angle)  # fmt: skip
    return Detection(box=box, score=float(row[14]))
