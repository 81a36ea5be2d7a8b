"""The verb ``explain`` on a data set: what each class's answers rest on, over a whole split."""

import contextlib
import hashlib
import io
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, OptionError, RunError
from mien.explain.attribution import METHODS, Attributions, attribute, completeness_note
from mien.explain.options import Options
from mien.jobs.evaluate import choose_split, make_folder, split_name
from mien.jobs.prepare import DataOptions
from mien.jobs.subject import (
    Subject,
    class_index,
    class_names,
    count_classes,
    open_subject,
    probabilities,
    read_for,
)
from mien.jobs.tally import RIGHT, WRONG, Tally
from mien.runs import write_atomic, write_json
from mien.train.hardware import choose_hardware
from mien.types import ImageSet, Progress, silent

# A mean of fewer faces would show the persons.
FEWEST_FACES = 10
_PARTIAL = "saliency.partial.npz"
_SAVE_EVERY = 2.0  # seconds
# Passes of a single-pass method are short; larger blocks spare their checks.
_BLOCK = {"single": 512, "many": 128}


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """What to explain. target, against: classes; by default the predicted one, against none.

    split, limit, data: which pictures of a data set; limit 0 is all of them, else that many drawn
    by ``options.seed``. device: auto, cpu or cuda. input_shape: of FILE.py:FACTORY.
    """

    method: str = "gradient"
    target: str = ""
    against: str = ""
    options: Options = field(default_factory=Options)
    split: str = "validation"
    limit: int = 0
    data: DataOptions = field(default_factory=DataOptions)
    device: str = "auto"
    input_shape: str = ""

    def __post_init__(self) -> None:
        """Check the method and the limit.

        Raises:
            OptionError: they cannot be used.
        """
        if self.method not in METHODS:
            raise OptionError(f"--method {self.method}: one of {', '.join(METHODS)}")
        if self.limit < 0:
            raise OptionError(f"--limit {self.limit}: 0 for all, or a number of pictures")


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


