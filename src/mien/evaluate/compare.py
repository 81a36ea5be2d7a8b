"""Two models on the same images: which is right more often, and whether that can be told.

The test is McNemar's in its exact form (McNemar 1947, Psychometrika 12:153): only images that one
model has right and the other wrong speak, and if the models were equally good each of these would
fall to either like a coin. It compares these two trained models on images of this kind; it says
nothing of two recipes, whose results also vary with the seed. Knows saved logits only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mien.errors import DataError
from mien.evaluate.findings import ALPHA
from mien.evaluate.intervals import paired_difference, wilson
from mien.evaluate.predictions import as_text
from mien.types import Finding, Interval, Outputs, Value


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Counts of images by which model has them right, and what follows.

    difference: accuracy of A minus that of B, with Bonett and Price's interval at 95 %.
    p: two-sided, exact; 1 where the models are right on the same images.
    """

    n: int
    both: int
    only_a: int
    only_b: int
    neither: int
    accuracy_a: Interval
    accuracy_b: Interval
    difference: Interval
    p: float

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and dicts."""
        return {
            key: value.to_json() if isinstance(value, Interval) else value
            for key, value in vars(self).items()
        }

    def verdict(self, a: str, b: str) -> Finding:
        """What may be said of the models called ``a`` and ``b``.

        ``better`` only where the test (at 5 %) and the interval of the difference both say so;
        ``same`` where they are right on the same images; else ``undecided``, which is no proof
        that they are equally good.
        """
        if self.only_a == self.only_b == 0:
            return Finding(kind="same", values={"a": a, "b": b, "n": self.n})
        difference = self.difference
        if self.p > ALPHA or difference.low <= 0 <= difference.high:
            values: dict[str, Value] = {
                "a": a,
                "b": b,
                "difference": difference,
                "p": self.p,
                "only_a": self.only_a,
                "only_b": self.only_b,
                "n": self.n,
            }
            return Finding(kind="undecided", values=values)
        first, only = (a, b), (self.only_a, self.only_b)
        if difference.value < 0:
            first, only = first[::-1], only[::-1]
            difference = Interval(-difference.value, -difference.high, -difference.low)
        values = {
            "better": first[0],
            "worse": first[1],
            "difference": difference,
            "p": self.p,
            "only_better": only[0],
            "only_worse": only[1],
            "n": self.n,
        }
        return Finding(kind="better", values=values)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models over all labelled images, and over those without a copy in training.

    without_copies: over images of which neither model had a copy in training; ``whole`` itself
    where there are no copies, None where every image is one. unlabelled: images left out.
    """

    whole: Paired
    without_copies: Paired | None
    unlabelled: int

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and dicts; null where there are no such images."""
        return {
            "whole": self.whole.to_json(),
            "without_copies": self.without_copies and self.without_copies.to_json(),
            "unlabelled": self.unlabelled,
        }


def compare(a: Outputs, b: Outputs) -> Comparison:
    """A against B on the same images, matched by id; their order may differ.

    Raises:
        DataError: the two are not about the same images: an image that one of them lacks,
            another content or label under the same id, other classes, or no labels at all.
    """
    if a.classes != b.classes:
        raise DataError(
            f"the models know different classes ({', '.join(a.classes)} and "
            f"{', '.join(b.classes)}); compare models of the same classes"
        )
    a, b = match(a, b)
    labelled = a.labels >= 0
    if not labelled.any():
        raise DataError("none of these images has a label; compare on a split that has labels")
    right_a, right_b = a.predicted == a.labels, b.predicted == b.labels
    fresh = ~(a.copied | b.copied)
    whole = _pair(right_a[labelled], right_b[labelled])
    kept = labelled & fresh
    without = _pair(right_a[kept], right_b[kept]) if kept.any() else None
    return Comparison(
        whole=whole,
        without_copies=whole if fresh.all() else without,
        unlabelled=int((~labelled).sum()),
    )


def _pair(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> Paired:
    n, differing = len(right_a), int((right_a != right_b).sum())
    only_a = int((right_a & ~right_b).sum())
    only_b = differing - only_a
    return Paired(
        n=n,
        both=int((right_a & right_b).sum()),
        only_a=only_a,
        only_b=only_b,
        neither=int((~right_a & ~right_b).sum()),
        accuracy_a=wilson(int(right_a.sum()), n),
        accuracy_b=wilson(int(right_b.sum()), n),
        difference=paired_difference(only_a, only_b, n),
        p=float(stats.binomtest(only_a, differing, 0.5).pvalue) if differing else 1.0,
    )


def match(a: Outputs, b: Outputs) -> tuple[Outputs, Outputs]:
    """Both in the order of their ids.

    Raises:
        DataError: they are not about the same images.
    """
    ids_a, ids_b = as_text(a.ids), as_text(b.ids)
    for ids, outputs, who in ((ids_a, a, "first"), (ids_b, b, "second")):
        if len(np.unique(ids)) < len(outputs):
            raise DataError(f"the {who} predictions name an image twice; evaluate that model again")
    mend = "evaluate both models on the same data and split"
    for one, other, who in ((ids_a, ids_b, "second"), (ids_b, ids_a, "first")):
        lacking = np.setdiff1d(one, other)
        if len(lacking):
            raise DataError(
                f"the {who} predictions lack {len(lacking)} of the other's {len(one)} images "
                f"(for example {lacking[0]}); {mend}"
            )
    a, b = a.take(np.argsort(ids_a)), b.take(np.argsort(ids_b))
    for what, differ in (
        ("content", as_text(a.hashes) != as_text(b.hashes)),
        ("labels", a.labels != b.labels),
    ):
        if differ.any():
            example = as_text(a.ids)[int(np.argmax(differ))]
            raise DataError(
                f"{int(differ.sum())} images have the same id but other {what} "
                f"(for example {example}); {mend}"
            )
    return a, b
