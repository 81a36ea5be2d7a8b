"""A classifier and a detector that answer what a test wants, and pictures with drawn faces."""

import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data import nonfaces
from mien.labels import CLASSES
from mien.models.confidence import Confidence
from mien.types import Box, Detection, Scores


class FakeClassifier:
    """Says ``happy`` with the mean brightness as its probability; dark crops are no faces."""

    classes = tuple(CLASSES)
    name, backend = "fake", "onnx"
    card: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, *, size: int = 48, channels: int = 1, novelty: float | None = 0.0) -> None:
        self.size, self.channels, self.novelty_threshold = size, channels, novelty
        self.confidence = Confidence(thresholds={0.1: 0.8, 0.2: 0.6})
        self.batches: list[int] = []
        self._lock = threading.Lock()

    def classify(self, crops: NDArray[np.uint8]) -> Scores:
        assert crops.dtype == np.uint8
        assert crops.shape[1:] == (self.channels, self.size, self.size)
        with self._lock:
            self.batches.append(len(crops))
        bright = crops.reshape(len(crops), -1).mean(axis=1) / 255
        happy = self.classes.index("happy")
        rest = (1 - bright) / (len(self.classes) - 1)
        rows = np.repeat(rest[:, None], len(self.classes), axis=1)
        rows[:, happy] = bright
        novelty = None if self.novelty_threshold is None else (0.5 - bright).astype(np.float32)
        return Scores(probabilities=rows.astype(np.float32), novelty=novelty)


class FakeDetector:
    """Says the same of every picture."""

    name, sure = "fake", 10.0

    def __init__(self, *found: Detection) -> None:
        self.found = list(found)

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        return self.found


def detection(left: float, top: float, side: float, score: float = 50.0) -> Detection:
    return Detection(box=Box(left=left, top=top, width=side, height=side), score=score)


def with_face(
    face: NDArray[np.uint8], side: int, left: int, top: int, *, tilt: float = 0.0
) -> NDArray[np.uint8]:
    """A drawn face, side×side, tilted clockwise, in a picture of 360×480 of blurred noise."""
    under = nonfaces.generate("blurred noise", 1, seed=3, size=480)[0, 0, :360]
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    edge = np.clip((np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5) / 8, 0, 1)
    there = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), -tilt, 1.0)
    there[:, 2] += (left, top)
    size = (under.shape[1], under.shape[0])
    shown = cv2.warpAffine(large, there, size, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(np.minimum.outer(edge, edge), there, size)
    grey = np.round(under * (1 - mask) + shown * mask).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
