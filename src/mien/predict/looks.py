"""Which squares of a picture are cut for one face: to say whether it is one, and what it shows.

Knows nothing of classifiers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.predict.boxes import moved
from mien.types import Box, Detection

# How many crops an answer may be the mean of: one; with its mirror image; both from five places.
VIEWS = (1, 2, 10)
_ASIDE = 1 / 16  # of a square's side: how far the other four lie from it, to the right and down
_MOST_FAVOUR = 2.0
_LEAST = 1e-6  # a view that excludes a class outvotes no more than this
# Scale and shifts of the looks at a doubtful detection: a face stays one if the square is moved a
# little, what was only just taken for a face mostly does not.
_LOOKS = ((1.0, 0.0, 0.0), (0.9, 0.0, 0.0), (1.12, 0.0, 0.0), (1.3, 0.0, 0.0), (1.0, 0.06, 0.0),
          (1.0, -0.06, 0.0), (1.0, 0.0, 0.06), (1.0, 0.0, -0.06))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A face to read.

    Its crops are, in this order: ``looks``, its own box first, whose novelty is averaged; the boxes
    ``beside``, whose probabilities are averaged with its own; and where ``mirrored`` the mirror
    images of its own and of those. favour: what the threshold of novelty gains.
    """

    box: Box | None
    looks: tuple[Box | None, ...]
    beside: tuple[Box, ...] = ()
    mirrored: bool = False
    score: float | None = None
    favour: float = 0.0

    @property
    def boxes(self) -> tuple[Box | None, ...]:
        """What is to be cut."""
        return self.looks + self.beside

    @property
    def crops(self) -> int:
        """How many there are, mirror images among them."""
        return len(self.boxes) + self.mirrored * (1 + len(self.beside))


@dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
    """The faces of one picture, cut out. crops: uint8 n×C×size×size, all looks of all faces."""

    crops: NDArray[np.uint8]
    wanted: tuple[Wanted, ...]


def wanted(
    place: Box | Detection | None, shape: tuple[int, ...], *, sure: float = 0.0, views: int = 1
) -> Wanted:
    """What to cut for the face at ``place``; None is the picture as a whole.

    Args:
        shape: the picture's, height and width first. sure: the detector's score from which a
            detection is believed; a lower one is looked at eight times. 0 where it has none.
        views: one of ``VIEWS``.
    """
    box = place.box if isinstance(place, Detection) else place
    beside = _beside(box, shape[0], shape[1]) if views == VIEWS[-1] else ()
    if box is None or not isinstance(place, Detection):
        return Wanted(box=box, looks=(box,), beside=beside, mirrored=views > 1)
    moves = _LOOKS if place.score < sure else _LOOKS[:1]
    return Wanted(
        box=box,
        looks=tuple(_looked(box, *by) for by in moves),
        beside=beside,
        mirrored=views > 1,
        score=place.score,
        favour=min(_MOST_FAVOUR, max(0.0, place.score / sure - 1)) if sure else 0.0,
    )


def with_mirrored(crops: NDArray[np.uint8], wanted: Sequence[Wanted]) -> NDArray[np.uint8]:
    """Each face's crops, followed by the mirror images of those that are averaged.

    crops: uint8 n×C×size×size, what ``Wanted.boxes`` of all faces asked for.
    """
    if not any(one.mirrored for one in wanted):
        return crops
    parts, start = [crops[:0]], 0
    for one in wanted:
        own = crops[start : start + len(one.boxes)]
        start += len(own)
        parts += [own, own[:1, ..., ::-1], own[len(one.looks) :, ..., ::-1]]
    return np.concatenate(parts)


def mean_answer(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """The geometric mean of rows N×K, brought to a sum of 1: float32 K."""
    logs = np.log(np.maximum(probabilities, _LEAST, dtype=np.float64)).mean(axis=0)
    powers = np.exp(logs - logs.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)


def _looked(box: Box, scale: float, right: float, down: float) -> Box:
    """The box enlarged about its middle and shifted by parts of its sides."""
    return moved(box, right * box.width, down * box.height, scale)


def _beside(box: Box | None, height: int, width: int) -> tuple[Box, ...]:
    """The square, or the picture as a whole, moved towards each of its corners."""
    square = box or Box(left=0, top=0, width=width, height=height)
    steps = (-_ASIDE, _ASIDE)
    return tuple(_looked(square, 1, right, down) for down in steps for right in steps)
