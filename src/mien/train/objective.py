"""What training minimises: cross-entropy with label smoothing and class weights.

The target may be mixed from two labels, or come in part from teachers.

Legend: N batch, K classes.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mien.data.mixing import Mixed
from mien.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """label_smoothing: share of each target spread evenly over all classes (Szegedy et al. 2016).

    class_weight_power: a class's loss counts by its frequency to the power of minus this; 0 for
    none, 1 for classes that weigh the same whatever their size. sampling_power: the same, for how
    often images are drawn; with anything but 0 an epoch is N draws with replacement.
    robust_q: 0 for cross-entropy; above, the generalised cross-entropy (1 - p^q) / q of Zhang and
    Sabuncu 2018, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy
    Labels", in which labels that the network finds unlikely count less; 1 is the absolute error.
    teacher_share, temperature: where there are teachers, the share of the loss that is the
    divergence from them, and what both sides' logits are divided by in it. teachers_see: the
    ``batch`` as it was augmented; or, before the first step, each training picture ``once`` and its
    mirror image, or its ``crops``: five parts of it with their mirror images, as ``mien evaluate
    --crops`` looks at them, for teachers that take parts, the whole picture for the others.
    """

    label_smoothing: float = 0.1
    class_weight_power: float = 0.0
    sampling_power: float = 0.0
    robust_q: float = 0.0
    teacher_share: float = 0.8
    temperature: float = 2.0
    teachers_see: str = "batch"

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a value outside 0..1 (smoothing: below 1), a temperature not above 0,
                or another word than the three.
        """
        if not 0 <= self.label_smoothing < 1:
            raise OptionError(f"label_smoothing {self.label_smoothing}: from 0 to below 1")
        for name in ("class_weight_power", "sampling_power", "robust_q", "teacher_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} {getattr(self, name)}: from 0 to 1")
        if not 0 < self.temperature < math.inf:
            raise OptionError(f"temperature {self.temperature}: above 0")
        if self.teachers_see not in ("batch", "once", "crops"):
            raise OptionError(f"teachers_see '{self.teachers_see}': 'batch', 'once' or 'crops'")


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
    logits_NK: Tensor,
    labels_N: Tensor,
    config: ObjectiveConfig,
    weights_K: Tensor | None,
    *,
    mixed: Mixed | None = None,
    teacher_NK: Tensor | None = None,
) -> Tensor:
    """The mean over the batch of the (weighted, smoothed) cross-entropy, a scalar.

    Unlike torch's weighted mean this divides by the number of images, so that a batch's loss is
    the mean of its parts, however it is cut up among ranks.

    mixed: who was mixed with whom; each label then counts by its picture's share, and ``labels_N``
    may hold one more at the end: a partner's. teacher_NK: what ``soft_targets`` gave; its part of
    the loss is temperature² · KL(teacher ‖ student), whose gradient does not shrink with the
    temperature (Hinton et al. 2015).
    """
    losses_N = _label_losses(logits_NK, labels_N[: len(logits_NK)], config, weights_K)
    if mixed is not None:
        others_N = _label_losses(logits_NK, labels_N[mixed.partner], config, weights_K)
        losses_N = torch.lerp(losses_N, others_N, mixed.share)
    if teacher_NK is not None:
        student_NK = functional.log_softmax(logits_NK / config.temperature, dim=1)
        divergence_N = functional.kl_div(student_NK, teacher_NK, reduction="none").sum(dim=1)
        losses_N = torch.lerp(losses_N, config.temperature**2 * divergence_N, config.teacher_share)
    return losses_N.mean()


def _label_losses(
    logits_NK: Tensor, labels_N: Tensor, config: ObjectiveConfig, weights_K: Tensor | None
) -> Tensor:
    if config.robust_q > 0:
        return _robust_losses(logits_NK, labels_N, config, weights_K)
    return functional.cross_entropy(
        logits_NK,
        labels_N,
        weight=weights_K,
        label_smoothing=config.label_smoothing,
        reduction="none",
    )


def _robust_losses(
    logits_NK: Tensor, labels_N: Tensor, config: ObjectiveConfig, weights_K: Tensor | None
) -> Tensor:
    """Generalised cross-entropy; smoothing and weights enter as they do into cross-entropy."""
    classes = logits_NK.shape[1]
    # From logarithms: expm1 keeps its digits where p is near 1 and q near 0.
    log_NK = functional.log_softmax(logits_NK, dim=1)
    loss_NK = -torch.expm1(config.robust_q * log_NK) / config.robust_q
    label_NK = functional.one_hot(labels_N, classes).to(log_NK)
    target_NK = (1 - config.label_smoothing) * label_NK + config.label_smoothing / classes
    if weights_K is not None:
        target_NK = target_NK * weights_K
    return (target_NK * loss_NK).sum(dim=1)
