"""How accurate a classifier stays on worse pictures: blurred, small, turned, dark, half hidden.

Each condition is one pass over the same pictures; the drop is paired with the pictures as they
are. Every random choice (which way to turn, what to hide) is drawn once from the seed, so all
strengths of a kind and all models meet the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluate.intervals import paired_difference, wilson
from mien.types import Interval, Progress, silent

Pictures = NDArray[np.uint8]

# For each kind its strengths, from weak to strong; the units are told in ``changed``.
STRENGTHS: dict[str, tuple[float, ...]] = {
    "blur": (0.5, 1.0, 1.5, 2.0),
    "size": (36, 24, 16, 12),
    "rotation": (10, 20, 30, 45),
    "dark": (0.6, 0.4, 0.25),
    "bright": (1.4, 1.8, 2.5),
    "occlusion": (0.2, 0.35, 0.5),
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Accuracy under one change, and by how much it is below that without, on the same pictures."""

    kind: str
    strength: float
    accuracy: Interval
    drop: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and dicts."""
        return {"kind": self.kind, "strength": self.strength,
                "accuracy": self.accuracy.to_json(), "drop": self.drop.to_json()}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """n: pictures. plain: accuracy on them as they are. conditions: in the order of STRENGTHS."""

    n: int
    plain: Interval
    conditions: tuple[Condition, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts."""
        return {"n": self.n, "plain": self.plain.to_json(),
                "conditions": [one.to_json() for one in self.conditions]}  # fmt: skip


def robustness(
    answer: Callable[[Pictures], NDArray[np.int64]],
    images: Pictures,
    labels: NDArray[np.int64],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Robustness:
    """Measure it.

    Args:
        answer: uint8 N×C×H×W to the predicted classes, int64 N.
        images: uint8 N×C×H×W. labels: int64 N, the truth.

    Raises:
        DataError: no pictures.
    """
    if len(images) == 0:
        raise DataError("there are no pictures to measure robustness on")
    steps = [(kind, strength) for kind, several in STRENGTHS.items() for strength in several]
    progress("robustness", 0, len(steps) + 1)
    right, conditions = answer(images) == labels, []
    for number, (kind, strength) in enumerate(steps):
        progress("robustness", number + 1, len(steps) + 1)
        now = answer(changed(images, kind, strength, seed=seed)) == labels
        lost, won = int((right & ~now).sum()), int((now & ~right).sum())
        conditions.append(
            Condition(kind=kind, strength=strength, accuracy=wilson(int(now.sum()), len(now)),
                      drop=paired_difference(lost, won, len(now)))
        )  # fmt: skip
    progress("robustness", len(steps) + 1, len(steps) + 1)
    return Robustness(n=len(labels), plain=wilson(int(right.sum()), len(right)),
                      conditions=tuple(conditions))  # fmt: skip


def changed(images: Pictures, kind: str, strength: float, *, seed: int = 0) -> Pictures:
    """The pictures, uint8 N×C×H×W, under one change; the same shape.

    blur: Gaussian, ``strength`` its deviation in pixels. size: shrunk to that side in pixels of a
    picture of 48 (or that share of another), and enlarged again. rotation: by that many degrees,
    to a side drawn for each picture, the border mirrored. dark, bright: every pixel times that,
    cut off at 255. occlusion: a grey square of that share of the side, at a place drawn for each.

    Raises:
        ValueError: no such kind.
    """
    rng = np.random.default_rng([seed, sorted(STRENGTHS).index(kind)])
    draws = rng.random((len(images), 2))
    change = _CHANGES[kind]
    out = np.empty_like(images)
    for number, picture in enumerate(images):
        whole = np.ascontiguousarray(picture.transpose(1, 2, 0))
        out[number] = change(whole, strength, draws[number]).reshape(whole.shape).transpose(2, 0, 1)
    return out


def _blur(picture: Pictures, strength: float, _draw: NDArray[np.float64]) -> Any:
    return cv2.GaussianBlur(picture, (0, 0), strength)


def _shrink(picture: Pictures, strength: float, _draw: NDArray[np.float64]) -> Any:
    height, width = picture.shape[:2]
    small = (max(1, round(width * strength / 48)), max(1, round(height * strength / 48)))
    shrunk = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)


def _turn(picture: Pictures, strength: float, draw: NDArray[np.float64]) -> Any:
    height, width = picture.shape[:2]
    angle = strength if draw[0] < 0.5 else -strength
    middle = ((width - 1) / 2, (height - 1) / 2)
    turn = cv2.getRotationMatrix2D(middle, angle, 1.0)
    return cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REFLECT_101)  # fmt: skip


def _light(picture: Pictures, strength: float, _draw: NDArray[np.float64]) -> Any:
    return np.minimum(np.rint(picture * strength), 255).astype(np.uint8)


def _hide(picture: Pictures, strength: float, draw: NDArray[np.float64]) -> Any:
    height, width = picture.shape[:2]
    tall, broad = round(height * strength), round(width * strength)
    top, left = int(draw[0] * (height - tall + 1)), int(draw[1] * (width - broad + 1))
    hidden = picture.copy()
    hidden[top : top + tall, left : left + broad] = 128
    return hidden


_CHANGES = {"blur": _blur, "size": _shrink, "rotation": _turn, "dark": _light, "bright": _light,
            "occlusion": _hide}  # fmt: skip
