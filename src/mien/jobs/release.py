"""The job ``release``: from runs (trained where absent) to the models that mien brings along.

For each model: calibrate, teach it what is no face, write it with half of the bits and as an ONNX
graph beside, measure these very files on validation images, put the results into the model's
card. A run keeps what is slow (its novelty score, robustness), so that a second release is quick.
The folder changes only when everything is ready: files first, the index, which names them, last.
"""

import copy
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.config import override
from mien.errors import RunError
from mien.evaluate.predictions import read_predictions
from mien.jobs.calibrate import calibrate
from mien.jobs.evaluate import (
    EvaluateOptions,
    as_trained,
    choose_split,
    evaluate_images,
    labels_for,
)
from mien.jobs.export import Parity, card_of, check, parity_of, score, serve
from mien.jobs.model_card import CARD
from mien.jobs.novelty import KEY, teach
from mien.jobs.prepare import DataOptions, read_source
from mien.jobs.release_card import describe, facts, looks, speed
from mien.jobs.robustness import robustness
from mien.jobs.train import Listeners, TrainOptions, resume, train
from mien.models import bundled
from mien.models.checkpoint import Model, is_halved, load_model, save_model
from mien.models.export import keep_beside, to_onnx, with_metadata
from mien.predict.classifier import OnnxClassifier
from mien.runs import read_json, write_atomic, write_json
from mien.train.recipes import recipe
from mien.types import ImageSet, Outputs, Progress, silent

LARGEST = 20_000_000  # bytes of all models together
# Greatest difference of a probability that half of the bits may make.
HALF_TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True)
class Release:
    """A model to release. recipe, seed: what trains it where its run is absent.

    settings: fields of the recipe that differ, as ``mien train --set`` takes them. teachers: names
    of releases before it that it learns from. flip: answers are the average with the mirror image,
    for twice the time. default: the one that is meant where no model is named.
    """

    name: str
    recipe: str
    seed: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    teachers: tuple[str, ...] = ()
    flip: bool = True
    default: bool = False


