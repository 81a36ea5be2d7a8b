"""Convolution and pooling over any number of image axes, forward and backward, in ``float64``.

Shapes: N batch, C input channels, O output channels, then the image's axes; weights are
O × C/groups × kernel. Every layer is a sum over the kernel's positions ("taps"): at each the padded
input is seen with a stride, and the backward pass writes through the same view. Imports no torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.theory.shapes import Window, adaptive_bins, convolution_size, pooling_size

F64 = NDArray[np.float64]
_NUMPY_MODE = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
_MODES = {"zeros", *_NUMPY_MODE}


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvolutionBackward:
    """dx: shape of x. dweight: shape of the weights. dbias: O. dpadded: ∂l/∂(padded x)."""

    dpadded: F64
    dx: F64
    dweight: F64
    dbias: F64


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool:
    """y: output. winner: for each output, the tap that won (the first among equals).

    ties: bool, outputs whose maximum is reached more than once: there the gradient is not unique.
    margin: how far the second largest lies below the largest (inf in a window of one).
    """

    y: F64
    winner: NDArray[np.int64]
    ties: NDArray[np.bool_]
    margin: F64


def convolution_forward(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    windows: Sequence[Window],
    *,
    groups: int = 1,
    mode: str = "zeros",
) -> F64:
    """What deep learning calls a convolution (a cross-correlation): N×C×… to N×O×….

    windows: one an image axis. mode: ``zeros``, ``reflect``, ``replicate`` or ``circular`` padding.

    Raises:
        NetworkError: a window does not fit.
    """
    values, kernel = _f64(x), _f64(weight)
    padded = pad(values, windows, mode)
    outputs = _sizes(values, windows)
    y = np.zeros((len(values), len(kernel), *outputs))
    for tap, view in _taps(windows, outputs):
        seen = _grouped(padded[view], groups)
        y += _einsum("ngcs,goc->ngos", seen, _tap_weight(kernel, tap, groups)).reshape(y.shape)
    if bias is not None:
        y += _f64(bias).reshape(-1, *[1] * len(windows))
    return y


def convolution_backward(
    x: ArrayLike,
    weight: ArrayLike,
    dout: ArrayLike,
    windows: Sequence[Window],
    *,
    groups: int = 1,
    mode: str = "zeros",
) -> ConvolutionBackward:
    """The gradients from ``dout`` = ∂l/∂y (N×O×…); arguments as for the forward pass."""
    values, kernel, dy = _f64(x), _f64(weight), _f64(dout)
    padded = pad(values, windows, mode)
    dpadded, dweight = np.zeros_like(padded), np.zeros_like(kernel)
    grouped_dy = _grouped(dy, groups)
    for tap, view in _taps(windows, dy.shape[2:]):
        seen = _grouped(padded[view], groups)
        found = _einsum("ngos,ngcs->goc", grouped_dy, seen)
        dweight[(slice(None), slice(None), *tap)] = found.reshape(kernel.shape[:2])
        back = _einsum("ngos,goc->ngcs", grouped_dy, _tap_weight(kernel, tap, groups))
        dpadded[view] += back.reshape(padded[view].shape)
    return ConvolutionBackward(
        dpadded=dpadded,
        dx=unpad(dpadded, values.shape, windows, mode),
        dweight=dweight,
        dbias=dy.sum(axis=(0, *range(2, dy.ndim))),
    )


def maxpool_forward(x: ArrayLike, windows: Sequence[Window]) -> MaxPool:
    """Maximum over each window; padding never wins. N×C×… to N×C×…."""
    values = _f64(x)
    outputs = tuple(map(pooling_size, values.shape[2:], windows))
    padded = pad(values, windows, "zeros", fill=-np.inf, outputs=outputs)
    best = np.full((*values.shape[:2], *outputs), -np.inf)
    second = best.copy()
    winner = np.full(best.shape, -1, dtype=np.int64)
    for number, (_, view) in enumerate(_taps(windows, outputs)):
        seen = padded[view]
        wins = seen > best
        second = np.where(wins, best, np.maximum(second, seen))
        best, winner = np.where(wins, seen, best), np.where(wins, number, winner)
    margin = np.where(np.isneginf(second), np.inf, best - np.where(np.isneginf(second), 0, second))
    return MaxPool(y=best, winner=winner, ties=margin == 0, margin=margin)


def maxpool_backward(
    shape: tuple[int, ...], forward: MaxPool, dout: ArrayLike, windows: Sequence[Window]
) -> F64:
    """∂l/∂x: each output hands its gradient to the one input that won; ``shape`` is that of x."""
    dy = _f64(dout)
    dpadded = np.zeros(_padded_shape(shape, windows, dy.shape[2:]))
    for number, (_, view) in enumerate(_taps(windows, dy.shape[2:])):
        dpadded[view] += np.where(forward.winner == number, dy, 0)
    return unpad(dpadded, shape, windows, "zeros")


def tied_inputs(
    shape: tuple[int, ...], undecided: NDArray[np.bool_], windows: Sequence[Window]
) -> NDArray[np.bool_]:
    """Inputs that some ``undecided`` window of a max-pooling sees, as a mask of ``shape``."""
    reached = np.zeros(_padded_shape(shape, windows, undecided.shape[2:]))
    for _, view in _taps(windows, undecided.shape[2:]):
        reached[view] += undecided
    return np.asarray(unpad(reached, shape, windows, "zeros") > 0)


def average_weights(
    sizes: Sequence[int], windows: Sequence[Window], *, include_pad: bool, divisor: int | None
) -> F64:
    """1/divisor of each window of an average pooling, shape of the output's image axes.

    include_pad: count padding (but not what ceil mode adds behind it). divisor: instead of both.
    """
    outputs = tuple(map(pooling_size, sizes, windows))
    counts = np.ones(outputs)
    for axis, (size, window, n) in enumerate(zip(sizes, windows, outputs, strict=True)):
        start = np.arange(n) * window.stride - window.before
        end = np.minimum(start + window.kernel, size + window.after)
        inside = np.minimum(end, size) - np.maximum(start, 0)
        shape = [1] * len(outputs)
        shape[axis] = n
        counts = counts * (end - start if include_pad else inside).reshape(shape)
    return np.asarray(np.full(outputs, 1 / divisor) if divisor else 1 / counts)


def avgpool_forward(x: ArrayLike, windows: Sequence[Window], weights: F64) -> F64:
    """Sum over each window times ``weights`` (see ``average_weights``)."""
    values = _f64(x)
    padded = pad(values, windows, "zeros", outputs=weights.shape)
    y = sum(padded[view] for _, view in _taps(windows, weights.shape))
    return np.asarray(y * weights)


def avgpool_backward(
    shape: tuple[int, ...], dout: ArrayLike, windows: Sequence[Window], weights: F64
) -> F64:
    """∂l/∂x: each output's gradient times its weight goes to every input of its window."""
    dy = _f64(dout)
    dpadded = np.zeros(_padded_shape(shape, windows, dy.shape[2:]))
    for _, view in _taps(windows, dy.shape[2:]):
        dpadded[view] += dy * weights
    return unpad(dpadded, shape, windows, "zeros")


