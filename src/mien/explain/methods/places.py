"""A place inside a network: the output of a layer or of a convolution called as a function.

The pass is cut there: nothing before the place is kept for the backward pass, and what stands
behind it works on a copy, so that in-place layers cannot write over the values that are wanted.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mien.errors import NetworkError, OptionError
from mien.explain.aim import Aim
from mien.explain.methods.gradient import gradient_at


@dataclass(frozen=True)
class Place:
    """name: for people. module: whose output it is; else the ``call``-th conv2d of a pass."""

    name: str
    module: nn.Module | None
    call: int = -1


def find_place(network: nn.Module, x_NCHW: Tensor, name: str) -> Place:
    """The layer called ``name``, or the last convolution where it is empty.

    The last convolution is the one that a real pass meets last with more than one cell; one that
    is called as a function counts, and is named ``<module>.conv2d[i]``.

    Raises:
        OptionError: no such layer. NetworkError: no convolution.
    """
    modules = dict(network.named_modules())
    if name and name in modules:
        return Place(name, modules[name])
    met = _convolutions(network, x_NCHW)
    if name:
        return _named(name, [place for place, _ in met])
    wide = [place for place, cells in met if cells > 1]
    if not wide:
        raise NetworkError(
            "the network has no convolution with a grid; name another layer with --layer, or use "
            "a method that needs none, such as gradient"
        )
    return wide[-1]


def activation_and_gradient(
    network: nn.Module, x_NCHW: Tensor, aim: Aim, place: Place
) -> tuple[Tensor, Tensor]:
    """The values at the place and ∂score/∂values, both float32 N×C×h×w, from one pass.

    A layer that runs several times counts as it ran last.

    Raises:
        NetworkError: it gives no N×C×h×w tensor, or the scores do not depend on it.
    """
    kept: list[Tensor] = []

    def cut(out: Any) -> Any:
        if not isinstance(out, Tensor) or out.ndim != 4 or not out.is_floating_point():
            kind = "×".join(map(str, out.shape)) if isinstance(out, Tensor) else type(out).__name__
            raise NetworkError(
                f"layer '{place.name}' gives {kind}, not feature maps N×C×h×w; name a convolution "
                "with --layer"
            )
        kept.append(out.detach().requires_grad_(True))
        return kept[-1].clone()

    with _cutting(place, cut):
        scores = aim.score(network(x_NCHW).float())
    if not kept:
        raise NetworkError(f"layer '{place.name}' is never run; name another with --layer")
    try:
        found = gradient_at(scores, kept[-1])
    except NetworkError as error:
        raise NetworkError(
            f"the scores do not depend on layer '{place.name}' by any path with a gradient; name "
            "another with --layer"
        ) from error
    return kept[-1].detach().float(), found.float()


@contextlib.contextmanager
def _cutting(place: Place, cut: Callable[[Any], Any]) -> Iterator[None]:
    if place.module is None:
        with _AtCall(place.call, cut):
            yield
        return
    handle = place.module.register_forward_hook(lambda _m, _given, out: cut(out))
    try:
        yield
    finally:
        handle.remove()


class _AtCall(TorchFunctionMode):
    """Puts ``cut(out)`` in place of the output of one conv2d of a pass, or of every one (None)."""

    def __init__(self, call: int | None, cut: Callable[[Any], Any]) -> None:
        super().__init__()
        self._wanted, self._cut, self._met = call, cut, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is not torch.conv2d:
            return out
        self._met += 1
        return self._cut(out) if self._wanted in (None, self._met - 1) else out


def _convolutions(network: nn.Module, x_NCHW: Tensor) -> list[tuple[Place, int]]:
    """Every conv2d of a pass, in order, with the number of its output's cells."""
    names = {module: name for name, module in network.named_modules()}
    running: list[nn.Module] = []
    met: list[tuple[Place, int]] = []

    def note(out: Any) -> Any:
        owner = running[-1] if running else network
        if isinstance(owner, nn.Conv2d):
            place = Place(names[owner], owner)
        else:
            name = f"{names[owner]}.conv2d[{len(met)}]".lstrip(".")
            place = Place(name, None, len(met))
        met.append((place, out.shape[-2] * out.shape[-1]))
        return out

    with contextlib.ExitStack() as hooks:
        for module in network.modules():
            before = module.register_forward_pre_hook(lambda m, _given: running.append(m))
            after = module.register_forward_hook(lambda _m, _given, _out: _drop(running))
            hooks.callback(before.remove)
            hooks.callback(after.remove)
        with torch.no_grad(), _AtCall(None, note):
            network(x_NCHW)
    return met


def _drop(running: list[nn.Module]) -> None:
    running.pop()


def _named(name: str, places: list[Place]) -> Place:
    for place in places:
        if place.name == name:
            return place
    known = ", ".join(dict.fromkeys(place.name for place in places)) or "none"
    raise OptionError(f"--layer {name}: there is no such layer; its convolutions: {known}")
