"""What the rooms hand to each other, and the legend of shapes.

N images or batch, C channels, H W height and width, K classes. Images are ``uint8`` N×C×H×W,
0..255; labels ``int64`` N, 0..K-1, -1 where there is none; logits are the scores before softmax.
Imports no torch.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")

# progress(stage, done, total): jobs tell it, the command line draws it; total 0 means unknown.
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """A Progress that shows nothing."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One record of a source that cannot be used: where it is, what is wrong."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """Labelled pictures of one size in memory (or in a memory-mapped cache file).

    images: uint8 N×C×H×W, 0..255; may be read-only.
    labels: int64 N, index into ``classes``; -1 where a picture has no label.
    splits: int8 N, index into ``SPLITS``.
    ids: N unique names: the path inside the source, or ``row 17`` for a csv.
    hashes: ``S32`` N, the 128-bit BLAKE2b of each picture's bytes in ``images`` as hex digits;
        equal exactly where two pictures are pixel-identical.
    classes: names, in the order of the labels.
    fingerprint: hex SHA-256 of the source's content and of how it was read.
    layout: the layout that was read: ``fer2013-csv``, ``folders``, ``course``, ``synthetic`` …
    has_validation: whether the source itself came with a validation split.
    problems: records that were left out.
    notes: sentences a person should see, such as which conversions took place.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: NDArray[np.int8]
    ids: NDArray[Any]
    hashes: NDArray[np.bytes_]
    classes: tuple[str, ...]
    fingerprint: str
    layout: str
    has_validation: bool
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, split: str) -> NDArray[np.int64]:
        """Indices of the pictures of ``split`` (one of ``SPLITS``), ascending."""
        return np.flatnonzero(self.splits == SPLITS.index(split))

    def take(self, index: NDArray[np.int64]) -> "ImageSet":
        """The same source cut down to the pictures at ``index`` (copies their pixels)."""
        return replace(
            self,
            images=self.images[index],
            labels=self.labels[index],
            splits=self.splits[index],
            ids=self.ids[index],
            hashes=self.hashes[index],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """What a model said of N pictures: the content of ``predictions.parquet``.

    ids: N unique names. splits: N names of splits. labels: int64 N, -1 where there is none.
    logits: float32 N×K. hashes: N content hashes as 32 hex digits.
    copied: bool N, whether a pixel-identical copy is among the training images.
    classes: K names. about: what made it (model, checksum, data, test-time flip …), JSON-able.
    """

    ids: NDArray[Any]
    splits: NDArray[Any]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    hashes: NDArray[Any]
    copied: NDArray[np.bool_]
    classes: tuple[str, ...]
    about: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The class of the largest logit, int64 N."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    def take(self, index: NDArray[Any]) -> "Outputs":
        """The rows at ``index`` (indices or a boolean mask)."""
        return replace(
            self,
            ids=self.ids[index],
            splits=self.splits[index],
            labels=self.labels[index],
            logits=self.logits[index],
            hashes=self.hashes[index],
            copied=self.copied[index],
        )


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; ``value`` is nan where it is undefined (0 of 0)."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """The three numbers; null for an undefined value, since JSON has no nan."""
        value = None if math.isnan(self.value) else self.value
        return {"value": value, "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, data: Mapping[str, float | None]) -> "Interval":
        """What ``to_json`` wrote.

        Raises:
            KeyError, TypeError: it is nothing of the kind.
        """
        value, low, high = data["value"], data["low"], data["high"]
        if low is None or high is None:
            raise TypeError("an interval without ends")
        return cls(math.nan if value is None else float(value), float(low), float(high))


Value = Interval | int | float | str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One supported fact: its kind, the classes in their roles, the numbers by name.

    classes: a role to a class, or to several where the fact is about a set.
    values: counts, rates and differences with their intervals, p-values, names of models.
    """

    kind: str
    classes: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts."""
        plain = {role: list(c) if isinstance(c, tuple) else c for role, c in self.classes.items()}
        values = {
            key: value.to_json() if isinstance(value, Interval) else value
            for key, value in self.values.items()
        }
        return {"kind": self.kind, "classes": plain, "values": values}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Finding":
        """What ``to_json`` wrote, intervals and sets of classes included.

        Raises:
            KeyError, TypeError: it is nothing of the kind.
        """
        classes = {
            role: tuple(c) if isinstance(c, list) else str(c) for role, c in data["classes"].items()
        }
        values = {
            key: Interval.from_json(value) if isinstance(value, dict) else value
            for key, value in data["values"].items()
        }
        return cls(kind=str(data["kind"]), classes=classes, values=values)


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in an upright picture, in pixels from its left top corner; may reach beyond it.

    angle: degrees by which the face in it is turned clockwise about the middle; 0 is upright.
    """

    left: float
    top: float
    width: float
    height: float
    angle: float = 0.0

    def to_json(self) -> dict[str, float]:
        """The five numbers, rounded to a hundredth."""
        return {name: round(float(getattr(self, name)), 2)
                for name in ("left", "top", "width", "height", "angle")}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Where a detector says a face is. score: its own, higher is surer; no probability."""

    box: Box
    score: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """What a classifier says of N crops.

    probabilities: float32 N×K, calibrated, in the order of its classes; each row sums to 1.
    novelty: float32 N, higher is less of a face; None where the model cannot tell.
    """

    probabilities: NDArray[np.float32]
    novelty: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face of a picture, and the expression that it shows.

    box: where it is; None where the picture as a whole was taken for one face crop.
    score: the detector's; None likewise. probabilities: class name to calibrated probability, in
    the order of the model's classes. label: the most probable class. confidence: its probability.
    unsure: the confidence is below what the wanted error rate asks for. not_a_face: the network's
    own features say that the crop shows no face. novelty: the number behind that; None where the
    model has none. id: the same face keeps it through a clip; None in a picture.
    """

    probabilities: Mapping[str, float]
    label: str
    confidence: float
    box: Box | None = None
    score: float | None = None
    unsure: bool = False
    not_a_face: bool = False
    novelty: float | None = None
    id: int | None = None

    @property
    def answer(self) -> str:
        """What to show: ``not a face``, else ``unsure``, else the label."""
        return "not a face" if self.not_a_face else "unsure" if self.unsure else self.label

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and dicts; probabilities rounded to a hundred-thousandth."""
        return {
            "box": self.box.to_json() if self.box else None,
            "answer": self.answer,
            "label": self.label,
            "confidence": round(self.confidence, 5),
            "probabilities": {name: round(p, 5) for name, p in self.probabilities.items()},
            "unsure": self.unsure,
            "not_a_face": self.not_a_face,
            "novelty": None if self.novelty is None else round(self.novelty, 4),
            "score": None if self.score is None else round(self.score, 4),
            "id": self.id,
        }