def adaptive_forward(x: ArrayLike, outputs: Sequence[int]) -> F64:
    """Mean over each bin (see ``shapes.adaptive_bins``); N×C×… to N×C×outputs."""
    values = _f64(x)
    y = np.zeros((*values.shape[:2], *outputs))
    for place, view in _bins(values.shape[2:], outputs):
        y[(..., *place)] = values[(..., *view)].mean(axis=tuple(range(2, values.ndim)))
    return y


def adaptive_backward(shape: tuple[int, ...], dout: ArrayLike) -> F64:
    """∂l/∂x of ``adaptive_forward`` for an input of ``shape``."""
    dy, dx = _f64(dout), np.zeros(shape)
    rank = dy.ndim - 2
    for place, view in _bins(shape[2:], dy.shape[2:]):
        share = dy[(..., *place)] / np.prod([v.stop - v.start for v in view])
        dx[(..., *view)] += share.reshape(*share.shape, *[1] * rank)
    return dx


def pad(
    x: F64,
    windows: Sequence[Window],
    mode: str,
    *,
    fill: float = 0.0,
    outputs: Sequence[int] | None = None,
) -> F64:
    """``x`` padded along its image axes; with ``outputs`` as far as the last window reaches."""
    if mode not in _MODES:
        raise ValueError(f"padding mode {mode!r} is none of {', '.join(sorted(_MODES))}")
    if mode == "zeros":
        shape = _padded_shape(x.shape, windows, outputs or _sizes(x, windows))
        padded = np.full(shape, fill)
        padded[_inner(x.shape, windows)] = x
        return padded
    for axis, indices in enumerate(_sources(x.shape, windows, mode)):
        x = np.take(x, indices, axis=axis + 2)
    return x


