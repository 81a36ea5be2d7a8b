"""The table of the ledger: its cells and what they hold, as dataclasses and as JSON."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from mien.explain.regions.resample import LEVEL
from mien.types import Finding, Interval

Which = Literal["all", "right", "wrong"]
WHICH: tuple[Which, ...] = ("all", "right", "wrong")
EVERY = "*"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One region of one class's images. label: the class, or ``*``.

    n: images behind ``times``, those with an attribution and the region in the picture. area: the
    region's mean share of the picture. positive: of the positive part of the maps alone.
    occlusion, elsewhere: what hiding the region, or its shape at a random place, adds to the
    probability, -1..1; beyond: the first less the second, image by image; None where nothing was
    hidden. joint, joint_beyond: ``times`` and ``beyond`` in intervals that hold for all cells of
    this ``which`` at once.
    """

    label: str
    which: Which
    region: str
    n: int
    area: float
    times: Interval
    joint: Interval
    positive: Interval
    occlusion: Interval | None = None
    elsewhere: Interval | None = None
    beyond: Interval | None = None
    joint_beyond: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain scalars; null for what no image tells."""
        return {
            "class": self.label, "which": self.which, "region": self.region, "n": self.n,
            "area": number(self.area), "times": plain(self.times), "joint": plain(self.joint),
            "positive": plain(self.positive), "occlusion": plain(self.occlusion),
            "elsewhere": plain(self.elsewhere), "beyond": plain(self.beyond),
            "joint_beyond": plain(self.joint_beyond),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """cells: for each class, ``*`` first, each of ``WHICH`` and each region, in this order.

    together: the share 0..1 of the attribution that falls on eyes and mouth together, over all
    images. apart: for each class and region, times among right less times among wrong
    predictions, in joint intervals. ahead: by how much mouth or eyes are ahead of another part of
    the face over all images, in ``times`` or in what hiding does (``beyond``, sign turned), by
    (measure, mouth or eyes, other part), in joint intervals. shift: pixels; 0 for masks. blank:
    images left out because their map is 0 everywhere. method, split: what was explained. notes:
    sentences to show.
    """

    method: str
    split: str
    n: int
    source: Literal["template", "masks"]
    shift: int
    regions: tuple[str, ...]
    classes: tuple[str, ...]
    cells: tuple[Cell, ...]
    together: Interval
    apart: dict[tuple[str, str], Interval]
    ahead: dict[tuple[str, str, str], Interval] = field(default_factory=dict)
    blank: int = 0
    level: float = LEVEL
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    def cell(self, label: str, region: str, which: Which = "all") -> Cell:
        """One cell; ``*`` for all classes."""
        row = (EVERY, *self.classes).index(label) * len(WHICH) + WHICH.index(which)
        return self.cells[row * len(self.regions) + self.regions.index(region)]

    def to_json(self) -> dict[str, Any]:
        """What ``explain/regions.json`` holds."""
        return {
            "method": self.method, "split": self.split, "n": self.n, "level": self.level,
            "source": self.source, "shift": self.shift, "blank": self.blank,
            "regions": list(self.regions), "classes": list(self.classes),
            "cells": [cell.to_json() for cell in self.cells],
            "together": plain(self.together),
            "right_less_wrong": [
                {"class": label, "region": region, "times": plain(interval)}
                for (label, region), interval in self.apart.items()
            ],
            "ahead": [
                {"by": what, "region": mine, "of": other, "difference": plain(interval)}
                for (what, mine, other), interval in self.ahead.items()
            ],
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }  # fmt: skip


def plain(interval: Interval | None) -> dict[str, float | None] | None:
    """An interval for JSON; null where there is none, or no image tells."""
    if interval is None or math.isnan(interval.value):
        return None
    return {name: number(getattr(interval, name)) for name in ("value", "low", "high")}


def number(value: float) -> float | None:
    """A number for JSON, which has no nan."""
    return None if math.isnan(value) else round(value, 6)
