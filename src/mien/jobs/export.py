"""The verb ``export``: a model as one ONNX file, held against torch before it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.data.synthetic import generate
from mien.errors import ModelFileError, NetworkError, OptionError, RunError
from mien.evaluate.compare import Paired, compare
from mien.jobs.evaluate import as_trained, choose_split, data_options, labels_for, run_folder
from mien.jobs.novelty import with_novelty
from mien.jobs.prepare import DataOptions, read_source
from mien.jobs.quantise import quantise
from mien.models import bundled
from mien.models.checkpoint import Model, load_model
from mien.models.confidence import Confidence, read_confidence
from mien.models.export import Served, to_onnx, with_metadata
from mien.models.onnx_file import parse_onnx
from mien.predict.classifier import OnnxClassifier
from mien.runs import write_atomic
from mien.types import ImageSet, Outputs, Progress, Scores, silent

# Greatest difference of a probability from torch's in float32; and the mean one of eight bits.
TOLERANCE = 1e-3
TOLERANCE_INT8 = 0.03
_COMPARED = 512
_CALIBRATED = 512


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The file against torch in float32 on the same pictures.

    images: how many; drawn: whether mien drew them. worst, mean: of the absolute differences of
    probabilities. novelty: the worst difference of the score as a share of the scores' deviation,
    None without one. same: share of equal answers.
    """

    images: int
    drawn: bool
    worst: float
    mean: float
    novelty: float | None
    same: float

    def to_json(self) -> dict[str, Any]:
        """Plain scalars."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """out: the file; size in bytes. cost: torch (A) against the file (B) on validation images.

    form: ``fp32`` or ``int8``. cost is None where no data were given.
    """

    out: Path
    size: int
    form: str
    parity: Parity
    confidence: Confidence
    novelty: bool
    cost: Paired | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts."""
        return {
            "out": str(self.out),
            "bytes": self.size,
            "form": self.form,
            "flip": self.confidence.flip,
            "temperature": self.confidence.temperature,
            "novelty": self.novelty,
            "parity": self.parity.to_json(),
            "cost": self.cost and self.cost.to_json(),
            "notes": list(self.notes),
        }


def export(
    model_path: Path | str,
    out: Path | str | None = None,
    *,
    int8: bool = False,
    source: str = "",
    progress: Progress = silent,
) -> ExportResult:
    """Write a model as ONNX, after its answers were compared with torch's.

    Args:
        model_path: a run folder, a ``.safetensors`` file, or a name of ``mien models``.
        out: by default beside the model: ``model.onnx``, or ``model-int8.onnx``; for one of mien's
            own ``NAME.onnx`` in the working directory.
        int8: weights and activations in eight bits; their ranges come from training pictures of
            ``source``, or from drawn faces.
        source: data to compare on, its validation split, which then also gives the cost in
            accuracy; by default faces that mien draws.

    Raises:
        MienError: bad model or data, or answers that differ by more than the tolerance.
    """
    path, beside = Path(model_path), True
    if bundled.is_name(model_path):
        path, beside = bundled.entry(str(model_path)).weights, False
    file = path / "model.safetensors" if path.is_dir() else path
    name = f"{file.stem}{'-int8' if int8 else ''}.onnx"
    target = Path(out) if out else file.with_name(name) if beside else Path(name)
    if target.suffix.lower() != ".onnx":
        raise OptionError(f"--out {target}: name a file that ends in .onnx")
    model = load_model(path)
    progress("export", 0, 3)
    served, threshold = serve(model)
    proto = to_onnx(served, channels=model.config.channels, size=model.config.size)
    progress("export", 1, 3)
    images = _read(model, path, source, progress) if source else None
    if int8:
        proto = quantise(proto, _training(model, images))
    content = with_metadata(proto, card_of(model, threshold, "int8" if int8 else "fp32"))
    progress("export", 2, 3)
    classifier = OnnxClassifier(parse_onnx(content, target), name=str(target))
    pictures, labelled = _pictures(model, images)
    here, there = score(served, pictures), classifier.classify(pictures)
    parity = parity_of(here, there, drawn=images is None)
    check(parity, int8=int8)
    cost = None
    if labelled is not None and (labelled.labels >= 0).any():
        cost = compare(
            _as_outputs(labelled, here, model), _as_outputs(labelled, there, model)
        ).whole
    _write(target, content)
    progress("export", 3, 3)
    return ExportResult(
        out=target, size=len(content), form="int8" if int8 else "fp32", parity=parity,
        confidence=read_confidence(model.about) or Confidence(), novelty=threshold is not None,
        cost=cost, notes=images.notes if images else (),
    )  # fmt: skip


