"""A detector and classifier that answer what a test wants, behind the face of a Predictor."""

from types import SimpleNamespace

import numpy as np

from mien.types import Box, Detection, Face

CLASSES = ("happy", "sad")


def box(left, top, side=100.0):
    return Box(left=left, top=top, width=side, height=side)


class FakeReader:
    """``seen(picture)`` gives boxes, ``said(picture, box)`` (probability of happy, novelty).

    What of a Predictor the reading of clips needs.
    """

    def __init__(self, seen, said=lambda picture, box: (0.9, None), unsure=0.6, novel=None):
        self.seen, self.said, self.unsure_below = seen, said, unsure
        self.detections = self.classified = 0
        self.detector = SimpleNamespace(name="fake", detect=self._detect)
        self.classifier = SimpleNamespace(novelty_threshold=novel, classes=CLASSES)

    def _detect(self, picture):
        self.detections += 1
        return [Detection(box=b, score=1.0) for b in self.seen(picture)]

    def faces_at(self, pictures, boxes, *, views):
        assert views == 1  # a running mean takes the place of more
        return [[self._face(p, b) for b in one] for p, one in zip(pictures, boxes, strict=True)]

    def _face(self, picture, where):
        self.classified += 1
        happy, novelty = self.said(picture, where)
        label = "happy" if happy >= 0.5 else "sad"
        return Face(box=where, label=label, confidence=max(happy, 1 - happy), novelty=novelty,
                    probabilities={"happy": happy, "sad": 1 - happy})  # fmt: skip


class FakeClip:
    """Frames from memory."""

    def __init__(self, frames, name="fake", live=False):
        self._frames, self.name, self.live, self.notes = frames, name, live, []

    def frames(self):
        yield from self._frames


def texture(seed=0, height=240, width=320):
    """A picture with corners to follow, uint8 H×W×3."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 255, (height // 8, width // 8), dtype=np.uint8)
    return np.repeat(coarse.repeat(8, axis=0).repeat(8, axis=1)[..., None], 3, axis=2)
