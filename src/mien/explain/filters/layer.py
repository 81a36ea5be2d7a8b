"""The layer whose filters are looked at: where it lies, what each of its units sees."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import OptionError
from mien.theory.shapes import Field
from mien.theory.walk import Layer, Walk, walk

AsInput = Callable[[Tensor], Tensor]

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_GATES = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU,
    nn.Mish, nn.Softplus, nn.Hardswish,
)  # fmt: skip
# What may stand between a layer and its nonlinearity without mixing filters.
_BETWEEN = (
    nn.MaxPool2d, nn.AvgPool2d, nn.BatchNorm2d, nn.InstanceNorm2d, nn.Dropout, nn.Dropout2d,
    nn.Identity,
)  # fmt: skip


@dataclass(frozen=True)
class Window:
    """Pixels top … top+height-1 by left … left+width-1; it may reach beyond the picture."""

    top: int
    left: int
    height: int
    width: int

    def clipped(self, height: int, width: int) -> "Window":
        """The part of it that lies in a picture of that size."""
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.height, height), min(self.left + self.width, width)
        return Window(top, left, max(bottom - top, 0), max(right - left, 0))

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns; only of a clipped window."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class FilterLayer:
    """name, module: the layer. filters: F. grid: h, w. picture: H, W.

    fields: along both axes; None where a unit can depend on the whole picture, or nobody knows.
    gate: the nonlinearity behind it, with its name, where no other filter comes in between.
    """

    name: str
    module: nn.Module
    filters: int
    grid: tuple[int, int]
    picture: tuple[int, int]
    fields: tuple[Field, Field] | None
    gate: nn.Module | None = None
    gate_name: str = ""

    @property
    def field_size(self) -> tuple[int, int]:
        """Height and width of the receptive field in pixels, at most twice the picture's."""
        window = self.window(0, 0)
        return window.height, window.width

    def window(self, y: int, x: int) -> Window:
        """What the unit at row ``y``, column ``x`` of the grid can depend on, and no more."""
        if self.fields is None:
            return Window(0, 0, *self.picture)
        ends = []
        for field, at in zip(self.fields, (y, x), strict=True):
            low = math.floor(field.low + at * field.jump)
            ends.append((low, math.ceil(field.high + at * field.jump) - low + 1))
        (top, height), (left, width) = ends
        return Window(top, left, height, width)

    @property
    def unit(self) -> tuple[int, int]:
        """The unit whose field is best inside the picture and nearest its middle."""
        best = []
        for axis, (count, size) in enumerate(zip(self.grid, self.picture, strict=True)):

            def badness(at: int, axis: int = axis, size: int = size) -> tuple[float, float]:
                window = self.window(at if axis == 0 else 0, at if axis == 1 else 0)
                start = window.top if axis == 0 else window.left
                length = window.height if axis == 0 else window.width
                outside = max(0, -start) + max(0, start + length - size)
                return outside, abs(start + length / 2 - size / 2)

            best.append(min(range(count), key=badness))
        return best[0], best[1]


def choose_layer(network: nn.Module, example: Tensor, name: str = "") -> FilterLayer:
    """The layer called ``name`` as ``named_modules`` has it; empty: the last convolution to run.

    Args:
        example: one picture as the network takes it, 1×C×H×W.

    Raises:
        OptionError: no such layer, or one whose output is no grid of filters, or that runs
            more than once in a pass (its filters would mean several things).
        NetworkError: the network fails on the example.
    """
    walked = walk(network, example)
    rows = [row for row in walked.layers if row.module is not None and len(row.output) == 4]
    once = [row for row in rows if sum(other.module is row.module for other in rows) == 1]
    if name:
        return _found(walked, _named(network, rows, once, name))
    last = [row for row in once if isinstance(row.module, _CONVOLUTIONS)]
    if not last:
        names = ", ".join(row.name for row in once) or "none"
        raise OptionError(
            f"--layer: the network runs no convolution of its own that could be the default; "
            f"name one of its layers with a grid of filters: {names}"
        )
    return _found(walked, last[-1])


def _named(network: nn.Module, rows: list[Layer], once: list[Layer], name: str) -> Layer:
    for row in once:
        if row.name == name:
            return row
    if any(row.name == name for row in rows):
        raise OptionError(f"--layer {name}: it runs more than once in a pass; choose another")
    there = "it has no grid of filters" if name in dict(network.named_modules()) else "not there"
    names = ", ".join(row.name for row in once) or "none"
    raise OptionError(f"--layer {name}: {there}; one of {names}")


def _found(walked: Walk, row: Layer) -> FilterLayer:
    assert row.module is not None
    known = row.fields if not row.whole and row.fields and len(row.fields) == 2 else None
    gate = _gate(walked, row)
    return FilterLayer(
        name=row.name, module=row.module, filters=row.output[1],
        grid=(row.output[2], row.output[3]), picture=(walked.input[2], walked.input[3]),
        fields=(known[0], known[1]) if known else None,
        gate=gate.module if gate else None, gate_name=gate.name if gate else "",
    )  # fmt: skip


def _gate(walked: Walk, row: Layer) -> Layer | None:
    """Follow the one path behind the layer to its nonlinearity."""
    at = walked.layers.index(row)
    while True:
        behind = [k for k, layer in enumerate(walked.layers) if at in layer.sources]
        if len(behind) != 1:
            return None
        at, layer = behind[0], walked.layers[behind[0]]
        if isinstance(layer.module, _GATES):
            return layer if layer.output[1] == row.output[1] else None
        if not isinstance(layer.module, _BETWEEN) or len(layer.sources) != 1:
            return None


class _HeardError(Exception):
    """Ends a forward pass once all that was listened for has been heard."""


def activations(network: nn.Module, layer: FilterLayer, x: Tensor) -> Tensor:
    """The layer's output N×F×h×w for inputs ``x``; the network does not run beyond it."""
    return listen(network, layer, x, gate=False)[0]


def listen(
    network: nn.Module, layer: FilterLayer, x: Tensor, *, gate: bool = True
) -> tuple[Tensor, Tensor]:
    """The layer's output, and what enters the gate (the output itself where there is none)."""
    heard: list[Tensor] = []

    def keep(_module: nn.Module, _args: Any, out: Tensor) -> None:
        # A ReLU behind may work in place, so the output is copied before it can.
        heard.append(out.clone() if gate and layer.gate is not None else out)
        if not gate or layer.gate is None:
            raise _HeardError

    def before(_module: nn.Module, args: Any) -> None:
        heard.append(args[0])
        raise _HeardError

    with contextlib.ExitStack() as hooks:
        hooks.callback(layer.module.register_forward_hook(keep).remove)
        if gate and layer.gate is not None:
            hooks.callback(layer.gate.register_forward_pre_hook(before).remove)
        with contextlib.suppress(_HeardError):
            network(x)
    return heard[0], heard[-1]


@contextlib.contextmanager
def replaced(layer: FilterLayer, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While it lasts, the network goes on with ``change(output)`` behind the layer."""
    handle = layer.module.register_forward_hook(lambda _module, _args, out: change(out))
    try:
        yield
    finally:
        handle.remove()


def as_batch(pixels: Any, device: str) -> Tensor:
    """A piece of a ``uint8`` N×C×H×W array as a tensor on ``device``."""
    return torch.tensor(pixels).to(device)
