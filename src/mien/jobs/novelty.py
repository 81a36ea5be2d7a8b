"""The job ``novelty``: teach a saved model to tell that a picture is no face, and measure it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data import nonfaces
from mien.errors import DataError, ModelFileError, NetworkError
from mien.evaluate.intervals import wilson
from mien.evaluate.novelty import ACCEPTED, HEAD, WithNovelty, fit_novelty
from mien.jobs.prepare import DataOptions, read_source, select, with_validation
from mien.jobs.start import held_out_by
from mien.models.checkpoint import EXTRA, Model, load_model, save_model
from mien.types import ImageSet, Interval, Progress, silent

KEY = "novelty"
_DRAWN = ("white noise", "pink noise", "blurred noise", "stripes", "checks", "blobs")
# Never shown in fitting, so what they measure is what a new kind of picture would meet.
KEPT_OUT = ("bricks", "cells", "dots", "text")
_FACES = 12_000


@dataclass(frozen=True, kw_only=True)
class NoveltyResult:
    """accepted: share of validation faces let through. refused: share of each kind refused.

    kept_out: which of the kinds the fit never saw.
    """

    model: Path
    threshold: float
    accepted: Interval
    refused: dict[str, Interval]
    kept_out: tuple[str, ...]

    @property
    def all_refused(self) -> Interval:
        """The share refused of all pictures of all kinds together, every kind weighing the same."""
        kinds = list(self.refused.values())
        mean = sum(kind.value for kind in kinds) / len(kinds)
        below = sum((kind.value - kind.low) ** 2 for kind in kinds) ** 0.5 / len(kinds)
        above = sum((kind.high - kind.value) ** 2 for kind in kinds) ** 0.5 / len(kinds)
        return Interval(mean, mean - below, mean + above)

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts."""
        return {
            "model": str(self.model),
            "threshold": self.threshold,
            "accepted": self.accepted.to_json(),
            "refused": {kind: share.to_json() for kind, share in self.refused.items()},
            "all_refused": self.all_refused.to_json(),
            "kept_out": list(self.kept_out),
        }


