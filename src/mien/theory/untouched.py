"""Analysis leaves a network bit-identical: mode, flags, buffers, ``.grad``, hooks, chance."""

import contextlib
import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_HOOK_FLAGS = (
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
)
Undo = Callable[[], None]


@contextlib.contextmanager
def as_found(network: nn.Module) -> Iterator[nn.Module]:
    """Whatever is done to the network inside, afterwards all is as before.

    Restored, after an exception too: training flags, ``requires_grad``, ``.grad`` (the very
    tensors, and their content), weights and buffers (the very tensors, and their content), hooks,
    and the random states of Python, NumPy and torch (processor and CUDA).
    """
    undo = [*_modules(network), *_parameters(network), *_buffers(network)]
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(list(range(torch.cuda.device_count()))):
        try:
            yield network
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            with torch.no_grad():
                for step in undo:
                    step()


@contextlib.contextmanager
def untouched(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode with frozen weights; afterwards all is ``as_found``.

    Inside, gradients are taken of inputs alone, which saves the third of a backward pass that
    weights would cost.
    """
    # A caller's inference mode would make inputs that no gradient can be taken of.
    with torch.inference_mode(False), as_found(network), torch.enable_grad():
        network.eval()
        network.requires_grad_(False)
        yield network


def _modules(network: nn.Module) -> list[Undo]:
    """Modes and hooks."""
    modes = [(module, module.training) for module in network.modules()]
    hooks = [
        (module, name, getattr(module, name).copy())
        for module in network.modules()
        for name in (*_HOOKS, *_HOOK_FLAGS)
        if hasattr(module, name)
    ]

    def undo() -> None:
        for module, mode in modes:
            module.training = mode
        for module, name, content in hooks:
            current = getattr(module, name)
            current.clear()
            current.update(content)

    return [undo]


def _parameters(network: nn.Module) -> list[Undo]:
    """Weights, ``requires_grad`` and ``.grad``."""
    places = [(module, dict(module._parameters)) for module in network.modules()]
    weights = [
        (weight, weight.requires_grad, weight.grad, _copy(weight.grad), weight.detach().clone())
        for weight in network.parameters()
    ]

    def undo() -> None:
        for module, there in places:
            module._parameters.clear()
            module._parameters.update(there)
        for weight, wanted, grad, kept, content in weights:
            _put_back(weight, content)
            weight.requires_grad_(wanted)
            weight.grad = grad
            if grad is not None and kept is not None:
                _put_back(grad, kept)

    return [undo]


def _buffers(network: nn.Module) -> list[Undo]:
    """Buffers: some forwards write into one, others put a new one in its place, or add one."""
    found = [
        (module, dict(module._buffers), {name: _copy(b) for name, b in module._buffers.items()})
        for module in network.modules()
    ]

    def undo() -> None:
        for module, there, content in found:
            module._buffers.clear()
            module._buffers.update(there)
            for name, buffer in there.items():
                kept = content[name]
                if buffer is not None and kept is not None:
                    _put_back(buffer, kept)

    return [undo]


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()


def _put_back(tensor: Tensor, content: Tensor) -> None:
    # Written only where it differs, so that autograd's version counters stay as they were.
    if not torch.equal(tensor, content):
        tensor.copy_(content)
