"""Who trains and who validates, with pixel-identical copies never on both sides unseen.

Copies are found by ``ImageSet.hashes``. The test split is never touched.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.errors import LayoutError, OptionError
from mien.types import SPLITS, ImageSet

_VALIDATION = SPLITS.index("validation")


def hold_out(images: ImageSet, *, fraction: float = 0.1, seed: int = 0) -> ImageSet:
    """``images`` with about ``fraction`` of each class of train made validation.

    Pixel-identical copies stay together, and go by the label of the first of them. A set that has
    validation images comes back as it is. The same set, fraction and seed give the same choice.
    ``has_validation`` keeps its meaning: whether the source itself came with the split.

    Raises:
        OptionError: ``fraction`` is not between 0 and 1.
        LayoutError: too few different training images to hold any out.
    """
    if not 0 < fraction < 1:
        raise OptionError(f"fraction {fraction}: it is more than 0 and less than 1")
    if len(images.where("validation")):
        return images
    train = images.where("train")
    _, first, group, sizes = np.unique(
        images.hashes[train], return_index=True, return_inverse=True, return_counts=True
    )
    group_labels = images.labels[train][first]
    chance = np.random.default_rng(seed)
    held = np.zeros(len(first), np.bool_)
    for label in np.unique(group_labels):
        # In order of first appearance, so that the choice hangs on the pictures' order alone.
        members = np.flatnonzero(group_labels == label)
        members = members[np.argsort(first[members])]
        held[_chosen(chance.permutation(members), sizes, fraction)] = True
    if not held.any():
        raise LayoutError(
            f"{len(first):,} different training images are too few to hold out a validation split"
        )
    splits = images.splits.copy()
    splits[train[held[group]]] = _VALIDATION
    return replace(images, splits=splits)


def _chosen(
    members: NDArray[np.int64], sizes: NDArray[np.int64], fraction: float
) -> NDArray[np.int64]:
    """Groups, in the order given, that together come to ``fraction`` of the class's images.

    A class of at least two groups gives at least one, and never its last.
    """
    target = round(fraction * int(sizes[members].sum()))
    taken: list[int] = []
    total = 0
    for member in members.tolist():
        size = int(sizes[member])
        if total + size <= target and len(taken) < len(members) - 1:
            taken.append(member)
            total += size
    if not taken and len(members) > 1:
        taken = [int(members[np.argmin(sizes[members])])]
    return np.array(taken, np.int64)


def training_indices(
    images: ImageSet, *, keep_copies: bool = False
) -> tuple[NDArray[np.int64], int]:
    """Indices of the images to train on, ascending, and how many were left out.

    Left out is each image of train with a pixel-identical copy in validation, whatever its label:
    a network that has seen a picture cannot be judged on it. ``keep_copies`` keeps them.
    """
    train = images.where("train")
    if keep_copies:
        return train, 0
    copied = np.isin(images.hashes[train], images.hashes[images.where("validation")])
    return train[~copied], int(copied.sum())


def copied_in_training(images: ImageSet, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For each image at ``indices``: whether *another* image of train is pixel-identical to it.

    Of the train split as it is, whether or not its copies were left out of training.
    """
    train = images.where("train")
    known, counts = np.unique(images.hashes[train], return_counts=True)
    if not len(known):
        return np.zeros(len(indices), np.bool_)
    wanted = images.hashes[indices]
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    itself = images.splits[indices] == SPLITS.index("train")
    return np.asarray((known[place] == wanted) & (counts[place] > itself), np.bool_)