def teach(
    model_path: Path | str,
    source: str,
    *,
    extra: Mapping[str, NDArray[np.uint8]] | None = None,
    count: int = 400,
    seed: int = 0,
    progress: Progress = silent,
) -> NoveltyResult:
    """Fit the score on the model's training images, seal it into its file, measure it.

    The faces are training images of ``source``, a third of them also ``worn``; the others are drawn
    or made of training images. It is measured on the validation faces and on ``count`` pictures
    of each kind, drawn with another seed or made of validation faces, on the kinds ``KEPT_OUT``
    and on ``extra`` (name to uint8 N×1×size×size), which the fit never sees.

    Raises:
        MienError: model or data cannot be used.
    """
    path = Path(model_path)
    file = path / "model.safetensors" if path.is_dir() else path
    model = load_model(file)
    images = _pictures(model, source, progress)
    chosen = select(images, keep_copies=False)
    rng = np.random.default_rng(seed)
    faces = _some(images, chosen.training, _FACES, rng)
    worn = nonfaces.worn(faces[: len(faces) // 3], seed=seed)
    others = _negatives(_some(images, chosen.training, _FACES // 2, rng), seed=2 * seed + 1)
    fitted = fit_novelty(model.network, faces, list(others.values()), worn=worn, seed=seed,
                         progress=progress)  # fmt: skip
    _seal(file, model, fitted.module)
    known = images.images[chosen.validation]
    shown = _measured(known, count, seed=2 * seed + 2) | dict(extra or {})
    refused = {kind: _refused(fitted.module, made) for kind, made in shown.items()}
    away = _refused(fitted.module, known)
    return NoveltyResult(
        model=file,
        threshold=float(fitted.module.threshold),
        accepted=Interval(1 - away.value, 1 - away.high, 1 - away.low),
        refused=refused,
        kept_out=(*KEPT_OUT, *(extra or {})),
    )


def with_novelty(model: Model) -> WithNovelty | None:
    """The model's network with its score; None where the file has none.

    Raises:
        ModelFileError: what the file holds does not fit the network.
    """
    stored = model.about.get(KEY)
    if stored is None:
        return None
    try:
        taps = [(str(name), int(call)) for name, call in stored["taps"]]
        head = {name: model.extras[f"{EXTRA}{name}"] for name in HEAD}
        module = WithNovelty(model.network, taps, head).eval()
        with torch.no_grad():
            shape = (1, model.config.channels, model.config.size, model.config.size)
            module(torch.zeros(shape, dtype=torch.uint8))
    except (KeyError, TypeError, ValueError, RuntimeError, NetworkError) as error:
        raise ModelFileError(f"the model's novelty score cannot be used ({error})") from error
    return module


def score_pictures(module: WithNovelty, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scores float32 N of pictures uint8 N×C×H×W; above ``module.threshold`` it is no face."""
    found: list[Tensor] = []
    module.eval()
    with torch.no_grad():
        for start in range(0, len(images), 256):
            batch = torch.from_numpy(np.array(images[start : start + 256]))
            found.append(module(batch.to(module.threshold.device))[1].cpu())
    return torch.cat(found).numpy()


def _pictures(model: Model, source: str, progress: Progress) -> ImageSet:
    if model.config.channels != 1:
        raise DataError("pictures that are no faces are drawn in grey; this model takes colour")
    images = read_source(source, DataOptions(size=model.config.size), progress=progress)
    seed = held_out_by(model, images)
    return with_validation(images, 0 if seed is None else seed)


def _some(
    images: ImageSet, index: NDArray[np.int64], most: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    picked = rng.choice(index, size=min(most, len(index)), replace=False)
    return np.array(images.images[np.sort(picked)])


def _negatives(faces: NDArray[np.uint8], *, seed: int) -> dict[str, NDArray[np.uint8]]:
    size, n = faces.shape[-1], max(50, len(faces) // 8)
    quarter = np.array_split(faces, 4)
    made = {kind: nonfaces.generate(kind, n, seed=seed, size=size) for kind in _DRAWN}
    made["leaves"] = nonfaces.generate("leaves", 2 * n, seed=seed, size=size)
    made["scrambled"] = nonfaces.scrambled(quarter[0], seed=seed)
    made["upside-down"] = nonfaces.upside_down(quarter[1])
    made["turned"] = nonfaces.turned(quarter[2], seed=seed)
    made["parts"] = nonfaces.parts(quarter[3], seed=seed)
    return made


def _measured(faces: NDArray[np.uint8], count: int, *, seed: int) -> dict[str, NDArray[np.uint8]]:
    size, some = faces.shape[-1], np.array(faces[:count])
    kinds = (*_DRAWN, "leaves", *KEPT_OUT)
    made = {kind: nonfaces.generate(kind, count, seed=seed, size=size) for kind in kinds}
    made["scrambled"] = nonfaces.scrambled(some, seed=seed)
    made["upside-down"] = nonfaces.upside_down(some)
    return made


def _refused(module: WithNovelty, images: NDArray[np.uint8]) -> Interval:
    away = score_pictures(module, images) > float(module.threshold)
    return wilson(int(away.sum()), len(images))


def _seal(file: Path, model: Model, module: WithNovelty) -> None:
    taps = [list(tap) for tap in module.taps]
    stored = {"taps": taps, "accepted": ACCEPTED, "model_checksum": model.checksum}
    about = {**model.about, KEY: stored}
    extras = {f"{EXTRA}{name}": value.cpu() for name, value in module.head().items()}
    save_model(file, Model(network=model.network, architecture=model.architecture,
                           config=model.config, classes=model.classes, about=about,
                           extras=extras))  # fmt: skip
