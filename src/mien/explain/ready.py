"""A network made ready for analysis: on its device, in a fast memory layout, its answers checked.

Everything here is undone by ``untouched``, within which it is used.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import NetworkError

# Two ways to compute the same logits in float32 agree to about 1e-5 of their size; in bfloat16,
# which has 8 bits, to about 1e-2. What a neighbour changes in a batch is larger than either.
_SAME = 3e-2


@dataclass
class Answers:
    """logits: float32 N×K of the network's latest pass, or None before one."""

    logits: Tensor | None = None


@contextlib.contextmanager
def answering(network: nn.Module) -> Iterator[Answers]:
    """Check every answer of the network; the object that is given holds the latest.

    Raises (from the pass):
        NetworkError: no N×K floating-point scores for N images, or scores that are not finite.
    """
    answers = Answers()

    def check(module: nn.Module, given: Any, out: Any) -> None:
        answers.logits = checked(out, len(given[0])).detach()

    handle = network.register_forward_hook(check)
    try:
        yield answers
    finally:
        handle.remove()


def checked(out: Any, count: int) -> Tensor:
    """A network's answer to ``count`` images as float32 N×K.

    Raises:
        NetworkError: it is nothing of the kind, or not finite.
    """
    if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != count or out.shape[1] < 2:
        shape = "×".join(map(str, out.shape)) if isinstance(out, Tensor) else type(out).__name__
        raise NetworkError(
            f"the network gives {shape} for {count} images, not one row of two or more class "
            "scores for each; it is no classifier that can be explained"
        )
    logits = out.float()
    bad = (~torch.isfinite(logits.detach()).all(dim=1)).nonzero()[:, 0]
    if len(bad):
        raise NetworkError(
            f"the network's scores are not finite for {len(bad)} of {count} images; it diverged: "
            "train it again with a lower learning rate"
        )
    return logits


def check_separate(network: nn.Module, x_1CHW: Tensor) -> int:
    """Make sure that an image's scores depend neither on its neighbours nor on chance; gives K.

    Raises:
        NetworkError: they do, or the network fails on such images.
    """
    beside = torch.cat([x_1CHW, x_1CHW.flip(-1)])
    others = torch.cat([x_1CHW, x_1CHW / 4, x_1CHW.flip(-2) / 4])
    with torch.no_grad():
        first, again, other = (run(network, batch)[0] for batch in (beside, beside, others))
    if _differ(first, again):
        raise NetworkError(
            "the network gives other scores each time for the same picture, in evaluation mode "
            "too; switch its randomness off"
        )
    if _differ(first, other):
        raise NetworkError(
            "the scores of a picture depend on the pictures beside it in the batch; use the "
            "network's saved statistics in evaluation mode, so that each picture stands alone"
        )
    return int(first.numel())


def run(network: nn.Module, x_NCHW: Tensor) -> Tensor:
    """The network's float32 logits, its failures as one line.

    Raises:
        NetworkError: it fails on these images.
    """
    try:
        return checked(network(x_NCHW), len(x_NCHW))
    except NetworkError:
        raise
    except Exception as error:
        said = (str(error).strip() or "no message").splitlines()[0]
        shape = "×".join(map(str, x_NCHW.shape))
        raise NetworkError(
            f"the network fails on a batch of {shape}: {type(error).__name__}: {said}"
        ) from error


@contextlib.contextmanager
def on_device(network: nn.Module, device: torch.device | str) -> Iterator[None]:
    """The network's weights and buffers on ``device``; afterwards the very tensors of before."""
    device, moved = torch.device(device), []
    if any(t.device.type != device.type for t in (*network.parameters(), *network.buffers())):
        for weight in network.parameters():
            moved.append((weight, weight.data))
            weight.grad = None  # put back by untouched; it may not lie elsewhere than its weight
            weight.data = weight.data.to(device)
        for module in network.modules():
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else buffer.to(device)
    try:
        yield
    finally:
        for weight, data in moved:
            weight.data = data


@contextlib.contextmanager
def fast_layout(network: nn.Module, x_NCHW: Tensor) -> Iterator[torch.memory_format]:
    """Convolution weights channels-last where the network runs so; gives the inputs' layout.

    On a CPU this makes passes about 1.5 times as fast. A network that needs the usual order (it
    calls ``view`` on feature maps, say) keeps it. Afterwards the weights are the very tensors.
    """
    usual = torch.contiguous_format
    if x_NCHW.device.type != "cpu":
        yield usual
        return
    kept = [(weight, weight.data) for weight in network.parameters() if weight.ndim == 4]
    x_NCHW = x_NCHW.repeat(2, 1, 1, 1)
    with torch.no_grad():
        wanted = run(network, x_NCHW)
    try:
        for weight, data in kept:
            weight.data = data.contiguous(memory_format=torch.channels_last)
        if _works(network, x_NCHW, wanted):
            yield torch.channels_last
        else:
            for weight, data in kept:
                weight.data = data
            yield usual
    finally:
        for weight, data in kept:
            weight.data = data


def _works(network: nn.Module, x_NCHW: Tensor, wanted: Tensor) -> bool:
    x_NCHW = x_NCHW.detach().contiguous(memory_format=torch.channels_last).requires_grad_(True)
    try:
        logits = network(x_NCHW).float()
        torch.autograd.grad(logits.sum(), x_NCHW, allow_unused=True)
    except (RuntimeError, NetworkError):
        return False
    return not _differ(logits.detach(), wanted)


def _differ(a: Tensor, b: Tensor) -> bool:
    size = max(float(b.abs().max()), float((b - b.mean()).abs().max()), 1e-6)
    return a.shape != b.shape or float((a - b).abs().max()) > _SAME * size
