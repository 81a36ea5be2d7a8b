"""The maps of a split by class, as they are kept: ``saliency.npz`` and ``saliency.json``."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError, RunError
from mien.explain.attribution import METHODS
from mien.jobs.subject import ExplainOptions, Subject, class_index, probabilities
from mien.jobs.tally import RIGHT, WRONG, Tally
from mien.jobs.verdicts import verdict_on
from mien.runs import write_atomic, write_json
from mien.types import ImageSet

# A mean of fewer faces would show the persons.
FEWEST_FACES = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """What is to be done. rows: int64, the labelled images of ``split`` to explain, ascending."""

    subject: Subject
    images: ImageSet
    rows: NDArray[np.int64]
    split: str
    options: ExplainOptions
    classes: tuple[str, ...]

    @property
    def target(self) -> int | None:
        """The one class to explain; None for each image's own answer."""
        name = self.options.target
        return class_index(name, self.classes, "--target") if name else None

    @property
    def against(self) -> int | None:
        """The class that is held against it, or None."""
        name = self.options.against
        found = class_index(name, self.classes, "--against") if name else None
        if found is not None and found == self.target:
            raise OptionError(f"--against {name}: the same class as --target")
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """The options that the method heeds."""
        chosen = self.options.options
        return {name: getattr(chosen, name) for name in METHODS[self.options.method].heeds}

    def key(self) -> str:
        """Equal for two calls exactly where they explain the same."""
        rows = hashlib.sha256(np.ascontiguousarray(self.rows).tobytes()).hexdigest()
        labels = hashlib.sha256(np.ascontiguousarray(self.images.labels).tobytes()).hexdigest()
        return json.dumps(
            [1, self.subject.checksum, self.images.fingerprint, rows, labels, self.classes,
             self.options.method, self.settings, self.target, self.against],
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Saliency:
    """The maps of a split by class, as in ``saliency.npz`` and ``saliency.json``.

    report: the JSON. arrays: of the npz: ``maps`` float16 E×H×W of the examples, to be multiplied
    by ``scale`` (float32, one number); ``class_maps_right`` and ``class_maps_wrong`` float32
    K×H×W, mean maps of the images of a class that are answered rightly and wrongly, nan where
    there are none; ``class_sizes_right`` and ``class_sizes_wrong``, the same of the maps' absolute
    values; ``mean_faces`` float32 K×H×W, 0..255, nan for fewer than ``FEWEST_FACES`` images.
    pictures: uint8 E×C×H×W of the examples, in memory only. drawn: faces of the generator's.
    """

    folder: Path
    report: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    pictures: NDArray[np.uint8]
    drawn: bool
    notes: tuple[str, ...]


def finished(
    work: Work, tally: Tally, layer: str, folder: Path, notes: tuple[str, ...]
) -> Saliency:
    """A full tally as means, examples and their report; see ``Saliency``."""
    method, K = METHODS[work.options.method], len(work.classes)
    there = [(kind, k) for k in range(K) for kind in (RIGHT, WRONG) if tally.rows[kind, k] >= 0]
    maps = np.stack([tally.maps[place] for place in there])
    scale = np.float32(max(float(np.abs(maps).max()), 1e-30))
    counts = tally.counts[:, :, None, None]
    with np.errstate(invalid="ignore"):
        means, sizes = tally.sums / counts, tally.sizes / counts
        faces = tally.faces / counts.sum(axis=0)
    few = tally.counts.sum(axis=0) < FEWEST_FACES
    faces[few] = np.nan
    if few.any():
        names = ", ".join(work.classes[k] for k in np.flatnonzero(few))
        notes += (f"no mean face of {names}: fewer than {FEWEST_FACES} images would show persons",)
    rows = np.array([tally.rows[place] for place in there])
    return Saliency(
        folder=folder,
        report={
            "method": work.options.method,
            "title": method.title,
            "layer": layer,
            "target": None if work.target is None else work.classes[work.target],
            "against": None if work.against is None else work.classes[work.against],
            "options": work.settings,
            "split": work.split,
            "n": len(work.rows),
            "seed": work.options.options.seed,
            "classes": list(work.classes),
            "model": work.subject.opened.name,
            "model_checksum": work.subject.checksum,
            "data_fingerprint": work.images.fingerprint,
            "examples": [_example(work, tally, place) for place in there],
            "counts": {
                "right": tally.counts[RIGHT].tolist(),
                "wrong": tally.counts[WRONG].tolist(),
            },
            "trust": verdict_on(work.subject, work.options.method),
            "notes": list(notes),
        },
        arrays={
            # Gradients by pixels are small numbers, for which float16 alone has no room.
            "maps": (maps / scale).astype(np.float16),
            "scale": np.asarray(scale),
            "class_maps_right": means[RIGHT].astype(np.float32),
            "class_maps_wrong": means[WRONG].astype(np.float32),
            "class_sizes_right": sizes[RIGHT].astype(np.float32),
            "class_sizes_wrong": sizes[WRONG].astype(np.float32),
            "mean_faces": faces.astype(np.float32),
        },
        pictures=work.images.images[rows],
        drawn=work.images.layout == "synthetic",
        notes=notes,
    )  # fmt: skip


def _example(work: Work, tally: Tally, place: tuple[int, int]) -> dict[str, Any]:
    kind, k = place
    row, logits = int(tally.rows[place]), tally.logits[place]
    return {
        "row": row,
        "id": str(work.images.ids[row]),
        "label": k,
        "predicted": int(logits.argmax()),
        "probabilities": [round(float(p), 6) for p in probabilities(logits[None])[0]],
        "right": kind == RIGHT,
    }


def write(saliency: Saliency) -> None:
    """Write both files into the folder, each atomically.

    Raises:
        RunError: they cannot be written.
    """
    content = io.BytesIO()
    np.savez_compressed(content, **saliency.arrays)  # type: ignore[arg-type]
    try:
        write_atomic(saliency.folder / "saliency.npz", content.getvalue())
        write_json(saliency.folder / "saliency.json", saliency.report)
    except OSError as error:
        raise RunError(
            f"{saliency.folder}: cannot be written ({error.strerror}); name another with --out"
        ) from error
