"""What several ranks need: normalisation over whole batches, and a word when one is gone."""

import contextlib
from collections.abc import Iterator

import torch
from lightning_fabric import Fabric
from torch import nn

from mien.errors import RankLostError

# How gloo and NCCL say that they cannot reach another process; they raise no class of their own.
_SAID = (
    "gloo",
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "NCCL",
    "ProcessGroup",
    "store->",
)


def synchronised(network: nn.Module, fabric: Fabric) -> nn.Module:
    """The network with batch normalisation over all ranks' images, where torch has that: on CUDA.

    Elsewhere each rank normalises by its own part of a batch. Weights, buffers and their names stay
    as they are.
    """
    if fabric.world_size == 1 or fabric.device.type != "cuda":
        return network
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return converted


def is_synchronised(network: nn.Module) -> bool:
    """Whether ``synchronised`` changed it."""
    return any(isinstance(part, nn.SyncBatchNorm) for part in network.modules())


def is_lost(error: BaseException) -> bool:
    """Whether ``error`` says that another process did not answer."""
    if isinstance(error, torch.distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


@contextlib.contextmanager
def together(fabric: Fabric, mend: str) -> Iterator[None]:
    """Turn what a collective operation raises when a rank is gone into one line.

    mend: what to do, the end of the sentence.

    Raises:
        RankLostError: another of the processes has ended.
    """
    try:
        yield
    except RuntimeError as error:
        if fabric.world_size == 1 or not is_lost(error):
            raise
        raise RankLostError(
            f"rank {fabric.global_rank}: another of the {fabric.world_size} processes has ended or "
            f"cannot be reached, so this one ends too; {mend}"
        ) from error
