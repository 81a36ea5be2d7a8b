"""Soft targets from trained networks, for distillation (Hinton et al. 2015).

Either the teachers see the very pictures that the student sees, augmented and mixed as they are
(Beyer et al. 2022, "A good teacher is patient and consistent"), which costs their forward passes
in each step; or they see every training picture before the first step: twice, as it is and
mirrored, or ten times, five parts and theirs, which gives better answers.

Legend: N batch, C H W image, K classes.
"""

from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mien.data.loader import Pictures
from mien.data.mixing import Mixed
from mien.theory.parts import five_parts, side_of_parts
from mien.train.objective import ObjectiveConfig

_BATCH = 512


class Teaching:
    """The teachers' targets for each batch of one training run; None where there are none."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        config: ObjectiveConfig,
        pictures: Pictures,
        fabric: Fabric,
    ) -> None:
        self.networks, self.fabric = prepare(networks, fabric.device), fabric
        self.temperature = config.temperature
        self.known_MK: Tensor | None = None
        if networks and config.teachers_see != "batch":
            self.known_MK = self._once(pictures, in_parts=config.teachers_see == "crops")

    def __call__(
        self, image_NCHW: Tensor, chosen: Tensor, mixed: Mixed | None = None
    ) -> Tensor | None:
        """Targets ``float32`` N×K for the pictures at ``chosen``, which look as ``image_NCHW``.

        Where they are mixed, ``chosen`` may name one more picture at the end: a partner's.
        """
        if not self.networks:
            return None
        if self.known_MK is None:
            with self.fabric.autocast():
                return soft_targets(self.networks, image_NCHW, self.temperature)
        target_NK = self.known_MK[chosen.to(self.known_MK.device)]
        if mixed is None:
            return target_NK
        own_NK = target_NK[: len(mixed.partner)]
        return torch.lerp(own_NK, target_NK[mixed.partner], mixed.share[:, None])

    def _once(self, pictures: Pictures, *, in_parts: bool) -> Tensor:
        found = []
        for some in torch.split(torch.arange(len(pictures)), _BATCH):
            image_NCHW, _ = pictures.get(some)
            with self.fabric.autocast():
                each = [self._looked(network, image_NCHW, in_parts) for network in self.networks]
            found.append(torch.stack(each).mean(dim=0))
        return torch.cat(found)

    def _looked(self, network: nn.Module, image_NCHW: Tensor, in_parts: bool) -> Tensor:
        """One teacher's mean over its views."""
        views = [image_NCHW]
        if in_parts and getattr(network, "any_size", False):
            views = list(five_parts(image_NCHW, side_of_parts(image_NCHW.shape[-1])))
        said = [
            soft_targets([network], both, self.temperature)
            for view in views
            for both in (view, view.flip(-1))
        ]
        return torch.stack(said).mean(dim=0)


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
