"""Which class is taken for which, ranked by rate, from a confusion matrix alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.intervals import wilson
from mien.types import Interval


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """``count`` of the ``n`` images of class ``truth`` were taken for ``predicted``."""

    truth: str
    predicted: str
    count: int
    n: int
    rate: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and dicts."""
        return {
            "truth": self.truth,
            "predicted": self.predicted,
            "count": self.count,
            "n": self.n,
            "rate": self.rate.to_json(),
        }


def confused_pairs(counts: NDArray[np.int64], classes: Sequence[str]) -> list[Confusion]:
    """Every pair of classes that was confused at least once, the highest rate first.

    The rate is the share of the true class's images, with Wilson's interval for each pair by
    itself: among many pairs the largest rate is likely to be a little too large, which is why
    ``findings`` asks for more than this before it says something. Ties are broken by the count,
    then by name, never by the order of the classes.

    Args:
        counts: int64 K×K, rows the truth. classes: K names.
    """
    found = [
        Confusion(
            truth=classes[i],
            predicted=classes[j],
            count=int(counts[i, j]),
            n=int(counts[i].sum()),
            rate=wilson(int(counts[i, j]), int(counts[i].sum())),
        )
        for i, j in np.argwhere(counts)
        if i != j
    ]
    return sorted(found, key=lambda c: (-c.rate.value, -c.count, c.truth, c.predicted))