def explain_data(
    model: str,
    source: str,
    options: ExplainOptions | None = None,
    *,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> Saliency:
    """Maps of a split's labelled images, summed by class, with the most confident examples.

    They go to ``out``; or to ``explain/`` of the run that the model lies in, other pictures than
    its validation split to a folder of their own there; or to ``<model's name>-explain``. What is
    done is saved every few seconds, also on Ctrl-C: the same call goes on from there. No picture
    of a single person is written.

    Raises:
        MienError: bad model, data or options.
    """
    options = options or ExplainOptions()
    subject = open_subject(model, options.input_shape)
    images, notes = read_for(subject, source, options.data, progress)
    split = split_name(options.split)
    rows, left_out = _rows(images, split, options)
    found = None if subject.model is not None else images.classes
    K = count_classes(subject, images.images[rows[0]])
    work = _Work(subject=subject, images=images, rows=rows, split=split, options=options,
                 classes=class_names(subject, K, found))  # fmt: skip
    folder = Path(out) if out else _folder(subject, images, split)
    make_folder(folder)
    tally, layer, said = _counted(work, folder / _PARTIAL, progress)
    notes = (*subject.opened.notes, *notes, *left_out, *said)
    saliency = _finished(work, tally, layer, folder, notes)
    _write(saliency)
    (folder / _PARTIAL).unlink(missing_ok=True)
    return saliency


@dataclass(frozen=True, kw_only=True, eq=False)
class _Work:
    subject: Subject
    images: ImageSet
    rows: NDArray[np.int64]
    split: str
    options: ExplainOptions
    classes: tuple[str, ...]

    @property
    def target(self) -> int | None:
        name = self.options.target
        return class_index(name, self.classes, "--target") if name else None

    @property
    def against(self) -> int | None:
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


def _rows(
    images: ImageSet, split: str, options: ExplainOptions
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The labelled pictures that are wanted, ascending, and what was left out."""
    chosen = choose_split(images, split)
    rows = chosen[images.labels[chosen] >= 0]
    notes = []
    if not len(rows):
        raise DataError(f"the {split} split has no labelled images; name the pictures one by one")
    if len(rows) < len(chosen):
        notes.append(f"{len(chosen) - len(rows):,} pictures without a label are left out")
    if 0 < options.limit < len(rows):
        chance = np.random.default_rng(options.options.seed)
        notes.append(f"{options.limit:,} of {len(rows):,} pictures, drawn by --seed")
        rows = np.sort(chance.choice(rows, size=options.limit, replace=False))
    return rows, tuple(notes)


def _counted(work: _Work, partial: Path, progress: Progress) -> tuple[Tally, str, tuple[str, ...]]:
    """Every block counted, the layer that was used, and what to know of it."""
    method, key, N = METHODS[work.options.method], work.key(), len(work.rows)
    saved = Tally.load(partial, key)
    tally = saved or Tally.empty(N, len(work.classes), *work.images.images.shape[2:])
    notes = [f"{tally.done:,} of {N:,} images were done before"] if saved else []
    written = time.monotonic()
    try:
        # A tally that was complete, but not yet written out, still needs its layer and notes.
        found = _explained(work, min(tally.done, N - 1), progress)
        while tally.done < N:
            _add(work, tally, found)
            if tally.done == N:
                break
            if time.monotonic() - written > _SAVE_EVERY:
                tally.save(partial, key)
                written = time.monotonic()
            found = _explained(work, tally.done, progress)
    except KeyboardInterrupt:
        if tally.done > 0:
            with contextlib.suppress(OSError):
                tally.save(partial, key)
        raise
    about = [note for note in found.notes if not note.startswith("completeness")]
    if method.complete:
        about.append(completeness_note(tally.residual, tally.whole))
    layer = found.options.layer if "layer" in method.heeds else ""
    return tally, layer, (*notes, *about)


def _explained(work: _Work, begin: int, progress: Progress) -> Attributions:
    """The block of images from ``begin`` on."""
    N, method = len(work.rows), work.options.method
    rows = work.rows[begin : begin + _BLOCK[METHODS[method].passes]]

    def tell(stage: str, done: int, _: int) -> None:
        progress(stage, begin + done, N)

    return attribute(
        work.subject.opened.network,
        work.images.images[rows],
        method=method,
        options=work.options.options,
        targets=_same(work.target, rows),
        rivals=_same(work.against, rows),
        as_input=work.subject.opened.as_input,
        device=choose_hardware(accelerator=work.options.device, precision="fp32").accelerator,
        progress=tell,
    )


def _same(number: int | None, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return None if number is None else np.full(len(rows), number, np.int64)


def _add(work: _Work, tally: Tally, found: Attributions) -> None:
    rows = work.rows[tally.done : tally.done + len(found.maps)]
    if found.residual is not None:
        piece = slice(tally.done, tally.done + len(rows))
        tally.residual[piece] = found.residual
        tally.whole[piece] = found.maps.sum(axis=(1, 2)) - found.residual
    tally.add(
        rows,
        work.images.labels[rows],
        work.images.images[rows],
        found.maps,
        found.logits,
        probabilities(found.logits).max(axis=1),
    )


def _finished(
    work: _Work, tally: Tally, layer: str, folder: Path, notes: tuple[str, ...]
) -> Saliency:
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


def _example(work: _Work, tally: Tally, place: tuple[int, int]) -> dict[str, Any]:
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


def _folder(subject: Subject, images: ImageSet, split: str) -> Path:
    if subject.home is None:
        return Path(f"{subject.stem}-explain")
    model = subject.model
    own = model is not None and model.about.get("data_fingerprint") == images.fingerprint
    home = subject.home / "explain"
    return home if own and split == "validation" else home / f"{split}-{images.fingerprint[:8]}"


def _write(saliency: Saliency) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, **saliency.arrays)  # type: ignore[arg-type]
    try:
        write_atomic(saliency.folder / "saliency.npz", content.getvalue())
        write_json(saliency.folder / "saliency.json", saliency.report)
    except OSError as error:
        raise RunError(
            f"{saliency.folder}: cannot be written ({error.strerror}); name another with --out"
        ) from error