def serve(model: Model) -> tuple[Served, float | None]:
    """A model as it answers, and its threshold of novelty, None where it has none."""
    scored = with_novelty(model)
    network: nn.Module = model.network if scored is None else scored
    confidence = read_confidence(model.about) or Confidence()
    served = Served(network, temperature=confidence.temperature, flip=confidence.flip,
                    smoothing=confidence.smoothing).eval()  # fmt: skip
    return served, None if scored is None else float(scored.threshold)


def card_of(model: Model, threshold: float | None, form: str) -> dict[str, Any]:
    """The card that an ONNX file carries: the model's own, of which file it was made, its form."""
    from mien.config import to_json

    return {
        "architecture": model.architecture,
        "config": to_json(model.config),
        "classes": list(model.classes),
        "preprocessing": model.preprocessing,
        "about": model.about,
        "novelty_threshold": threshold,
        "model_checksum": model.checksum,
        "form": form,
    }


def score(served: Served, images: NDArray[np.uint8], *, batch_size: int = 128) -> Scores:
    """What torch says in float32 of pictures uint8 N×C×H×W."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            out = served(torch.from_numpy(np.array(images[start : start + batch_size])))
            parts.append([part.numpy() for part in (out[0], *out[2:])])
    found = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return Scores(probabilities=found[0], novelty=found[1] if len(found) > 1 else None)


def check(parity: Parity, *, int8: bool, limit: float | None = None) -> None:
    """Refuse a graph that does not answer as torch does; ``limit`` in place of the tolerance.

    Raises:
        NetworkError: it does not.
    """
    value, usual = (parity.mean, TOLERANCE_INT8) if int8 else (parity.worst, TOLERANCE)
    limit = usual if limit is None else limit
    if not value <= limit:  # nan is refused as well
        which = "on average" if int8 else "at worst"
        mend = "; it does not bear eight bits" if int8 else "; nothing was written"
        raise NetworkError(
            f"the ONNX graph's probabilities differ from torch's by {value:.2g} {which}, "
            f"more than {limit:g}{mend}"
        )


def _read(model: Model, path: Path, source: str, progress: Progress) -> ImageSet:
    home = run_folder(path)
    options = data_options(model, DataOptions(), home, source)
    return as_trained(read_source(source, options, progress=progress), model)[0]


def _training(model: Model, images: ImageSet | None) -> NDArray[np.uint8]:
    if images is None:
        return _drawn(model, _CALIBRATED, seed=1)
    index = images.where("train")
    if len(index) == 0:
        return _drawn(model, _CALIBRATED, seed=1)
    rng = np.random.default_rng(0)
    chosen = rng.choice(index, size=min(_CALIBRATED, len(index)), replace=False)
    return np.asarray(images.images[np.sort(chosen)])


def _pictures(model: Model, images: ImageSet | None) -> tuple[NDArray[np.uint8], ImageSet | None]:
    if images is None:
        return _drawn(model, _COMPARED, seed=0), None
    chosen = images.take(choose_split(images, "validation"))
    return np.asarray(chosen.images), chosen


def _drawn(model: Model, count: int, *, seed: int) -> NDArray[np.uint8]:
    grey = generate(count, seed=seed, size=min(max(model.config.size, 24), 256)).images
    if grey.shape[-1] != model.config.size:
        import cv2

        side = (model.config.size, model.config.size)
        grey = np.stack([cv2.resize(one[0], side)[None] for one in grey]).astype(np.uint8)
    return np.repeat(grey, model.config.channels, axis=1)


def parity_of(here: Scores, there: Scores, *, drawn: bool) -> Parity:
    """How far ``there`` is from ``here``, both of the same pictures."""
    gap = np.abs(here.probabilities - there.probabilities)
    novelty = None
    if here.novelty is not None:
        if there.novelty is None:
            raise ModelFileError("the ONNX graph has lost its score of novelty")
        deviation = float(here.novelty.std()) or 1.0
        novelty = float(np.abs(here.novelty - there.novelty).max()) / deviation
    same = here.probabilities.argmax(axis=1) == there.probabilities.argmax(axis=1)
    return Parity(images=len(gap), drawn=drawn, worst=float(gap.max()), mean=float(gap.mean()),
                  novelty=novelty, same=float(same.mean()))  # fmt: skip


def _as_outputs(images: ImageSet, scores: Scores, model: Model) -> Outputs:
    return Outputs(
        ids=images.ids,
        splits=np.full(len(images), "validation"),
        labels=labels_for(model, images),
        logits=np.log(np.maximum(scores.probabilities, 1e-12)),
        hashes=images.hashes.astype("U32"),
        copied=np.zeros(len(images), dtype=bool),
        classes=model.classes,
    )


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomic(path, content)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); name another --out"
        ) from error
