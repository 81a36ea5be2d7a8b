"""What is wrong with a set of pictures before anything is trained on it.

Copies are pictures with equal pixels; near-duplicates are different pixels with much the same
perceptual hash (``near.py``). Knows nothing of models.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.near import near_pairs, perceptual_hashes
from mien.types import SPLITS, ImageSet, Problem, Progress, silent

# Bits of 64. Chosen on FER2013 by looking at 40 random pairs of each distance (it is always
# even): at 4 all 40 were one photograph, cropped, lit or watermarked differently; at 6 35 were, at
# 8 18, and the rest merely faces in like light.
NEAR_BITS = 4
# A picture whose values span no more than this is blank. FER2013 has 12 that are one value, one
# more that spans up to 5, and none from there to beyond 40.
BLANK_RANGE = 10
# Where more pairs are alike than this, the search ends: they are frames of a film, or drawn.
MOST_PAIRS = 200_000
_CHUNK = 4096


@dataclass(frozen=True)
class Member:
    """One picture: its id, split and class (None: it has no label)."""

    id: str
    split: str
    label: str | None


@dataclass(frozen=True)
class Copies:
    """All pictures of one content, two or more; conflicting where their labels differ."""

    members: tuple[Member, ...]
    conflicting: bool


@dataclass(frozen=True)
class Within:
    """Copies inside one split: how many contents occur more than once, the pictures that show
    them, and how many of these contents bear different labels.
    """

    split: str
    groups: int
    pictures: int
    conflicting: int


@dataclass(frozen=True)
class Across:
    """Pictures of ``split`` that ``other`` knows.

    copied: those with a copy in ``other``. otherwise_labelled: those of them that have a label and
    no copy there under the same one. near: those with a near-duplicate there (that is no copy).
    """

    split: str
    other: str
    copied: int
    otherwise_labelled: int
    near: int


@dataclass(frozen=True)
class Near:
    """Two pictures whose hashes differ in ``bits`` of 64; of copies only the first is named."""

    first: Member
    second: Member
    bits: int


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What ``audit`` found.

    counts: split to class to number of pictures; the class ``""`` counts those without a label.
    copies: in the order of their first pictures. across: every ordered pair of splits that have
    pictures. near: by bits, then order. near_complete: False where the search was cut off.
    problems: records that could not be read.
    """

    pictures: int
    layout: str
    fingerprint: str
    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    copies: tuple[Copies, ...]
    within: tuple[Within, ...]
    across: tuple[Across, ...]
    near: tuple[Near, ...]
    near_bits: int
    near_complete: bool
    blank: tuple[Member, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain dicts, lists and scalars."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def audit(images: ImageSet, *, progress: Progress = silent) -> AuditReport:
    """Count classes, and find copies, conflicting labels, near-duplicates and blank pictures.

    Blank pictures take no part in the search for near-duplicates.
    """
    return _Audit(images, progress).report()


class _Audit:
    """The contents of a set: G different ones, of which picture n shows ``group[n]``."""

    def __init__(self, images: ImageSet, progress: Progress) -> None:
        self.images = images
        self.progress = progress
        _, first, group = np.unique(images.hashes, return_index=True, return_inverse=True)
        # Numbered in the order of first appearance.
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        self.first: NDArray[np.int64] = first[order]
        self.group: NDArray[np.int64] = rank[group]
        self.used = [name for name in SPLITS if len(images.where(name))]

    def report(self) -> AuditReport:
        images = self.images
        blank = self._blank()
        seen = self.first[~blank[self.first]]
        hashes = perceptual_hashes(images.images, seen, progress=self.progress)
        pairs, bits, complete = near_pairs(hashes, NEAR_BITS, most=MOST_PAIRS)
        pairs = seen[pairs]
        order = np.lexsort((pairs[:, 1], pairs[:, 0], bits))
        return AuditReport(
            pictures=len(images),
            layout=images.layout,
            fingerprint=images.fingerprint,
            classes=images.classes,
            counts={split: self._counts(split) for split in self.used},
            copies=self._copies(),
            within=tuple(self._within(split) for split in self.used),
            across=self._across(pairs),
            near=tuple(
                Near(self._member(i), self._member(j), int(b))
                for (i, j), b in zip(pairs[order].tolist(), bits[order].tolist(), strict=True)
            ),
            near_bits=NEAR_BITS,
            near_complete=complete,
            blank=tuple(map(self._member, np.flatnonzero(blank).tolist())),
            problems=images.problems,
            notes=images.notes,
        )

    def _member(self, n: int) -> Member:
        label = int(self.images.labels[n])
        return Member(
            id=str(self.images.ids[n]),
            split=SPLITS[int(self.images.splits[n])],
            label=self.images.classes[label] if label >= 0 else None,
        )

    def _blank(self) -> NDArray[np.bool_]:
        out = np.zeros(len(self.images), np.bool_)
        for start in range(0, len(out), _CHUNK):
            part = self.images.images[start : start + _CHUNK].reshape(-1, self._values)
            out[start : start + _CHUNK] = part.max(axis=1) - part.min(axis=1) <= BLANK_RANGE
        return out

    @property
    def _values(self) -> int:
        return int(np.prod(self.images.images.shape[1:]))

    def _counts(self, split: str) -> dict[str, int]:
        labels = self.images.labels[self.images.where(split)]
        counts = {name: int((labels == k).sum()) for k, name in enumerate(self.images.classes)}
        unlabelled = int((labels < 0).sum())
        return counts | ({"": unlabelled} if unlabelled else {})

    def _copies(self) -> tuple[Copies, ...]:
        several = np.flatnonzero(np.bincount(self.group)[self.group] > 1)
        if not len(several):
            return ()
        order = several[np.argsort(self.group[several], kind="stable")]
        edges = np.flatnonzero(np.diff(self.group[order])) + 1
        return tuple(
            Copies(tuple(map(self._member, members.tolist())), self._conflicting(members))
            for members in np.split(order, edges)
        )

    def _conflicting(self, members: NDArray[np.int64]) -> bool:
        labels = self.images.labels[members]
        return len(np.unique(labels[labels >= 0])) > 1

    def _within(self, split: str) -> Within:
        index = self.images.where(split)
        counts = np.bincount(self.group[index])
        labelled = index[self.images.labels[index] >= 0]
        kinds = np.unique(np.stack((self.group[labelled], self.images.labels[labelled])), axis=1)
        _, labels = np.unique(kinds[0], return_counts=True)
        several = counts > 1
        return Within(
            split=split,
            groups=int(several.sum()),
            pictures=int(counts[several].sum()),
            conflicting=int((labels > 1).sum()),
        )

    def _across(self, pairs: NDArray[np.int64]) -> tuple[Across, ...]:
        # One number for a content under a label.
        keys = self.group * (len(self.images.classes) + 1) + self.images.labels + 1
        ends = self.group[pairs]
        found = []
        for split in self.used:
            for other in self.used:
                if split == other:
                    continue
                ours, theirs = self.images.where(split), self.images.where(other)
                copied = ours[np.isin(self.group[ours], self.group[theirs])]
                other_label = ~np.isin(keys[copied], keys[theirs])
                labelled = self.images.labels[copied] >= 0
                found.append(
                    Across(
                        split=split,
                        other=other,
                        copied=len(copied),
                        otherwise_labelled=int((other_label & labelled).sum()),
                        near=self._near(ours, theirs, ends),
                    )
                )
        return tuple(found)

    def _near(
        self, ours: NDArray[np.int64], theirs: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> int:
        known = np.zeros(len(self.first), np.bool_)
        known[self.group[theirs]] = True
        near = np.concatenate((ends[known[ends[:, 1]], 0], ends[known[ends[:, 0]], 1]))
        return int(np.isin(self.group[ours], near).sum())
