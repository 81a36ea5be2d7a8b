"""A network after analysis is the network before it, bit by bit, after an exception too."""

import random

import numpy as np
import pytest
import torch
from networks import Dilated, ResNet, plain
from torch import Tensor, nn

from mien.errors import NetworkError
from mien.explain.attribution import METHODS, attribute
from mien.theory.untouched import untouched

_PICTURES = np.random.default_rng(0).integers(0, 256, (3, 1, 16, 16), dtype=np.uint8)


class Odd(nn.Module):
    """Writes into a buffer, replaces another and adds one, in evaluation mode too; draws chance."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", torch.zeros(()))
        self.register_buffer("none", None)
        self.register_buffer("unknown", torch.tensor([float("nan")]))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.last = x.mean()
        if "new" not in self._buffers:
            self.register_buffer("new", torch.ones(1))
        torch.rand(1), np.random.rand(), random.random()
        return self.head(self.relu(self.conv(x)).mean((2, 3)))


def prepared(network: nn.Module) -> nn.Module:
    """Mixed modes, a frozen weight, some gradients, a hook."""
    network.train()
    next(network.children()).eval()
    weights = list(network.parameters())
    weights[0].requires_grad_(False)
    for n, weight in enumerate(weights[1:]):
        weight.grad = torch.full_like(weight, float(n)) if n % 2 else None
    network.register_forward_hook(lambda *_: None)
    return network


def portrait(network: nn.Module) -> list[object]:
    """Everything that is promised, comparable with ==."""
    found: list[object] = [random.getstate(), torch.random.get_rng_state().tolist()]
    state = np.random.get_state()
    found.append((state[0], state[1].tolist(), *state[2:]))
    for name, module in network.named_modules():
        hooks = [list(getattr(module, key)) for key in vars(module) if "hooks" in key]
        found.append((name, module.training, hooks, list(module._buffers)))
    for name, one in [*network.named_parameters(), *network.named_buffers()]:
        content = one.detach().numpy().tobytes()
        found.append((name, id(one), one.data_ptr(), one.stride(), content, one.requires_grad))
        grad = one.grad if one.is_leaf else None
        found.append(None if grad is None else (id(grad), grad.numpy().tobytes()))
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("build", [Odd, ResNet, Dilated, plain])
def test_every_method_leaves_a_network_as_it_was(build, method):
    network = prepared(build())
    pictures = _PICTURES if build is not plain else _pictures(24)
    before = portrait(network)
    attribute(network, pictures, method=method)
    assert portrait(network) == before


def _pictures(side: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, 1, side, side), dtype=np.uint8)


@pytest.mark.parametrize("method", METHODS)
def test_after_an_exception_too(method):
    class Fails(Odd):
        def forward(self, x: Tensor) -> Tensor:
            if self.calls >= self.limit:
                raise RuntimeError("on purpose")
            return super().forward(x)

    network = prepared(Fails())
    # In each pass in turn: of the checks, the trial of the layout, the method itself.
    failures, failed = 0, True
    while failed:
        network.limit, failed = failures, False
        before = portrait(network)
        try:
            attribute(network, _PICTURES, method=method, batch_size=2)
        except NetworkError as error:
            assert "on purpose" in str(error)  # noqa: PT017  that it comes is counted
            failures, failed = failures + 1, True
        assert portrait(network) == before
    assert failures > 6


def test_what_is_done_inside_is_undone():
    network = prepared(ResNet())
    before = portrait(network)
    with pytest.raises(KeyboardInterrupt):
        _meddle(network)
    assert portrait(network) == before


def _meddle(network: nn.Module) -> None:
    with untouched(network):
        assert not any(module.training for module in network.modules())
        assert not any(weight.requires_grad for weight in network.parameters())
        for weight in network.parameters():
            weight.data.mul_(2)
            weight.grad = torch.ones_like(weight)
        for module in network.modules():
            module.register_forward_hook(lambda *_: None)
            module.register_full_backward_hook(lambda *_: None)
        network.stem.weight = nn.Parameter(torch.zeros(4, 1, 3, 3))
        network.blocks[0].bn1.running_mean = torch.zeros(4)
        network.blocks[0].bn1.running_var.fill_(7)
        raise KeyboardInterrupt


def test_the_callers_inference_mode_is_no_obstacle():
    network = ResNet()
    with torch.inference_mode():
        found = attribute(network, _PICTURES, method="gradient")
    assert np.isfinite(found.maps).all()
