"""The numbers of an evaluation from its saved predictions; needs no model and no torch."""

from dataclasses import dataclass
from pathlib import Path

from mien.errors import DataError, RunError
from mien.evaluate.calibration import Calibration, calibration
from mien.evaluate.confusion import Evaluation, evaluate
from mien.evaluate.predictions import read_predictions
from mien.types import Outputs


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """folder: where the predictions lie. notes: sentences to show.

    calibration: None where there are too few images for it.
    """

    evaluation: Evaluation
    outputs: Outputs
    folder: Path
    notes: tuple[str, ...]
    calibration: Calibration | None = None


def recompute(path: Path | str) -> EvaluateResult:
    """The numbers from predictions that were saved: a run folder, or a ``.parquet`` file.

    Raises:
        MienError: there are none, or they cannot be used.
    """
    path = Path(path)
    file = path / "predictions.parquet" if path.is_dir() else path
    if not file.is_file():
        raise RunError(f"{path}: no predictions here yet; name the data: mien evaluate {path} DATA")
    outputs = read_predictions(file)
    return EvaluateResult(
        evaluation=evaluate(outputs),
        outputs=outputs,
        folder=file.parent,
        notes=(),
        calibration=calibration_of(outputs),
    )


def calibration_of(outputs: Outputs) -> Calibration | None:
    """How far to believe the confidence; None where there are too few images to say."""
    try:
        return calibration(outputs)
    except DataError:
        return None
