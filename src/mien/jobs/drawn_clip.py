"""Clips of drawn people whose place and expression are known on every frame.

Each person is one of mien's drawn faces (``data.synthetic``), moves smoothly over a background that
drifts as well, and passes from one expression to the next through mixtures of their action units.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.synthetic import draw, generate
from mien.labels import CLASSES
from mien.predict.clips import ClipWriter
from mien.types import Box, Progress, silent

_STEPS = 6  # pictures from one expression to the next
_HOLD, _CHANGE = 1.6, 0.4  # seconds that an expression is held, and that it takes to come
_FILLED = 0.72  # share of a drawn face's tile that the head takes
_TINT = np.array([1.0, 0.88, 0.78], np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnFrame:
    """time: seconds. picture: uint8 H×W×3 RGB. boxes, labels: of each person, in a fixed order."""

    time: float
    picture: NDArray[np.uint8]
    boxes: tuple[Box, ...]
    labels: tuple[str, ...]


def drawn_frames(
    seconds: float,
    *,
    people: int = 2,
    seed: int = 0,
    width: int = 640,
    height: int = 480,
    rate: float = 25.0,
) -> Iterator[DrawnFrame]:
    """Frames of ``people`` drawn faces, side by side, that never leave the picture."""
    persons = [_Person(seed, n, people, width, height) for n in range(people)]
    ground = _background(seed, width, height)
    for number in range(math.ceil(seconds * rate)):
        time = number / rate
        across = round((ground.shape[1] - width) * (0.5 + 0.5 * math.sin(0.23 * time)))
        down = round((ground.shape[0] - height) * (0.5 + 0.5 * math.sin(0.17 * time)))
        picture = ground[down : down + height, across : across + width].copy()
        boxes = tuple(person.paint(picture, time) for person in persons)
        labels = tuple(person.label(time) for person in persons)
        yield DrawnFrame(time=time, picture=picture, boxes=boxes, labels=labels)


def draw_clip(
    out: Path,
    seconds: float = 4.0,
    *,
    people: int = 2,
    seed: int = 0,
    rate: float = 25.0,
    progress: Progress = silent,
) -> None:
    """Write ``drawn_frames`` as a clip, .mp4 or .webm.

    Raises:
        OptionError: another ending. RunError: the file cannot be written.
    """
    total = math.ceil(seconds * rate)
    with ClipWriter(out, 640, 480, rate) as writer:
        for number, frame in enumerate(drawn_frames(seconds, people=people, seed=seed, rate=rate)):
            writer.write(frame.time, frame.picture)
            progress("drawing a clip", number + 1, total)


class _Person:
    """One face through all expressions, on a path of its own."""

    def __init__(self, seed: int, number: int, people: int, width: int, height: int) -> None:
        chance = np.random.default_rng((seed, number, 7))
        lane = width / people
        self._side = round(min(lane * 0.62, height * 0.45) * chance.uniform(0.85, 1.0))
        self._order = chance.permutation(len(CLASSES)).tolist()
        self._middle = (lane * (number + 0.5), height / 2)
        self._reach = (max(0.0, (lane - self._side) / 2), (height - self._side) / 2 * 0.8)
        self._phase = chance.uniform(0, 2 * math.pi, 3).tolist()
        self._pace = chance.uniform(0.7, 1.3, 2).tolist()
        self._mask = _ellipse(self._side)
        self._faces = self._drawn(seed * 1000 + number)

    def _drawn(self, seed: int) -> NDArray[np.float32]:
        """float32 classes×steps×side×side: from an expression to the next one in order."""
        pool = generate(56, seed=seed)
        units = [pool.action_units[pool.labels == k].max(axis=0) for k in self._order]
        units.append(units[0])
        faces = []
        for one, other in itertools.pairwise(units):
            for step in range(_STEPS):
                share = step / _STEPS
                mixed = np.clip((1 - share) * one + share * other, 0, 1)[None]
                # A single face of the same seed: the same person in the same light.
                faces.append(draw(mixed, seed=seed, size=min(self._side, 256)).images[0, 0])
        size = (self._side, self._side)
        large = [np.asarray(cv2.resize(face, size), np.float32) for face in faces]
        return np.stack(large).reshape(len(CLASSES), _STEPS, *size)

    def _at(self, time: float) -> tuple[int, int]:
        """Which expression of the order, and which step to the next."""
        place, inside = divmod(time, _HOLD + _CHANGE)
        share = max(0.0, inside - _HOLD) / _CHANGE
        return int(place) % len(CLASSES), min(int(share * _STEPS), _STEPS - 1)

    def label(self, time: float) -> str:
        """The expression, of which the start counts while it changes."""
        return CLASSES[self._order[self._at(time)[0]]]

    def paint(self, picture: NDArray[np.uint8], time: float) -> Box:
        """Paint the face and say where."""
        across = self._reach[0] * math.sin(self._pace[0] * time + self._phase[0])
        down = self._reach[1] * math.sin(self._pace[1] * time + self._phase[1])
        left = round(self._middle[0] + across - self._side / 2)
        top = round(self._middle[1] + down - self._side / 2)
        place, step = self._at(time)
        part = picture[top : top + self._side, left : left + self._side]
        colour = self._faces[place, step][..., None] * _TINT
        part[:] = np.rint(self._mask * colour + (1 - self._mask) * part)
        head, margin = self._side * _FILLED, self._side * (1 - _FILLED) / 2
        return Box(left=left + margin, top=top + margin, width=head, height=head)


def _ellipse(side: int) -> NDArray[np.float32]:
    """float32 side×side×1: 1 inside an upright ellipse, 0 outside, soft between."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    inside = (0.98 - np.hypot(x / 0.92, y)) / 0.06
    return np.asarray(np.clip(inside, 0, 1)[..., None], dtype=np.float32)


def _background(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    """A blurred patchwork larger than the frame, so that a view of it can drift."""
    chance = np.random.default_rng((seed, 99))
    size = (width + 120, height + 90)
    ground = np.zeros((size[1], size[0], 3), np.float32)
    for cells, weight in ((6, 0.5), (24, 0.3), (96, 0.2)):
        grey = chance.uniform(60, 220, (cells * 3 // 4, cells, 1))
        patch = (grey + chance.uniform(-25, 25, (cells * 3 // 4, cells, 3))).astype(np.float32)
        ground += weight * np.asarray(cv2.resize(patch, size, interpolation=cv2.INTER_CUBIC))
    return np.asarray(np.clip(ground, 0, 255), dtype=np.uint8)
