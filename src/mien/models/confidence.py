"""What a model file says of its confidence: how to calibrate it, and when to answer "unsure".

Lies in the card under ``about`` / ``calibration``; older files have none. Imports no torch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.errors import ModelFileError, said

KEY = "calibration"


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """How to turn logits into a confidence, and the confidence below which to answer "unsure".

    temperature: divide logits by it before softmax; 1 where the file says nothing. smoothing: of
    the labels in training, to be taken back before that (``theory.smoothing``). thresholds:
    wanted error rate to threshold, both in (0, 1). flip: whether both hold for probabilities that
    are averaged with the mirror image. fitted_on: which predictions they come from.
    """

    temperature: float = 1.0
    smoothing: float = 0.0
    thresholds: Mapping[float, float] = field(default_factory=dict)
    flip: bool = False
    fitted_on: Mapping[str, Any] = field(default_factory=dict)

    def unsure_below(self, error: float) -> float:
        """The threshold for at most this error rate; 1 where none can promise it, 0 from 1 on.

        Takes the stored threshold of the largest rate that is not above ``error``.
        """
        if error >= 1:
            return 0.0
        kept = [rate for rate in self.thresholds if rate <= error + 1e-12]
        return self.thresholds[max(kept)] if kept else 1.0

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts, as they stand in the card."""
        rows = [{"error": e, "threshold": t} for e, t in sorted(self.thresholds.items())]
        return {"temperature": self.temperature, "smoothing": self.smoothing, "unsure": rows,
                "flip": self.flip, "fitted_on": dict(self.fitted_on)}  # fmt: skip


def read_confidence(about: Mapping[str, Any]) -> Confidence | None:
    """The confidence in a card's ``about``; None where the file was never calibrated.

    Raises:
        ModelFileError: what stands there cannot be used.
    """
    if KEY not in about:
        return None
    try:
        data = about[KEY]
        temperature, smoothing = float(data["temperature"]), float(data.get("smoothing", 0.0))
        thresholds = {float(row["error"]): float(row["threshold"]) for row in data["unsure"]}
        flip, fitted_on = bool(data["flip"]), dict(data["fitted_on"])
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(f"the model's calibration cannot be used ({said(error)})") from error
    inside = all(0 < x < 1 for x in thresholds) and all(0 <= t <= 1 for t in thresholds.values())
    if not (math.isfinite(temperature) and temperature > 0 and 0 <= smoothing < 1 and inside):
        raise ModelFileError("the model's calibration cannot be used (a value out of its range)")
    return Confidence(
        temperature=temperature, smoothing=smoothing, thresholds=thresholds, flip=flip,
        fitted_on=fitted_on,
    )  # fmt: skip
