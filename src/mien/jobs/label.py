"""The verb ``label``: a class for every picture of a folder, as ``id,label``."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from mien.data.sources import read_pictures
from mien.errors import RunError
from mien.evaluate.collect import collect
from mien.models.checkpoint import load_model
from mien.runs import write_atomic
from mien.train.hardware import choose_hardware
from mien.types import Problem, Progress, silent


@dataclass(frozen=True, kw_only=True)
class LabelResult:
    """out: the file that was written. count: rows. problems: pictures that were left out."""

    out: Path
    count: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def label(
    pictures: Path | str,
    model_path: Path | str,
    out: Path | str,
    *,
    names: bool = False,
    flip: bool = True,
    skip_bad: bool = False,
    progress: Progress = silent,
) -> LabelResult:
    """Write ``id,label`` for every face crop in a folder or archive, in the ids' natural order.

    An id is the file's name without its ending (with its folder, where there are several). Labels
    are the model's class numbers, FER2013's 0..6 for the seven classes; ``names`` writes names.

    Raises:
        MienError: bad model or pictures, two pictures with the same id, or ``out`` not writable.
    """
    model, out = load_model(model_path), Path(out)
    images = read_pictures(
        pictures,
        size=model.config.size,
        colour=model.config.channels == 3,
        skip_bad=skip_bad,
        progress=progress,
    )
    device = choose_hardware(precision="fp32").accelerator
    logits = collect(model.network, images.images, device=device, flip=flip, progress=progress)
    rows = logits.argmax(axis=1).tolist()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "label"))
    writer.writerows(
        (name, model.classes[k] if names else k)
        for name, k in zip(images.ids.tolist(), rows, strict=True)
    )
    try:
        write_atomic(out, text.getvalue())
    except OSError as error:
        raise RunError(
            f"{out}: cannot be written ({error.strerror}); name another --out"
        ) from error
    return LabelResult(out=out, count=len(images), problems=images.problems, notes=images.notes)