def unpad(dpadded: F64, shape: tuple[int, ...], windows: Sequence[Window], mode: str) -> F64:
    """The gradient of ``pad``: what reached copies of an element goes back to the element."""
    if mode == "zeros":
        return np.ascontiguousarray(dpadded[_inner(shape, windows)])
    for axis, indices in reversed(list(enumerate(_sources(shape, windows, mode)))):
        moved = np.moveaxis(dpadded, axis + 2, 0)
        summed = np.zeros((shape[axis + 2], *moved.shape[1:]))
        np.add.at(summed, indices, moved)
        dpadded = np.moveaxis(summed, 0, axis + 2)
    return np.ascontiguousarray(dpadded)


def _sources(shape: tuple[int, ...], windows: Sequence[Window], mode: str) -> list[Any]:
    numpy_mode: Any = _NUMPY_MODE[mode]
    return [
        np.pad(np.arange(size), (window.before, window.after), mode=numpy_mode)
        for size, window in zip(shape[2:], windows, strict=True)
    ]


def _sizes(x: F64, windows: Sequence[Window]) -> tuple[int, ...]:
    return tuple(map(convolution_size, x.shape[2:], windows))


def _padded_shape(
    shape: tuple[int, ...], windows: Sequence[Window], outputs: Sequence[int]
) -> tuple[int, ...]:
    # In ceil mode the last window may reach beyond the padding.
    sides = (
        max(size + w.before + w.after, (n - 1) * w.stride + w.span)
        for size, w, n in zip(shape[2:], windows, outputs, strict=True)
    )
    return (*shape[:2], *sides)


def _inner(shape: tuple[int, ...], windows: Sequence[Window]) -> Any:
    return (
        slice(None),
        slice(None),
        *(slice(w.before, w.before + n) for n, w in zip(shape[2:], windows, strict=True)),
    )


def _taps(windows: Sequence[Window], outputs: Sequence[int]) -> Iterator[tuple[Any, Any]]:
    for tap in product(*(range(w.kernel) for w in windows)):
        view = [slice(None), slice(None)]
        for offset, window, n in zip(tap, windows, outputs, strict=True):
            begin = offset * window.dilation
            view.append(slice(begin, begin + (n - 1) * window.stride + 1, window.stride))
        yield tap, tuple(view)


def _bins(sizes: Sequence[int], outputs: Sequence[int]) -> Iterator[tuple[Any, Any]]:
    axes = [adaptive_bins(size, n) for size, n in zip(sizes, outputs, strict=True)]
    for place in product(*(range(n) for n in outputs)):
        yield place, tuple(slice(*axes[a][i]) for a, i in enumerate(place))


def _einsum(formula: str, a: F64, b: F64) -> F64:
    # With optimize it goes through BLAS, which for a real layer is a hundred times faster.
    return np.asarray(np.einsum(formula, a, b, optimize=True))


def _grouped(x: F64, groups: int) -> F64:
    return x.reshape(len(x), groups, x.shape[1] // groups, -1)


def _tap_weight(kernel: F64, tap: Any, groups: int) -> F64:
    at = kernel[(slice(None), slice(None), *tap)]
    return at.reshape(groups, len(kernel) // groups, kernel.shape[1])


def _f64(values: ArrayLike) -> F64:
    return np.asarray(values, dtype=np.float64)
