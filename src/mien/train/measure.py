"""Loss and accuracy of a network over pictures, all ranks together."""

from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from mien.data.loader import Pictures
from mien.train.memory import is_out_of_memory

EVALUATION_BATCH = 512


def measure(
    fabric: Fabric, network: nn.Module, pictures: Pictures, batch: int = EVALUATION_BATCH
) -> tuple[float, float]:
    """Mean cross-entropy in nats and accuracy 0..1 in evaluation mode, over all ranks together.

    Where memory is too small for ``batch`` pictures at once, half as many are tried; in evaluation
    mode that changes nothing but the time.
    """
    mine = torch.tensor_split(torch.arange(len(pictures)), fabric.world_size)[fabric.global_rank]
    while True:
        try:
            sums = _measured(fabric, network, pictures, torch.split(mine, batch))
            break
        except (RuntimeError, MemoryError) as error:
            if batch == 1 or not is_out_of_memory(error):
                raise
        batch //= 2
    loss, accuracy = (sum_over_ranks(fabric, sums) / len(pictures)).tolist()
    return loss, accuracy


@torch.no_grad()
def _measured(
    fabric: Fabric, network: nn.Module, pictures: Pictures, parts: tuple[Tensor, ...]
) -> Tensor:
    sums = torch.zeros(2, dtype=torch.float64, device=fabric.device)
    network.eval()
    with fabric.autocast():
        for chosen in parts:
            images_NCHW, labels_N = pictures.get(chosen)
            logits_NK = network(images_NCHW).float()
            sums[0] += functional.cross_entropy(logits_NK, labels_N, reduction="sum")
            sums[1] += (logits_NK.argmax(1) == labels_N).sum()
    return sums


def sum_over_ranks(fabric: Fabric, value: Tensor) -> Tensor:
    """The sum of a tensor over all ranks, on every rank."""
    total: Any = fabric.all_reduce(value, reduce_op="sum") if fabric.world_size > 1 else value
    return torch.as_tensor(total)


def gather_over_ranks(fabric: Fabric, value: Tensor) -> tuple[float, ...]:
    """A number of each rank, in their order, on every rank."""
    slots = torch.zeros(fabric.world_size, dtype=torch.float64, device=fabric.device)
    slots[fabric.global_rank] = value
    return tuple(sum_over_ranks(fabric, slots).tolist())
