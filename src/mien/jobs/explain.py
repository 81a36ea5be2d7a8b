"""The verb ``explain`` on a data set: what each class's answers rest on, over a whole split."""

import contextlib
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.explain.attribution import METHODS, Attributions, attribute, completeness_note
from mien.jobs.evaluate import choose_split, make_folder, split_name
from mien.jobs.saliency import Saliency, Work, finished, write
from mien.jobs.subject import (
    ExplainOptions,
    Subject,
    class_names,
    count_classes,
    open_subject,
    probabilities,
    read_for,
)
from mien.jobs.tally import Tally
from mien.train.hardware import choose_hardware
from mien.types import ImageSet, Progress, silent

_PARTIAL = "saliency.partial.npz"
_SAVE_EVERY = 2.0  # seconds
# Passes of a single-pass method are short; larger blocks spare their checks.
_BLOCK = {"single": 512, "many": 128}


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
    work = Work(subject=subject, images=images, rows=rows, split=split, options=options,
                 classes=class_names(subject, K, found))  # fmt: skip
    key = work.key()  # refuses unknown classes before anything is made
    folder = Path(out) if out else _folder(subject, images, split)
    make_folder(folder)
    tally, layer, said = _counted(work, key, folder / _PARTIAL, progress)
    notes = (*subject.opened.notes, *notes, *left_out, *said)
    saliency = finished(work, tally, layer, folder, notes)
    write(saliency)
    (folder / _PARTIAL).unlink(missing_ok=True)
    return saliency


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


def _counted(
    work: Work, key: str, partial: Path, progress: Progress
) -> tuple[Tally, str, tuple[str, ...]]:
    """Every block counted, the layer that was used, and what to know of it."""
    method, N = METHODS[work.options.method], len(work.rows)
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


def _explained(work: Work, begin: int, progress: Progress) -> Attributions:
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


def _add(work: Work, tally: Tally, found: Attributions) -> None:
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


def _folder(subject: Subject, images: ImageSet, split: str) -> Path:
    if subject.home is None:
        return Path(f"{subject.stem}-explain")
    model = subject.model
    own = model is not None and model.about.get("data_fingerprint") == images.fingerprint
    home = subject.home / "explain"
    return home if own and split == "validation" else home / f"{split}-{images.fingerprint[:8]}"