# A new model is a line here. ``cnn4`` beside ``wide`` would be more than ``LARGEST``.
RELEASES = (
    Release(name="wide", recipe="wide", flip=False, default=True),
    Release(name="tiny", recipe="tiny", teachers=("wide",), flip=False,
            settings={"objective.teachers_see": "once"}),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Released:
    """What became of one: its two files, how far they agree with torch, the index's facts."""

    name: str
    weights: bytes
    onnx: bytes
    parity: Parity
    facts: dict[str, Any]


def release(
    source: str,
    runs: Path,
    *,
    releases: Sequence[Release] = RELEASES,
    folder: Path = bundled.FOLDER,
    limit: int = 0,
    listeners: Listeners | None = None,
    progress: Progress = silent,
) -> tuple[Released, ...]:
    """Make every model and write them to ``folder``, which then holds these and no others.

    Args:
        source: the data. runs: the folder of the run folders, each called as its model.
        limit: at most this many pictures for robustness; 0 for all validation images.

    Raises:
        MienError: bad data or runs, a graph that does not agree, or models that are too large.
    """
    if [one.default for one in releases].count(True) != 1:
        raise RunError("one of the released models, and one alone, must be the default")
    for one in releases:  # all of them first: what follows seals a teacher's file anew
        _trained(one, source, runs, listeners or Listeners())
    made = [_make(one, source, runs / one.name, limit, progress) for one in releases]
    total = sum(len(one.weights) + len(one.onnx) for one in made)
    if total > LARGEST:
        raise RunError(f"the models take {total / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}")
    _write(made, next(one.name for one in releases if one.default), folder)
    return tuple(made)


def _make(one: Release, source: str, folder: Path, limit: int, progress: Progress) -> Released:
    taught = _taught(folder, source, progress)
    images = _images(load_model(folder), source, progress)
    _calibrated(one, folder, images, progress)
    model = load_model(folder)
    proto = _graph(model)
    plain = _formed(one.name, model, proto)[2]
    chosen = images.take(choose_split(images, "validation"))
    outputs = _outputs(plain, chosen, model, folder)
    card = describe(one.name, model, folder, outputs, taught)
    card["looks"] = looks(plain, chosen, outputs)
    card["robustness"] = _robustness(plain, chosen, model, folder, limit, progress)
    card["speed"] = speed(plain)
    model = replace(model, about={**model.about, CARD: card})
    weights, graph, final = _formed(one.name, model, proto)
    again = chosen.images[:512]
    served, _ = serve(model)
    parity = parity_of(score(served, again), final.classify(again), drawn=False)
    # The graph's weights have half of the bits, torch's here have all.
    check(parity, int8=False, limit=HALF_TOLERANCE)
    return Released(name=one.name, weights=weights, onnx=graph, parity=parity,
                    facts=facts(card, len(weights) + len(graph)))  # fmt: skip


def _trained(one: Release, source: str, runs: Path, ears: Listeners) -> None:
    """Train where there is no model yet, or go on where that was interrupted."""
    folder = runs / one.name
    if (folder / "model.safetensors").is_file():
        return
    if (folder / "run.json").is_file():
        resume(folder, listeners=ears)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    chosen = override(replace(recipe(one.recipe), seed=one.seed), one.settings)
    options = TrainOptions(source=source, teachers=tuple(str(runs / name) for name in one.teachers))
    train(options, out=folder, recipe=chosen, listeners=ears)


def _taught(folder: Path, source: str, progress: Progress) -> dict[str, Any]:
    """What was measured when the run learnt what is no face; it learns it where it has not."""
    record = folder / "novelty.json"
    if KEY in load_model(folder).about and record.is_file():
        return read_json(record)
    # Calibration names the file that it was fitted on, which teaching seals anew.
    found = teach(folder, source, progress=progress).to_json()
    write_json(record, {k: v for k, v in found.items() if k != "model"})
    return read_json(record)


def _images(model: Model, source: str, progress: Progress) -> ImageSet:
    options = DataOptions(size=model.config.size, colour=model.config.channels == 3)
    return as_trained(read_source(source, options, progress=progress), model)[0]


def _calibrated(one: Release, folder: Path, images: ImageSet, progress: Progress) -> None:
    """Fit the confidence on predictions of this very file, with or without the mirror image."""
    model = load_model(folder)
    work = folder / "release"
    work.mkdir(exist_ok=True)
    saved = work / "predictions.parquet"
    known = saved.is_file() and read_predictions(saved).about
    weights = digest(model)
    if not (known and known["flip"] == one.flip and _read(work / "weights.json") == weights):
        options = EvaluateOptions(flip=one.flip)
        evaluate_images(folder, images, options, out=work, progress=progress)
        write_json(work / "weights.json", {"weights": weights})
    _refer(saved, model)
    calibrate(folder, predictions=saved)


def _refer(saved: Path, model: Model) -> None:
    """Say in predictions of the same weights that they are of this file, sealed anew since."""
    from mien.evaluate.predictions import write_predictions

    outputs = read_predictions(saved)
    about = {**outputs.about, "model_checksum": model.checksum}
    write_predictions(saved, replace(outputs, about=about))


def _read(path: Path) -> str:
    return str(read_json(path).get("weights")) if path.is_file() else ""


def digest(model: Model) -> str:
    """A hash of the weights alone, whatever the file says besides."""
    sha = hashlib.sha256()
    for name, tensor in sorted(model.network.state_dict().items()):
        sha.update(name.encode())
        sha.update(tensor.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _graph(model: Model) -> Any:
    """The ONNX graph of the model with its weights rounded to half of the bits."""
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if is_halved(name, tensor):
                tensor.copy_(tensor.half())
    served, _ = serve(replace(model, network=network))
    return to_onnx(served, channels=model.config.channels, size=model.config.size)


def _formed(name: str, model: Model, proto: Any) -> tuple[bytes, bytes, OnnxClassifier]:
    """The two files of a model, and the classifier that they make."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.safetensors"
        save_model(path, model, half=True)
        halved, weights = load_model(path), path.read_bytes()
        card = card_of(halved, serve(halved)[1], "fp16")
        card["weights"] = {"file": path.name, "checksum": halved.checksum}
        graph = with_metadata(keep_beside(proto, weights, path.name), card)
        beside = path.with_suffix(".onnx")
        write_atomic(beside, graph)
        return weights, graph, OnnxClassifier(beside, name=name)


def _outputs(classifier: OnnxClassifier, images: ImageSet, model: Model, folder: Path) -> Outputs:
    """What the released file says of the validation images."""
    known = read_predictions(folder / "release" / "predictions.parquet")
    copied = set(known.hashes[known.copied].astype(str).tolist())
    hashes = images.hashes.astype("U32")
    probabilities = classifier.classify(images.images).probabilities
    # These are calibrated, so nothing is left to be taken back.
    about = {k: v for k, v in known.about.items() if k != "label_smoothing"}
    return Outputs(
        ids=images.ids, splits=np.full(len(images), "validation"),
        labels=labels_for(model, images), logits=np.log(np.maximum(probabilities, 1e-12)),
        hashes=hashes, copied=np.array([one in copied for one in hashes.tolist()]),
        classes=model.classes, about=about,
    )  # fmt: skip


def _robustness(
    classifier: OnnxClassifier, images: ImageSet, model: Model, folder: Path, limit: int,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    record, key = folder / "robustness.json", digest(model)
    known = read_json(record) if record.is_file() else {}
    flip = classifier.confidence.flip
    if (known.get("weights"), known.get("limit"), known.get("flip")) == (key, limit, flip):
        return dict(known["found"])
    labels = labels_for(model, images)
    index = np.flatnonzero(labels >= 0)
    if limit and limit < len(index):
        index = np.sort(np.random.default_rng(0).choice(index, size=limit, replace=False))
    found = robustness(
        lambda pictures: classifier.classify(pictures).probabilities.argmax(axis=1),
        np.asarray(images.images[index]), labels[index], progress=progress,
    ).to_json()  # fmt: skip
    write_json(record, {"weights": key, "limit": limit, "flip": flip, "found": found})
    return found


def _write(made: Sequence[Released], default: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        write_atomic(folder / f"{one.name}.safetensors", one.weights)
        write_atomic(folder / f"{one.name}.onnx", one.onnx)
    models = {one.name: one.facts for one in made}
    write_json(folder / bundled.INDEX, {"default": default, "models": models})
    for path in (*folder.glob("*.safetensors"), *folder.glob("*.onnx")):
        if path.stem not in models:
            path.unlink()
