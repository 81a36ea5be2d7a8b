"""Output sizes, receptive fields and costs of layers, as PyTorch computes them. Pure arithmetic.

Sizes are along one axis of the image; a layer over several axes uses a formula once for each.

    convolution   ⌊(W + p₁ + p₂ − d(k − 1) − 1)/s⌋ + 1
    pooling       the same; in ceil mode ⌈·⌉, and one less where the last window would start
                  beyond the input and the padding before it
    linear        the number of its output features

W input, k kernel, s stride, p₁ p₂ padding before and behind, d dilation (Dumoulin & Visin 2016,
arXiv:1603.07285). Receptive fields: Araujo, Norris & Sim 2019, doi:10.23915/distill.00021.
Imports no torch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from mien.errors import NetworkError


@dataclass(frozen=True, kw_only=True)
class Window:
    """How a layer slides along one axis: all in elements of the layer's input.

    before, after: padding at the two ends; negative crops (padding layers may).
    """

    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    ceil: bool = False

    @property
    def span(self) -> int:
        """Elements from the window's first to its last tap, holes included."""
        return self.dilation * (self.kernel - 1) + 1

    def arithmetic(self, size: int) -> str:
        """The formula with its numbers, as in ``⌊(48 + 1 + 1 − 1·(3 − 1) − 1)/1⌋ + 1``."""
        left, right = "⌈⌉" if self.ceil else "⌊⌋"
        return (
            f"{left}({size} + {self.before} + {self.after} − {self.dilation}·({self.kernel} − 1)"
            f" − 1)/{self.stride}{right} + 1"
        )


def convolution_size(size: int, window: Window) -> int:
    """Outputs along one axis of a convolution over ``size`` inputs, at least 0.

    Raises:
        NetworkError: the window is larger than the padded input, or a number is out of range.
    """
    _check_window(window)
    padded = size + window.before + window.after
    if padded < window.span:
        raise NetworkError(
            f"the kernel spans {window.span} (kernel {window.kernel}, dilation "
            f"{window.dilation}) but the padded input has {padded} = {size} + {window.before} + "
            f"{window.after}: {window.arithmetic(size)} = {_raw(size, window)}"
        )
    return _raw(size, window)


def pooling_size(size: int, window: Window) -> int:
    """Outputs along one axis of a pooling over ``size`` inputs, at least 1.

    In ceil mode the last window must start inside the input or the padding before it, so one that
    would lie wholly in the padding behind is dropped.

    Raises:
        NetworkError: no window fits, the padding is above half the kernel, or a number is out of
            range.
    """
    _check_window(window)
    if 2 * window.before > window.kernel:
        raise NetworkError(
            f"padding {window.before} is more than half of the kernel {window.kernel}: a window "
            "could hold nothing but padding"
        )
    outputs = _raw(size, window)
    dropped = ""
    if window.ceil and (outputs - 1) * window.stride >= size + window.before:
        outputs -= 1
        dropped = ", less the window that starts beyond the input"
    if outputs < 1:
        raise NetworkError(
            f"no window of {window.span} fits: {window.arithmetic(size)} = "
            f"{_raw(size, window)}{dropped}, and at least 1 is needed"
        )
    return outputs


def _raw(size: int, window: Window) -> int:
    room = size + window.before + window.after - window.span
    return (-(-room // window.stride) if window.ceil else room // window.stride) + 1


def _check_window(window: Window) -> None:
    for name in ("kernel", "stride", "dilation"):
        if getattr(window, name) < 1:
            raise NetworkError(f"{name} {getattr(window, name)}: at least 1 is needed")
    if min(window.before, window.after) < 0:
        raise NetworkError(f"padding {min(window.before, window.after)}: at least 0 is needed")


def same_padding(kernel: int, dilation: int, stride: int = 1) -> tuple[int, int]:
    """Padding before and behind that ``padding='same'`` stands for; the odd one goes behind.

    Raises:
        NetworkError: a stride above 1, for which PyTorch refuses ``'same'``.
    """
    if stride != 1:
        raise NetworkError(f"padding 'same' with stride {stride}: it needs stride 1")
    total = dilation * (kernel - 1)
    return total // 2, total - total // 2


def check_padding_mode(size: int, window: Window, mode: str) -> None:
    """Refuse a padding that its mode cannot fill from ``size`` inputs.

    mode: ``zeros`` and ``replicate`` always can; ``reflect`` needs more inputs than padding,
    ``circular`` as many.

    Raises:
        NetworkError: there are too few.
    """
    most = max(window.before, window.after)
    limit = {"reflect": size - 1, "circular": size}.get(mode)
    if limit is not None and most > limit:
        raise NetworkError(
            f"padding {most} in mode '{mode}' needs at least {most + size - limit} inputs, "
            f"there are {size}"
        )


def adaptive_bins(size: int, outputs: int) -> list[tuple[int, int]]:
    """Begin and end (exclusive) of each bin of an adaptive pooling: ⌊iW/o⌋ and ⌈(i+1)W/o⌉.

    Raises:
        NetworkError: an empty input, or fewer than one output.
    """
    if size < 1 or outputs < 1:
        raise NetworkError(f"{outputs} outputs from {size} inputs: both must be at least 1")
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


@dataclass(frozen=True)
class Field:
    """The receptive field along one axis, in pixels of the network's input.

    Output element i can depend on pixels ``low + i·jump`` to ``high + i·jump``, both included;
    pixels are counted from 0, and what lies outside the image is padding.
    """

    low: Fraction
    high: Fraction
    jump: Fraction

    @property
    def size(self) -> Fraction:
        """How many pixels an output element can depend on."""
        return self.high - self.low + 1

    @property
    def centre(self) -> Fraction:
        """Where the first output element's field is centred."""
        return (self.low + self.high) / 2

    def through(self, window: Window) -> "Field":
        """The field behind a layer that slides ``window`` over this one's elements."""
        low = self.low - window.before * self.jump
        return Field(
            low, self.high + (window.span - 1 - window.before) * self.jump,
            self.jump * window.stride,
        )  # fmt: skip

    def through_bins(self, bins: list[tuple[int, int]]) -> "Field":
        """The field behind adaptive pooling: where bins differ in size, one that holds them all."""
        inputs, outputs = bins[-1][1], len(bins)
        step = Fraction(inputs, outputs)
        low = min(begin - i * step for i, (begin, _) in enumerate(bins))
        high = max(end - 1 - i * step for i, (_, end) in enumerate(bins))
        return Field(
            self.low + low * self.jump, self.high + high * self.jump, self.jump * step
        )  # fmt: skip


PIXEL = Field(Fraction(0), Fraction(0), Fraction(1))


def union(fields: Iterable[Field]) -> Field | None:
    """The field of elements that are added or stacked from several paths: the largest over them.

    It is the smallest interval that holds the field of every path; None where the paths step
    differently, so that no one interval describes their elements.
    """
    fields = list(fields)
    if len({field.jump for field in fields}) != 1:
        return None
    low, high = min(field.low for field in fields), max(field.high for field in fields)
    return Field(low, high, fields[0].jump)


def convolution_macs(weight_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of a convolution; the bias is not counted.

    weight_shape: O × C/groups × kernel. output_shape: as the layer gives it, batch included.
    """
    return prod(weight_shape[1:]) * prod(output_shape)


def linear_macs(inputs: int, output_shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of a linear layer with ``inputs`` features; bias not counted."""
    return inputs * prod(output_shape)
