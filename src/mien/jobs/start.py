"""The model that fine-tuning starts from, and which pictures it has seen already."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.jobs.hashes import read_training_hashes
from mien.jobs.prepare import Selection, absolute
from mien.models import bundled
from mien.models.checkpoint import Model, load_model
from mien.types import ImageSet


@dataclass(frozen=True, eq=False)
class Start:
    """hashes: ``S32``, of its training split; None where it lies outside of its run folder."""

    model: Model
    hashes: NDArray[np.bytes_] | None


def start_model(path: str) -> Start | None:
    """The model to fine-tune at a place that ``found_again`` gave, None for an empty one.

    Raises:
        ModelFileError: it cannot be read. RunError: its list of training images is damaged.
    """
    if not path:
        return None
    place = Path(path)
    return Start(load_model(place), read_training_hashes(place if place.is_dir() else place.parent))


def found_again(model: str) -> str:
    """A model's place, or mien's own of that name, as it is found from another working directory.

    Raises:
        ModelFileError: the package is damaged.
    """
    return absolute(str(bundled.place_of(model)))


def held_out_by(model: Model, images: ImageSet) -> int | None:
    """The seed with which ``model`` held out a tenth of these very pictures, else None."""
    if images.has_validation or model.about.get("data_fingerprint") != images.fingerprint:
        return None
    seed = model.about.get("hold_out_seed")
    return seed if isinstance(seed, int) and 0 <= seed < 2**32 else None


def seen_before(
    start: Start, images: ImageSet, selection: Selection, name: str = "the start"
) -> tuple[str, ...]:
    """What a person must know of a validation split that ``start`` may have trained on."""
    if start.hashes is None:
        return (
            f"{name} lies outside of its run: whether it trained on validation images "
            "cannot be known",
        )
    seen = int(np.isin(images.hashes[selection.validation], start.hashes).sum())
    if not seen:
        return ()
    # Its training split is known, not what it left out of it.
    return (
        f"{seen:,} of the validation images are in the training split of {name}; they count as "
        "copied",
    )
