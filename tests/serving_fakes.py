"""A server with a classifier and a detector of our choosing; run as a script it serves them."""

import json
import os
import sys
import time
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mien.app.server.running import bind, serve
from mien.app.server.settings import Settings, State
from mien.jobs.serving import Service
from mien.labels import CLASSES
from mien.models.confidence import Confidence
from mien.predict.pipeline import Predictor
from mien.types import Box, Detection, Scores


class BrightClassifier:
    """The brighter a part of the crop, the likelier a class; black crops are no face.

    Slow on purpose: ``delay`` seconds a call and ``each`` for a crop.
    """

    classes, size, channels, name, backend = CLASSES, 48, 1, "bright", "onnx"
    confidence = Confidence(thresholds={0.2: 0.3})
    novelty_threshold = 5.0
    card: ClassVar[dict[str, Any]] = {"checksum": "0123456789abcdef"}

    def __init__(self, delay: float = 0.0, each: float = 0.0) -> None:
        self.delay, self.each, self.calls = delay, each, []

    def classify(self, crops: NDArray[np.uint8]) -> Scores:
        self.calls.append(len(crops))
        time.sleep(self.delay + self.each * len(crops))
        parts = crops.reshape(len(crops), -1)[:, : 7 * 329].reshape(-1, 7, 329)
        logits = parts.mean(axis=2) / 40
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        novelty = np.where(crops.reshape(len(crops), -1).max(axis=1) == 0, 9.0, 1.0)
        return Scores(probabilities=shares.astype(np.float32), novelty=novelty.astype(np.float32))


class MiddleDetector:
    """One face in the middle of a picture from 64 pixels on; none in smaller ones."""

    name = "middle"

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        height, width = picture.shape[:2]
        if min(height, width) < 64:
            return []
        side = min(height, width) / 2
        box = Box(left=(width - side) / 2, top=(height - side) / 2, width=side, height=side)
        return [Detection(box=box, score=12.0)]


def predictor(delay: float = 0.0, each: float = 0.0) -> Predictor:
    return Predictor(BrightClassifier(delay, each), MiddleDetector())


def main() -> None:
    given = json.loads(os.environ.get("HOUSE", "{}"))
    made = predictor(given.pop("delay", 0.0), given.pop("each", 0.0))
    most = given.pop("most", 64)

    def make(state: State) -> Service:
        return Service(made, told=state.metrics.batch, workers=2, most=most)

    def ready(address: str) -> None:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()

    serve(Settings(**given), bind("127.0.0.1", 0), make=make, ready=ready)
    sys.stdout.write("ended\n")


if __name__ == "__main__":
    sys.exit(main())
