"""The network that a run begins with: fresh, or from a model that is fine-tuned."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.data.loader import mix
from mien.errors import DataError
from mien.models.blocks import Normalise
from mien.models.checkpoint import Model
from mien.models.registry import build
from mien.train.recipes import Recipe
from mien.types import ImageSet


def fit_to_data(recipe: Recipe, images: ImageSet) -> Recipe:
    """The recipe with the network's size, channels and classes taken from the pictures."""
    channels, size = images.images.shape[1], images.images.shape[2]
    config = replace(recipe.model, size=size, channels=channels, classes=len(images.classes))
    return replace(recipe, model=config)


def make_network(
    recipe: Recipe, images: ImageSet, training: NDArray[np.int64], start: Model | None
) -> nn.Module:
    """The network at step 0, the same for the same recipe and pictures.

    A fine-tuned network keeps every weight and the normalisation of its start; only a last layer
    for other classes is new.
    """
    torch.manual_seed(mix(recipe.seed, 0xB1D))
    network = build(recipe.architecture, recipe.model)
    if start is None:
        normalise = network.get_submodule("normalise")
        assert isinstance(normalise, Normalise)
        normalise.fit(*pixel_statistics(images.images, training))
        return network
    own, theirs = network.state_dict(), start.network.state_dict()
    same_classes = start.classes == images.classes
    last = [name for name in own if own[name].shape[:1] == (recipe.model.classes,)][-2:]
    kept = {
        name: value
        for name, value in theirs.items()
        if (same_classes or name not in last) and own[name].shape == value.shape
    }
    network.load_state_dict({**own, **kept})
    return network


def pixel_statistics(
    images: NDArray[np.uint8], index: NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation (0..255) of each channel over the pictures at ``index``.

    Exact, from a histogram filled in pieces, so that a million pictures need no copy.

    Raises:
        DataError: there are no pictures.
    """
    if len(index) == 0:
        raise DataError("no training images are left; look at 'mien audit' of the data")
    channels = images.shape[1]
    histogram = np.zeros((channels, 256), dtype=np.int64)
    for begin in range(0, len(index), 4096):
        piece = images[index[begin : begin + 4096]]
        for channel in range(channels):
            histogram[channel] += np.bincount(piece[:, channel].ravel(), minlength=256)
    share = histogram / histogram.sum(axis=1, keepdims=True)
    value = np.arange(256)
    mean = share @ value
    std = np.sqrt(share @ value**2 - mean**2)
    return mean.tolist(), std.tolist()
