"""The verb ``evaluate``: a model's predictions on a split, saved once, and their numbers."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.config import from_json
from mien.data.splits import copied_in_training
from mien.errors import DataError, OptionError, RunError
from mien.evaluate.collect import collect
from mien.evaluate.confusion import evaluate as evaluate_outputs
from mien.evaluate.predictions import write_predictions
from mien.jobs.hashes import read_training_hashes
from mien.jobs.prepare import DataOptions, absolute, read_source, with_validation
from mien.jobs.recompute import EvaluateResult, calibration_of
from mien.jobs.start import held_out_by
from mien.jobs.views import crops_of, recipe_part, resampling_of
from mien.labels import CLASSES, class_of
from mien.models.checkpoint import Model, load_model
from mien.runs import Run, write_json
from mien.theory.smoothing import as_smoothing
from mien.train.hardware import choose_hardware
from mien.types import SPLITS, ImageSet, Outputs, Progress, silent

# As much as training's augmentation, so that no view is strange to a model.
ZOOMS = (1.0, 0.92, 1.08)

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

    zooms: average over ``ZOOMS`` too, for three times the work. crops: over five parts of 11/12 of
    the side instead, for networks that average over their last map.
    data: as for training; size, colour and kind of classes are always the model's, and where the
    rest is left at its defaults, the options of the model's run are taken.
    """

    split: str = "validation"
    flip: bool = True
    zooms: bool = False
    crops: bool = False
    data: DataOptions = field(default_factory=DataOptions)
    accelerator: str = "auto"
    precision: str = "fp32"


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
    home = run_folder(Path(model_path))
    options = replace(options, data=data_options(model, options.data, home, source))
    images = read_source(source, options.data, progress=progress)
    return evaluate_images(model_path, images, options, model=model, out=out, progress=progress)


