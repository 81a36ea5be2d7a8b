"""The teachers of a run: models whose soft targets it learns from, and what they have seen."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError, RunError
from mien.jobs.start import Start, start_model
from mien.train.recipes import Recipe


def load_teachers(
    paths: Sequence[str], recipe: Recipe, classes: tuple[str, ...]
) -> tuple[Start, ...]:
    """The models at ``paths``, fit to teach a network of ``recipe`` that tells ``classes`` apart.

    Raises:
        ModelFileError: one cannot be read. OptionError: one has other classes, takes other
            pictures, or not the crops that the recipe trains on.
    """
    found = []
    for path in paths:
        teacher = start_model(path)
        assert teacher is not None
        _check(path, teacher, recipe, classes)
        found.append(teacher)
    return tuple(found)


def check_unchanged(teachers: Sequence[Start], checksums: Sequence[str]) -> None:
    """Refuse to go on with other teachers than a run began with.

    Raises:
        RunError: their checksums differ.
    """
    if [teacher.model.checksum for teacher in teachers] != list(checksums):
        raise RunError("a teacher is no longer the model that the run began with; put it back")


def hashes_of(starts: Sequence[Start | None]) -> NDArray[np.bytes_] | None:
    """Hashes of all images that any of the models trained on, as far as known; None for none."""
    known = [start.hashes for start in starts if start is not None and start.hashes is not None]
    return np.unique(np.concatenate(known)) if known else None


def _check(path: str, teacher: Start, recipe: Recipe, classes: tuple[str, ...]) -> None:
    model, config = teacher.model, recipe.model
    if model.classes != classes:
        raise OptionError(
            f"--teacher {path}: it knows the classes {', '.join(model.classes)}, the data have "
            f"{', '.join(classes)}; a teacher needs the same, in the same order"
        )
    if (model.config.size, model.config.channels) != (config.size, config.channels):
        raise OptionError(
            f"--teacher {path}: it takes pictures of {model.config.channels}×{model.config.size}×"
            f"{model.config.size}, this run's are {config.channels}×{config.size}×{config.size}"
        )
    crop = recipe.augment.crop
    batch = recipe.objective.teachers_see == "batch"
    if batch and 0 < crop < config.size and not getattr(model.network, "any_size", False):
        raise OptionError(
            f"--teacher {path}: a {model.architecture} takes no crops, and the recipe trains on "
            f"{crop}×{crop}; set augment.crop=0 or objective.teachers_see=once"
        )
