"""The verb ``evaluate``: a model's predictions on a split, saved once, and their numbers."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.config import from_json
from mien.data.splits import copied_in_training
from mien.errors import DataError, OptionError, RunError
from mien.evaluate.collect import collect
from mien.evaluate.confusion import Evaluation
from mien.evaluate.confusion import evaluate as evaluate_outputs
from mien.evaluate.predictions import read_predictions, write_predictions
from mien.jobs.hashes import read_training_hashes
from mien.jobs.prepare import DataOptions, read_source, with_validation
from mien.labels import CLASSES
from mien.models.checkpoint import Model, load_model
from mien.runs import Run, write_json
from mien.train.hardware import choose_hardware
from mien.types import SPLITS, ImageSet, Outputs, Progress, silent

# What FER2013 calls its splits.
_SPLIT_ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "publictest": "validation",
    "privatetest": "test",
}


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How to evaluate. split: one of ``SPLITS`` or ``all``. flip: average with the mirror image.

    data: as for training; size, colour and kind of classes are always the model's, and where the
    rest is left at its defaults, the options of the model's run are taken.
    """

    split: str = "validation"
    flip: bool = True
    data: DataOptions = field(default_factory=DataOptions)
    accelerator: str = "auto"
    precision: str = "fp32"


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """folder: where it was written, None if it only was recomputed. notes: sentences to show."""

    evaluation: Evaluation
    outputs: Outputs
    folder: Path | None
    notes: tuple[str, ...]


def evaluate(
    model_path: Path | str,
    source: str,
    options: EvaluateOptions | None = None,
    *,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> EvaluateResult:
    """Run a model over a split of ``source`` and write predictions and numbers.

    They go to ``out``; or to the run folder that the model lies in, other pictures than its
    validation split to a folder of their own there; or else, for a model outside of a run, to
    ``<model's name>-evaluation`` in the working directory.

    Raises:
        MienError: bad model, data or options.
    """
    options = options or EvaluateOptions()
    model = load_model(model_path)
    home = _run_folder(Path(model_path))
    options = replace(options, data=_data_options(model, options.data, home))
    images = read_source(source, options.data, progress=progress)
    return evaluate_images(model_path, images, options, out=out, progress=progress)


def evaluate_images(
    model_path: Path | str,
    images: ImageSet,
    options: EvaluateOptions,
    *,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> EvaluateResult:
    """The same for pictures that are in memory already."""
    model = load_model(model_path)
    home, split = _run_folder(Path(model_path)), split_name(options.split)
    known = read_training_hashes(home) if home else None
    images, about = _as_trained(images, model)
    chosen = choose_split(images, split)
    folder = Path(out) if out else _folder(Path(model_path), home, model, images, split)
    logits = collect(
        model.network,
        images.images if len(chosen) == len(images) else images.images[chosen],
        device="cuda" if _accelerator(options) == "cuda" else "cpu",
        precision=options.precision,
        flip=options.flip,
        progress=progress,
    )
    outputs = Outputs(
        ids=images.ids[chosen],
        splits=np.array(SPLITS)[images.splits[chosen]],
        labels=_labels_for(model, images)[chosen],
        logits=logits,
        hashes=images.hashes[chosen].astype("U32"),
        copied=_copied(images, chosen, known),
        classes=model.classes,
        about={
            "architecture": model.architecture,
            "model_checksum": model.checksum,
            "data_fingerprint": images.fingerprint,
            "split": split,
            "flip": options.flip,
            "precision": options.precision,
        },
    )
    evaluation = evaluate_outputs(outputs)
    _make_folder(folder)
    write_predictions(folder / "predictions.parquet", outputs)
    write_json(folder / "evaluation.json", evaluation.to_json())
    notes = (*images.notes, *about)
    return EvaluateResult(evaluation=evaluation, outputs=outputs, folder=folder, notes=notes)


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
        evaluation=evaluate_outputs(outputs), outputs=outputs, folder=file.parent, notes=()
    )


def split_name(name: str) -> str:
    """A split's name as mien calls it: ``PublicTest`` is ``validation``.

    Raises:
        OptionError: no such split.
    """
    known = _SPLIT_ALIASES.get(name.casefold(), name.casefold())
    if known not in (*SPLITS, "all"):
        raise OptionError(f"--split {name}: one of {', '.join(SPLITS)} or all")
    return known


def choose_split(images: ImageSet, split: str) -> NDArray[np.int64]:
    """Indices of the images of one of ``SPLITS``, or of ``all``.

    Raises:
        DataError: it has no images.
    """
    chosen = np.arange(len(images)) if split == "all" else images.where(split)
    if len(chosen) == 0:
        there = ", ".join(f"{s} {len(images.where(s)):,}" for s in SPLITS)
        raise DataError(f"the {split} split has no images ({there}); choose another --split")
    return chosen


def _data_options(model: Model, options: DataOptions, home: Path | None) -> DataOptions:
    """Read pictures as the model takes them, and as its run did unless told otherwise."""
    if home and options == DataOptions():
        try:
            options = from_json(DataOptions, Run.open(home).read_record()["options"]["data"])
        except (KeyError, TypeError, OptionError) as error:
            raise RunError(f"{home}/run.json: cannot be used ({error})") from error
    return replace(
        options,
        size=model.config.size,
        colour=model.config.channels == 3,
        classes=options.classes if model.classes == CLASSES else "found",
    )


def _folder(
    model_path: Path, home: Path | None, model: Model, images: ImageSet, split: str
) -> Path:
    if home is None:
        return Path(f"{model_path.stem}-evaluation")
    if split == "validation" and model.about.get("data_fingerprint") == images.fingerprint:
        return home
    return home / f"{split}-{images.fingerprint[:8]}"


def _as_trained(images: ImageSet, model: Model) -> tuple[ImageSet, tuple[str, ...]]:
    """Where the model was trained on these very pictures, hold out what it held out."""
    same = model.about.get("data_fingerprint") == images.fingerprint
    recipe = model.about.get("recipe")
    if same and not images.has_validation and isinstance(recipe, dict):
        held = with_validation(images, int(recipe.get("seed", 0)))
        return held, ("validation is the tenth of training that the model did not train on",)
    return images, ()


def _labels_for(model: Model, images: ImageSet) -> NDArray[np.int64]:
    if images.classes == model.classes:
        return images.labels
    used = sorted(set(images.labels[images.labels >= 0].tolist()))
    unknown = [images.classes[k] for k in used if images.classes[k] not in model.classes]
    if unknown:
        raise DataError(
            f"the model does not know the classes {', '.join(unknown)}; it knows "
            f"{', '.join(model.classes)} (--map FOUND=CLASS translates)"
        )
    table = [model.classes.index(c) if c in model.classes else -1 for c in images.classes]
    return np.array([*table, -1], dtype=np.int64)[images.labels]


def _copied(
    images: ImageSet, chosen: NDArray[np.int64], known: NDArray[np.bytes_] | None
) -> NDArray[np.bool_]:
    copied = copied_in_training(images, chosen)
    if known is not None:
        copied = copied | np.isin(images.hashes[chosen], known)
    return np.asarray(copied, dtype=np.bool_)


def _run_folder(path: Path) -> Path | None:
    for folder in (path, path.parent):
        if (folder / "run.json").is_file():
            return Run.open(folder).path
    return None


def _accelerator(options: EvaluateOptions) -> str:
    return choose_hardware(accelerator=options.accelerator, precision=options.precision).accelerator


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made; name another folder with --out") from error
