"""From a source as a user names it to pictures that can be trained on or evaluated."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from mien.data.sources import read
from mien.data.splits import hold_out, training_indices
from mien.errors import DataError
from mien.labels import parse_map
from mien.types import ImageSet, Progress, silent


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How a source is read; the same fields as the command line's options.

    format: a layout's name, empty to recognise it. size: side in pixels. colour: three channels
    instead of one. map: pairs ``found=class``. classes: ``seven`` or ``found``. skip_bad: leave
    out bad records instead of stopping at the first.
    """

    format: str = ""
    size: int = 48
    colour: bool = False
    map: tuple[str, ...] = ()
    classes: str = "seven"
    skip_bad: bool = False


def read_source(
    source: str, options: DataOptions, *, cache: bool = True, progress: Progress = silent
) -> ImageSet:
    """The pictures of ``source``, with the splits that it came with.

    Raises:
        DataError: it cannot be used. OptionError: an option cannot.
    """
    return read(
        source,
        format=options.format or None,
        size=options.size,
        colour=options.colour,
        label_map=parse_map(options.map),
        classes=cast(Literal["seven", "found"], options.classes),
        skip_bad=options.skip_bad,
        cache=cache,
        progress=progress,
    )


def with_validation(images: ImageSet, seed: int) -> ImageSet:
    """The same pictures; where the source has no validation split, a tenth of training becomes it.

    The seed decides which, so a run can be evaluated later on the pictures it did not train on.
    """
    return images if images.has_validation else hold_out(images, fraction=0.1, seed=seed)


def absolute(source: str) -> str:
    """A source as it can be found again from another working directory."""
    return source if source.startswith("synthetic:") else str(Path(source).expanduser().resolve())


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Who trains and who validates: indices into an ``ImageSet``, ``int64``.

    left_out: training images that have an identical copy in the validation split and stay out.
    """

    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    left_out: int
    notes: tuple[str, ...]


def select(images: ImageSet, *, keep_copies: bool) -> Selection:
    """Choose the labelled images of the training and the validation split.

    Raises:
        DataError: one of the two has none, or the training images are of a single class.
    """
    training, left_out = training_indices(images, keep_copies=keep_copies)
    training = training[images.labels[training] >= 0]
    validation = images.where("validation")
    validation = validation[images.labels[validation] >= 0]
    if len(training) < 2 or len(validation) == 0:
        raise DataError(
            f"{len(training)} labelled training and {len(validation)} validation images: "
            "too few to train on; look at 'mien audit' of the data"
        )
    if len(np.unique(images.labels[training])) < 2:
        raise DataError("all training images are of one class; a classifier needs two or more")
    notes = [f"{len(training):,} training images, {len(validation):,} validation images"]
    if not images.has_validation:
        notes.append("no validation split in the source: a tenth of training was held out")
    if left_out:
        notes.append(
            f"{left_out:,} training images have an identical copy in the validation split "
            "and were left out (--keep-copies keeps them)"
        )
    elif keep_copies:
        notes.append("copies of validation images are kept in training, as was asked")
    return Selection(
        training=training, validation=validation, left_out=left_out, notes=tuple(notes)
    )
