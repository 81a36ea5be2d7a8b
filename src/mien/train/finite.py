"""The first number that is not finite: in which layer's output, or which gradient, it stood.

Knows nothing of training but a network and one pass over one batch.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm


def largest(tensors: Iterable[Tensor]) -> Tensor:
    """The largest absolute value in all of them, 0-dimensional; NaN or inf where one holds such.

    The maximum, not the length: squares of large but finite numbers would overflow.
    """
    floats = [value.detach() for value in tensors if value.is_floating_point() and value.numel()]
    if not floats:
        return torch.zeros(())
    if floats[0].is_cuda:
        # One launch for all of them, where two for each would be a good part of a small step.
        return get_total_norm(floats, math.inf)
    # torch's infinity norm is the same number, eight times slower on a processor.
    ends = [end.float() for value in floats for end in (value.amax(), value.amin())]
    return torch.stack(ends).abs().amax()


def gradients(network: nn.Module) -> list[Tensor]:
    """The gradients that the network's weights hold."""
    return [weight.grad for weight in network.parameters() if weight.grad is not None]


def not_finite(network: nn.Module) -> str:
    """The name of the first weight or buffer with a number that is not finite, or nothing."""
    values = network.state_dict()
    if math.isfinite(float(largest(values.values()))):
        return ""
    return next(name for name, value in values.items() if not _finite(value))


def first_not_finite(network: nn.Module, run: Callable[[], Tensor]) -> str:
    """Where the first number that is not finite appears when ``run`` does a batch.

    run: forward and backward through ``network`` as it stands; gives the loss. The order is that
    of computation: weights, outputs of layers, loss, then gradients from the last layer back.
    """
    # Not the statistics of batch normalisation: the batch itself may have spoilt these already.
    for name, weight in network.named_parameters():
        if not _finite(weight):
            return f"the weight {name}"
    found: list[str] = []
    with _listening(network, found):
        loss = run()
    if not (found and found[0].startswith("the output")) and not _finite(loss):
        return "the loss itself"
    return found[0] if found else "nowhere when the batch was done again"


@contextlib.contextmanager
def _listening(network: nn.Module, found: list[str]) -> Iterator[None]:
    handles: list[Any] = []

    def hear(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def heard(module: nn.Module, given: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                return
            if not found and not _finite(output):
                found.append(f"the output of {name} ({type(module).__name__})")
            if output.requires_grad:
                _hook(output, _judge(f"the gradient at the output of {name}", found))

        return heard

    for name, module in network.named_modules():
        if not list(module.children()):
            handles.append(module.register_forward_hook(hear(name or "the network")))
    for name, weight in network.named_parameters():
        if weight.requires_grad:
            handles.append(_hook(weight, _judge(f"the gradient of {name}", found)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(tensor: Tensor, hear: Callable[[Tensor], None]) -> Any:
    return tensor.register_hook(hear)  # type: ignore[no-untyped-call]


def _judge(what: str, found: list[str]) -> Callable[[Tensor], None]:
    def judged(gradient: Tensor) -> None:
        if not found and not _finite(gradient):
            found.append(what)

    return judged


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())
