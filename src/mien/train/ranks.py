"""What several ranks need: normalisation over whole batches, and a word when one fails."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn

from mien.errors import DataError, MienError, RankLostError, RunError

T = TypeVar("T")

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
# Images that a rank needs of a batch so that their mean and spread say something of the whole.
ENOUGH = 16


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


def small_parts(fabric: Fabric, network: nn.Module, batch_size: int) -> tuple[str, ...]:
    """What a person must know where each rank normalises by few images of its own."""
    own = batch_size // fabric.world_size
    normalises = any(
        isinstance(part, nn.modules.batchnorm._BatchNorm) for part in network.modules()
    )
    if fabric.world_size == 1 or fabric.device.type == "cuda" or own >= ENOUGH or not normalises:
        return ()
    return (
        f"each of {fabric.world_size} processes normalises its own {own} images of a batch, a poor "
        f"sample that changes the result: take fewer processes, or {ENOUGH} images on each",
    )


def is_lost(error: BaseException) -> bool:
    """Whether ``error`` says that another process did not answer."""
    if isinstance(error, torch.distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def average_gradients(fabric: Fabric, network: nn.Module, loss: Tensor) -> Tensor:
    """Make each weight's gradient its mean over the ranks; gives the mean of ``loss``.

    What DDP does during the backward pass, in one message after it: a rank that has no memory to
    finish the pass can say so first, and none waits for it. A weight without a gradient has 0.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    grads = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
    flat: Any = torch.cat([loss.float().reshape(1), *(grad.flatten() for grad in grads)])
    flat = fabric.all_reduce(flat, reduce_op="mean")
    mean, *parts = flat.split([1, *(grad.numel() for grad in grads)])
    for weight, part in zip(weights, parts, strict=True):
        weight.grad = part.view_as(weight).clone(memory_format=torch.preserve_format)
    return torch.as_tensor(mean[0])


def told_by_all(fabric: Fabric, word: T) -> list[T]:
    """A word of each rank, in their order, on every rank."""
    if fabric.world_size == 1:
        return [word]
    words: list[Any] = [None] * fabric.world_size
    distributed.all_gather_object(words, word)
    return words


def on_all(fabric: Fabric, action: Callable[[], T]) -> T:
    """Do something on every rank; where it fails on one, all raise what that one raises.

    So none goes on alone, to wait for one that has ended.

    Raises:
        MienError, OSError: the action did, here or on another rank.
    """
    if fabric.world_size == 1:
        return action()
    result: Any = None
    failed: MienError | OSError | None = None
    try:
        result = action()
    except (MienError, OSError) as error:
        failed = error
    words = told_by_all(fabric, _packed(failed))
    if failed is not None:
        raise failed
    for rank, word in enumerate(words):
        if word:
            raise _unpacked(word, rank)
    done: T = result
    return done


def on_first(fabric: Fabric, action: Callable[[], T]) -> T | None:
    """``on_all``, but only the first rank has something to do; its result there, None elsewhere."""
    return on_all(fabric, action if fabric.is_global_zero else lambda: None)


def _packed(error: MienError | OSError | None) -> tuple[Any, ...]:
    """An error as plain words; nothing for none."""
    if error is None:
        return ()
    if isinstance(error, OSError):
        place = str(error.filename) if error.filename else None
        return ("system", error.errno, error.strerror or str(error), place)
    return ("data" if isinstance(error, DataError) else "run", str(error))


def _unpacked(word: tuple[Any, ...], rank: int) -> MienError | OSError:
    kind, *told = word
    if kind == "system":
        return OSError(*told)
    # Only the first rank speaks on the command line, so it says whose words these are.
    text = f"rank {rank}: {told[0]}" if rank else told[0]
    return DataError(text) if kind == "data" else RunError(text)


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
