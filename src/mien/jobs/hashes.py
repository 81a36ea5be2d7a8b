"""The content hashes of a run's training split, kept so that copies are known to any evaluation."""

import io
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from mien.errors import RunError, said
from mien.runs import TRAINING_HASHES, Run, write_atomic
from mien.types import ImageSet

# What numpy raises for a header that is none, or claims more than there is memory.
_BROKEN = (ValueError, TypeError, EOFError, SyntaxError, TokenError, MemoryError, RecursionError,
           OverflowError, KeyError)  # fmt: skip


def write_training_hashes(
    run: Run, images: ImageSet, before: NDArray[np.bytes_] | None = None
) -> None:
    """Keep the hashes of the whole training split, those left out of training included.

    before: those of the model that is fine-tuned, which has seen these too.

    Copies of them in another split are what published figures profit from, so a copy counts
    whether or not mien trained on it.
    """
    content = io.BytesIO()
    known = np.unique(images.hashes[images.where("train")])
    if before is not None:
        known = np.union1d(known, before)
    np.save(content, known, allow_pickle=False)
    write_atomic(run.path / TRAINING_HASHES, content.getvalue())


def read_training_hashes(folder: Path) -> NDArray[np.bytes_] | None:
    """``S32`` hashes kept in a run folder, ascending; None where it keeps none.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / TRAINING_HASHES
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            # Not np.load, which would open an archive or a pickle as well.
            hashes = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, *_BROKEN) as error:
        raise RunError(f"{path}: damaged ({said(error)})") from error
    if hashes.ndim != 1 or hashes.dtype != np.dtype("S32"):
        raise RunError(f"{path}: not a list of content hashes")
    return np.asarray(hashes)
