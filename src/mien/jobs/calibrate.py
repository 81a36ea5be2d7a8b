"""The job ``calibrate``: a run's validation predictions make its model know its confidence."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import DataError, RunError
from mien.evaluate.calibration import Calibration, calibration
from mien.evaluate.predictions import read_predictions
from mien.models.checkpoint import pack, unpack
from mien.models.confidence import KEY, Confidence, read_confidence
from mien.runs import Run, write_atomic
from mien.types import Outputs


@dataclass(frozen=True, kw_only=True)
class CalibrateResult:
    """model: the file that was sealed anew. calibration: what it rests on, cross-fitted."""

    model: Path
    confidence: Confidence
    calibration: Calibration


def calibrate(
    run: Path | str, *, predictions: Path | str | None = None, seed: int = 0
) -> CalibrateResult:
    """Fit temperature and thresholds on validation predictions and seal them into the model file.

    The weights stay bit for bit; the file's checksum changes with its metadata, and the file is
    replaced in one step, so a reader or a crash at any moment sees the old or the new one.

    Args:
        run: a run folder, or a ``.safetensors`` file with ``predictions`` given.
        predictions: a ``.parquet`` of this model's validation predictions, by default the run's.
        seed: of the folds and of the bootstrap.

    Raises:
        RunError: no model or predictions, predictions of another model, or not of validation.
        DataError: too few labelled images. ModelFileError: the model file is not sound.
    """
    path = Path(run)
    model = path / "model.safetensors" if path.is_dir() else path
    chosen = Path(predictions) if predictions else model.parent / "predictions.parquet"
    outputs = read_predictions(chosen)
    folder = Run(model.parent)
    with folder.lock() if folder.record.is_file() else nullcontext():
        tensors, meta = unpack(model, "model")
        _check(outputs, meta, chosen, model)
        found = calibration(outputs, seed=seed)
        confidence = _confidence(found, outputs)
        meta["about"] = {**meta["about"], KEY: confidence.to_json()}
        sealed = {k: v for k, v in meta.items() if k not in ("checksum", "kind", "version")}
        write_atomic(model, pack("model", tensors, sealed))
    return CalibrateResult(model=model, confidence=confidence, calibration=found)


def _confidence(found: Calibration, outputs: Outputs) -> Confidence:
    about = outputs.about
    return Confidence(
        temperature=found.temperature,
        smoothing=found.smoothing,
        thresholds={a.error: a.threshold for a in found.abstain if a.threshold is not None},
        flip=bool(about.get("flip", False)),
        fitted_on={
            "model_checksum": about.get("model_checksum", ""),
            "data_fingerprint": about.get("data_fingerprint", ""),
            "split": "validation",
            "images": found.n,
            "without_copies": found.without_copies,
            "ece": found.after.ece.to_json(),
            "debiased_ece": found.after.debiased_ece.to_json(),
        },
    )


def _check(outputs: Outputs, meta: dict[str, object], source: Path, model: Path) -> None:
    """Refuse predictions of another model, and of images that must not choose anything.

    Raises:
        RunError: they are.
    """
    about = meta["about"]
    if not isinstance(about, dict):
        raise RunError(f"{model}: its metadata cannot be used ('about' is no object)")
    before = read_confidence(about)
    known = {meta["checksum"], before.fitted_on.get("model_checksum") if before else None}
    # The same weights, before the score of novelty was sealed in beside them.
    known.add(about.get("novelty", {}).get("model_checksum"))
    if outputs.about.get("model_checksum") not in known:
        raise RunError(
            f"{source}: not the predictions of {model}; "
            f"write them again with 'mien evaluate {model} DATA'"
        )
    others = sorted(set(np.unique(outputs.splits.astype(str)).tolist()) - {"validation"})
    if others:
        raise RunError(
            f"{source}: predictions of the {others[0]} split; a temperature is fitted on "
            f"validation alone: mien evaluate {model} DATA --split validation"
        )


def calibrate_if_possible(run: Path | str) -> CalibrateResult | None:
    """As ``calibrate``; None where there are too few images to say anything."""
    try:
        return calibrate(run)
    except DataError:
        return None
