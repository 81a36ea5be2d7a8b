"""Two models class by class on the same images: recalls, and who is taken for whom.

As in ``compare``, of which this is the detail: the same images, the copies of training images left
out where any others are left. K classes; every difference is A minus B, paired, with Bonett and
Price's interval; where many are tested at once, Holm's correction says which are supported.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from mien.evaluate.compare import match
from mien.evaluate.findings import holm
from mien.evaluate.intervals import paired_difference, wilson
from mien.types import Finding, Interval, Outputs, Value


@dataclass(frozen=True, kw_only=True)
class ClassDifference:
    """One class of ``n`` images. supported: exact McNemar after Holm, and the interval, say so."""

    name: str
    n: int
    recall_a: Interval
    recall_b: Interval
    difference: Interval
    p: float
    supported: bool


@dataclass(frozen=True, kw_only=True)
class CellDifference:
    """How much oftener A than B takes ``truth`` for ``predicted``, as a share of its images."""

    truth: str
    predicted: str
    rate_a: float
    rate_b: float
    difference: Interval
    supported: bool


@dataclass(frozen=True, kw_only=True)
class ClassComparison:
    """n: images. classes: in their order, cells row by row; none of classes without images.

    without_copies: whether images with a copy in training were left out.
    """

    n: int
    without_copies: bool
    classes: tuple[ClassDifference, ...]
    cells: tuple[CellDifference, ...]

    def findings(self, a: str, b: str) -> list[Finding]:
        """What is supported of the models called ``a`` and ``b``."""
        made = []
        for one in self.classes:
            if not one.supported:
                continue
            first, second, difference = a, b, one.difference
            if difference.value < 0:
                first, second = b, a
                difference = Interval(-difference.value, -difference.high, -difference.low)
            values: dict[str, Value] = {"better": first, "worse": second,
                                        "difference": difference, "n": one.n}  # fmt: skip
            made.append(Finding(kind="class-better", classes={"truth": one.name}, values=values))
        return made


def compare_classes(a: Outputs, b: Outputs) -> ClassComparison:
    """A against B, class by class.

    Raises:
        DataError: the two are not about the same images.
    """
    a, b = match(a, b)
    fresh = (a.labels >= 0) & ~(a.copied | b.copied)
    without = bool(fresh.any())
    kept = fresh if without else a.labels >= 0
    labels, guess_a, guess_b = a.labels[kept], a.predicted[kept], b.predicted[kept]
    classes: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    for i, name in enumerate(a.classes):
        rows = labels == i
        n = int(rows.sum())
        if n == 0:
            continue
        for j, other in enumerate(a.classes):
            said_a, said_b = guess_a[rows] == j, guess_b[rows] == j
            only_a, only_b = int((said_a & ~said_b).sum()), int((said_b & ~said_a).sum())
            differing = only_a + only_b
            p = float(stats.binomtest(only_a, differing, 0.5).pvalue) if differing else 1.0
            difference = paired_difference(only_a, only_b, n)
            cells.append({
                "truth": name, "predicted": other, "rate_a": float(said_a.mean()),
                "rate_b": float(said_b.mean()), "difference": difference, "p": p,
            })  # fmt: skip
            if i == j:
                classes.append({
                    "name": name, "n": n, "recall_a": wilson(int(said_a.sum()), n),
                    "recall_b": wilson(int(said_b.sum()), n), "difference": difference, "p": p,
                })  # fmt: skip
    for group in (classes, cells):
        for one, passed in zip(group, holm(np.array([x["p"] for x in group])), strict=True):
            ends = one["difference"]
            one["supported"] = bool(passed) and not ends.low <= 0 <= ends.high
    for one in cells:
        del one["p"]
    return ClassComparison(
        n=int(kept.sum()),
        without_copies=without,
        classes=tuple(ClassDifference(**one) for one in classes),
        cells=tuple(CellDifference(**one) for one in cells),
    )
