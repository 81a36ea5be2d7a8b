"""Soft targets from trained networks, for distillation (Hinton et al. 2015).

The teachers see the very pictures that the student sees, augmented and mixed as they are (Beyer et
al. 2022, "A good teacher is patient and consistent"); each step costs their forward passes besides.

Legend: N batch, C H W image, K classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def prepare(networks: Sequence[nn.Module], device: torch.device) -> tuple[nn.Module, ...]:
    """The networks on ``device``, in evaluation mode, never to be changed again."""
    for network in networks:
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.eval().requires_grad_(False)
    return tuple(networks)


@torch.no_grad()
def soft_targets(teachers: Sequence[nn.Module], image_NCHW: Tensor, temperature: float) -> Tensor:
    """The mean over the teachers of their softened probabilities, ``float32`` N×K.

    Each teacher's logits are divided by ``temperature`` before the softmax, so that the classes it
    thinks possible, but not likeliest, can be seen.
    """
    softened = [
        torch.softmax(teacher(image_NCHW).float() / temperature, dim=1) for teacher in teachers
    ]
    return torch.stack(softened).mean(dim=0)
