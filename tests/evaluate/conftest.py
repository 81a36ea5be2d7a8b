"""Outputs made up from labels and predictions, for the tests of evaluation."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mien.types import Outputs


@pytest.fixture
def make_outputs() -> Callable[..., Outputs]:
    def make(
        labels: Sequence[int],
        predicted: Sequence[int],
        classes: Sequence[str] = ("angry", "disgust", "fear"),
        *,
        copied: Sequence[bool] | None = None,
        seed: int = 0,
    ) -> Outputs:
        N, rng = len(labels), np.random.default_rng(seed)
        logits = rng.normal(size=(N, len(classes))).astype(np.float32)
        logits[np.arange(N), predicted] = logits.max(axis=1) + 1
        return Outputs(
            ids=np.array([f"test/{i}.jpg" for i in range(N)], dtype=np.str_),
            splits=np.array(["test"] * N, dtype=np.str_),
            labels=np.array(labels, dtype=np.int64),
            logits=logits,
            hashes=np.array([f"{i:032x}" for i in range(N)], dtype=np.str_),
            copied=np.zeros(N, dtype=bool) if copied is None else np.array(copied, dtype=bool),
            classes=tuple(classes),
            about={"model": "fake", "flip": False},
        )

    return make


@pytest.fixture
def random_outputs(make_outputs: Callable[..., Outputs]) -> Outputs:
    """300 images of three uneven classes, about two thirds right, a tenth copied."""
    rng = np.random.default_rng(7)
    labels = rng.choice(3, size=300, p=[0.5, 0.1, 0.4])
    predicted = np.where(rng.random(300) < 0.65, labels, rng.integers(0, 3, size=300))
    return make_outputs(labels, predicted, copied=rng.random(300) < 0.1)