def evaluate_images(
    model_path: Path | str,
    images: ImageSet,
    options: EvaluateOptions,
    *,
    model: Model | None = None,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> EvaluateResult:
    """The same for pictures that are in memory already, and the model too where it is given."""
    model = model or load_model(model_path)
    home, split = run_folder(Path(model_path)), split_name(options.split)
    known = read_training_hashes(home) if home else None
    images, about = as_trained(images, model)
    chosen = choose_split(images, split)
    folder = Path(out) if out else _folder(Path(model_path), home, model, images, split)
    hardware = choose_hardware(accelerator=options.accelerator, precision=options.precision)
    crops = crops_of(model) if options.crops else 0
    logits = collect(
        model.network,
        images.images if len(chosen) == len(images) else images.images[chosen],
        device=hardware.accelerator,
        precision=hardware.precision,
        flip=options.flip,
        zooms=ZOOMS if options.zooms else (1.0,),
        resampling=resampling_of(model),
        crops=crops,
        progress=progress,
    )
    copied, unsure = _copied(images, chosen, known, model)
    outputs = Outputs(
        ids=images.ids[chosen],
        splits=np.array(SPLITS)[images.splits[chosen]],
        labels=labels_for(model, images)[chosen],
        logits=logits,
        hashes=images.hashes[chosen].astype("U32"),
        copied=copied,
        classes=model.classes,
        about={
            "architecture": model.architecture,
            "model_checksum": model.checksum,
            "data_fingerprint": images.fingerprint,
            "split": split,
            "flip": options.flip,
            "zooms": list(ZOOMS) if options.zooms else [1.0],
            **({"resampling": resampling_of(model)} if options.zooms else {}),
            "crops": crops,
            "precision": hardware.precision,
            "label_smoothing": label_smoothing(model),
        },
    )
    evaluation = evaluate_outputs(outputs)
    make_folder(folder)
    write_predictions(folder / "predictions.parquet", outputs)
    write_json(folder / "evaluation.json", evaluation.to_json())
    notes = (*images.notes, *about, *unsure)
    found = calibration_of(outputs)
    if found is not None:
        write_json(folder / "calibration.json", found.to_json())
    return EvaluateResult(
        evaluation=evaluation, outputs=outputs, folder=folder, notes=notes, calibration=found
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


def data_options(model: Model, options: DataOptions, home: Path | None, source: str) -> DataOptions:
    """Read pictures as the model takes them, and as its run did unless told otherwise."""
    if home:
        record = Run.open(home).read_record()
        try:
            run = from_json(DataOptions, record["options"]["data"])
            same = record["options"]["source"] == absolute(source)
        except (KeyError, TypeError, OptionError) as error:
            raise RunError(f"{home}/run.json: cannot be used ({error})") from error
        options = replace(
            options,
            format=options.format or (run.format if same else ""),
            map=options.map or run.map,
            skip_bad=options.skip_bad or (run.skip_bad and same),
            classes=run.classes if model.classes == CLASSES else "found",
        )
    return replace(
        options,
        size=model.config.size,
        colour=model.config.channels == 3,
        classes=options.classes if model.classes == CLASSES else "found",
    )


def label_smoothing(model: Model) -> float:
    """That of the recipe that trained the model; 0 where its file does not say.

    0 for the generalised cross-entropy too, whose least loss is elsewhere than ``unsmoothed`` says.
    """
    objective = recipe_part(model, "objective")
    if objective.get("robust_q"):
        return 0.0
    return as_smoothing(objective.get("label_smoothing")) or 0.0


def _folder(
    model_path: Path, home: Path | None, model: Model, images: ImageSet, split: str
) -> Path:
    if home is None:
        return Path(f"{model_path.stem}-evaluation")
    if split == "validation" and model.about.get("data_fingerprint") == images.fingerprint:
        return home
    return home / f"{split}-{images.fingerprint[:8]}"


def as_trained(images: ImageSet, model: Model) -> tuple[ImageSet, tuple[str, ...]]:
    """Where the model was trained on these very pictures, hold out what it held out."""
    seed = held_out_by(model, images)
    if seed is None:
        return images, ()
    held = with_validation(images, seed)
    return held, ("validation is the tenth of training that the model did not train on",)


def labels_for(model: Model, images: ImageSet) -> NDArray[np.int64]:
    """The pictures' labels as indices into the model's classes, int64 N; -1 stays.

    Raises:
        DataError: a class that is in use is unknown to the model.
    """
    if images.classes == model.classes:
        return images.labels
    used = sorted(set(images.labels[images.labels >= 0].tolist()))
    table = [_same_class(name, model.classes) for name in images.classes]
    unknown = [images.classes[k] for k in used if table[k] < 0]
    if unknown:
        raise DataError(
            f"the model does not know the classes {', '.join(unknown)}; it knows "
            f"{', '.join(model.classes)}"
        )
    return np.array([*table, -1], dtype=np.int64)[images.labels]


def _same_class(name: str, known: tuple[str, ...]) -> int:
    """Where a class stands among the model's: by its name, else by what the name stands for."""
    if name in known:
        return known.index(name)
    meant = [class_of(other) for other in known]
    wanted = class_of(name)
    return meant.index(wanted) if wanted is not None and meant.count(wanted) == 1 else -1


def _copied(
    images: ImageSet, chosen: NDArray[np.int64], known: NDArray[np.bytes_] | None, model: Model
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Whether each chosen image has a copy among those that trained the model; what is unsure."""
    if known is not None:
        return np.isin(images.hashes[chosen], known), ()
    if model.about.get("data_fingerprint") == images.fingerprint:
        return np.isin(images.hashes[chosen], images.hashes[images.where("train")]), ()
    note = "the model lies outside of its run: copies are sought in the training split of the data"
    return copied_in_training(images, chosen), (note,)


def run_folder(path: Path) -> Path | None:
    """The run folder that a model is, or lies in; None where it lies elsewhere."""
    if not path.exists():  # a name of mien's own
        return None
    for folder in (path, path.parent):
        if (folder / "run.json").is_file():
            return Run.open(folder).path
    return None


def make_folder(folder: Path) -> None:
    """Make a folder for results.

    Raises:
        RunError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made; name another folder with --out") from error
