"""Scores and a history made up for the figures' tests."""

import math

import numpy as np
import pytest

from mien.evaluate.confusion import Scores, score
from mien.labels import CLASSES
from mien.types import Outputs


@pytest.fixture
def scores() -> Scores:
    """Seven classes, uneven, about two thirds right; surprise has no images, disgust no calls."""
    rng = np.random.default_rng(0)
    labels = rng.choice(7, size=1400, p=[0.15, 0.05, 0.15, 0.3, 0.15, 0.0, 0.2])
    predicted = np.where(rng.random(1400) < 0.6, labels, rng.choice(7, size=1400))
    predicted[predicted == 1] = 0
    logits = np.zeros((1400, 7), dtype=np.float32)
    logits[np.arange(1400), predicted] = 3
    return score(
        Outputs(
            ids=np.arange(1400).astype(str),
            splits=np.array(["test"] * 1400),
            labels=labels,
            logits=logits,
            hashes=np.array([f"{i:032x}" for i in range(1400)]),
            copied=np.zeros(1400, dtype=bool),
            classes=CLASSES,
        )
    )


@pytest.fixture
def history() -> list[dict[str, object]]:
    """Twelve epochs as ``csv.DictReader`` gives them: text, and a blank field."""
    rows: list[dict[str, object]] = [
        {
            "epoch": str(epoch),
            "train_loss": f"{0.7 + math.exp(-epoch / 4):.4f}",
            "train_accuracy": f"{0.75 - 0.4 * math.exp(-epoch / 4):.4f}",
            "validation_loss": f"{1.0 + 0.7 * math.exp(-epoch / 3):.4f}",
            "validation_accuracy": f"{0.64 - 0.002 * (epoch - 9) ** 2:.4f}",
            "learning_rate": f"{0.01 * (1 + math.cos(math.pi * epoch / 12)) / 2:.6f}",
            "seconds": "30.5",
            "images_per_second": "941.2",
        }
        for epoch in range(1, 13)
    ]
    rows[3]["validation_loss"] = rows[3]["validation_accuracy"] = ""
    return rows
