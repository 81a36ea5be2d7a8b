"""Analysis leaves a network bit-identical: mode, flags, buffers, ``.grad``, hooks, chance."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_HOOK_FLAGS = (
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
)


@contextlib.contextmanager
def untouched(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode with frozen weights; afterwards all is as before.

    Restored, after an exception too: training flags, ``requires_grad``, ``.grad`` (the very
    tensors, and their content), weights and buffers, hooks, and the random states of Python,
    NumPy and torch (processor and CUDA). Inside, gradients are taken of inputs alone, which saves
    the third of a backward pass that weights would cost.
    """
    modes = [(module, module.training) for module in network.modules()]
    hooks = [
        (module, name, getattr(module, name).copy())
        for module in network.modules()
        for name in (*_HOOKS, *_HOOK_FLAGS)
        if hasattr(module, name)
    ]
    weights = [
        (weight, weight.requires_grad, weight.grad, _copy(weight.grad), weight.detach().clone())
        for weight in network.parameters()
    ]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in network.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    chance = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices), torch.enable_grad():
        try:
            network.eval()
            network.requires_grad_(False)
            yield network
        finally:
            random.setstate(chance[0])
            np.random.set_state(chance[1])
            for module, name, content in hooks:
                current = getattr(module, name)
                current.clear()
                current.update(content)
            for module, mode in modes:
                module.training = mode
            with torch.no_grad():
                for weight, wanted, grad, kept, content in weights:
                    _put_back(weight, content)
                    weight.requires_grad_(wanted)
                    weight.grad = grad
                    if grad is not None and kept is not None:
                        _put_back(grad, kept)
                for module, name, buffer, content in buffers:
                    # Some forwards write into a buffer, others put a new one in its place.
                    module._buffers[name] = buffer
                    _put_back(buffer, content)


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()


def _put_back(tensor: Tensor, content: Tensor) -> None:
    # Written only where it differs, so that autograd's version counters stay as they were.
    if not torch.equal(tensor, content):
        tensor.copy_(content)
