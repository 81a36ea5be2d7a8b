"""What training minimises: cross-entropy with label smoothing and class weights.

Legend: N batch, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mien.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """label_smoothing: share of each target spread evenly over all classes (Szegedy et al. 2016).

    class_weight_power: a class's loss counts by its frequency to the power of minus this; 0 for
    none, 1 for classes that weigh the same whatever their size. sampling_power: the same, for how
    often images are drawn; with anything but 0 an epoch is N draws with replacement.
    """

    label_smoothing: float = 0.1
    class_weight_power: float = 0.0
    sampling_power: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a value outside 0..1 (smoothing: below 1).
        """
        if not 0 <= self.label_smoothing < 1:
            raise OptionError(f"label_smoothing {self.label_smoothing}: from 0 to below 1")
        for name in ("class_weight_power", "sampling_power"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} {getattr(self, name)}: from 0 to 1")


def class_weights(labels: Tensor, classes: int, power: float) -> Tensor | None:
    """Weights ``float32`` K whose mean over the images of ``labels`` (``int64`` N) is 1.

    A class without images gets the weight of a class with one. None where ``power`` is 0.
    """
    if power == 0:
        return None
    counts = torch.bincount(labels, minlength=classes).double()
    weights = counts.clamp_min(1).pow(-power)
    return (weights * counts.sum() / (weights * counts).sum()).float()


def training_loss(
    logits_NK: Tensor, labels_N: Tensor, config: ObjectiveConfig, weights_K: Tensor | None
) -> Tensor:
    """The mean over the batch of the (weighted, smoothed) cross-entropy, a scalar.

    Unlike torch's weighted mean this divides by the number of images, so that a batch's loss is
    the mean of its parts, however it is cut up among ranks.
    """
    losses_N = functional.cross_entropy(
        logits_NK,
        labels_N,
        weight=weights_K,
        label_smoothing=config.label_smoothing,
        reduction="none",
    )
    return losses_N.mean()
