"""Several models as one: the mean of their probabilities. Knows saved logits only."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from scipy.special import log_softmax, logsumexp

from mien.errors import DataError
from mien.evaluate.compare import match
from mien.evaluate.predictions import as_text
from mien.types import Outputs


def average(members: Sequence[Outputs]) -> Outputs:
    """The models' mean probabilities for the images that all of them saw, in the first's order.

    As logits stand the logarithms of the means, whose softmax gives the means back. An image
    counts as copied where any member has a copy of it in its training images.

    Raises:
        ValueError: no members. DataError: they are not about the same images, labels or classes.
    """
    if not members:
        raise ValueError("no members to average")
    first = members[0]
    if any(other.classes != first.classes for other in members):
        raise DataError("the models know different classes; average models of the same classes")
    matched = [match(first, other)[1] for other in members]
    back = np.argsort(np.argsort(as_text(first.ids)))
    rows = [outputs.take(back) for outputs in matched]
    logs = np.stack([log_softmax(one.logits.astype(np.float64), axis=1) for one in rows])
    mean = logsumexp(logs, axis=0) - np.log(len(rows))
    copied = reduce(np.logical_or, [one.copied for one in rows])
    return Outputs(
        ids=first.ids,
        splits=first.splits,
        labels=first.labels,
        logits=mean.astype(np.float32),
        hashes=first.hashes,
        copied=copied,
        classes=first.classes,
        about={
            "ensemble": [one.about.get("model_checksum", "") for one in members],
            "flip": all(bool(one.about.get("flip")) for one in members),
            "zooms": first.about.get("zooms", [1.0]),
            "crops": first.about.get("crops", 0),
            "label_smoothing": _shared(members, "label_smoothing"),
            "split": first.about.get("split", ""),
            "data_fingerprint": first.about.get("data_fingerprint", ""),
        },
    )


def _shared(members: Sequence[Outputs], key: str) -> Any:
    """What all say of themselves alike, else 0."""
    first = members[0].about.get(key, 0.0)
    return first if all(member.about.get(key, 0.0) == first for member in members) else 0.0
