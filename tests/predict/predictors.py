"""A Predictor whose detector finds bright squares and whose classifier knows brightness."""

import numpy as np

from mien.models.confidence import Confidence
from mien.predict.pipeline import Predictor
from mien.types import Box, Detection, Scores


class Bright:
    """The happier, the brighter; novelty where it is very bright."""

    classes = ("happy", "sad")
    size, channels = 8, 1
    confidence = Confidence(thresholds={0.2: 0.7})
    novelty_threshold = 0.95
    name, backend = "bright", "onnx"

    def __init__(self):
        self.batches = []
        self.card = {"checksum": "1"}

    def classify(self, crops):
        self.batches.append(len(crops))
        happy = (crops.reshape(len(crops), -1).mean(axis=1) / 255).astype(np.float32)
        return Scores(probabilities=np.stack([happy, 1 - happy], axis=1), novelty=happy)


class Squares:
    """Finds what is not black."""

    name = "squares"

    def detect(self, picture):
        rows, columns = np.nonzero(picture.max(axis=2) > 20)
        if not len(rows):
            return []
        left, top = int(columns.min()), int(rows.min())
        side = int(columns.max()) - left + 1
        return [Detection(box=Box(left=left, top=top, width=side, height=side), score=9.0)]


def predictor(**options):
    return Predictor(Bright(), Squares(), **options)


def square(value, left=20, top=10, side=24, height=60, width=80):
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + side, left : left + side] = value
    return picture
