"""What the formulas say of a PyTorch layer: output shape, receptive field, multiply-accumulates.

``predict`` knows a layer by its class and calls nothing of it. Image layers take N×C×image or
C×image; linear layers take …×features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from mien.errors import NetworkError
from mien.theory import shapes
from mien.theory.shapes import Window

Shape = tuple[int, ...]
Reach = Literal["window", "bins", "point", "reshape", "all", "unknown"]

_CONVOLUTIONS: dict[type[nn.Module], int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
_MAX: dict[type[nn.Module], int] = {nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3}
_AVERAGE: dict[type[nn.Module], int] = {nn.AvgPool1d: 1, nn.AvgPool2d: 2, nn.AvgPool3d: 3}
_ADAPTIVE: dict[type[nn.Module], int] = {
    nn.AdaptiveAvgPool1d: 1, nn.AdaptiveAvgPool2d: 2, nn.AdaptiveAvgPool3d: 3,
    nn.AdaptiveMaxPool1d: 1, nn.AdaptiveMaxPool2d: 2, nn.AdaptiveMaxPool3d: 3,
}  # fmt: skip
# Element by element (batch normalisation so with its running statistics, as in evaluation).
_POINTWISE: tuple[type[nn.Module], ...] = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm,
    nn.ReLU, nn.LeakyReLU, nn.ReLU6, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU,
    nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softplus,
    nn.Softsign, nn.Threshold, nn.LogSigmoid, nn.Identity,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip
_OVER_ALL: tuple[type[nn.Module], ...] = (
    nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip
_CLASS_AXIS: tuple[type[nn.Module], ...] = (nn.Softmax, nn.LogSoftmax)


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What the formulas say of one layer.

    shape: of the output; None where there is no formula. reach: how far an output looks in the
    layer's input: through ``windows`` or ``bins`` (one an image axis), at one ``point``, a mere
    ``reshape``, at ``all`` of it, or ``unknown``. macs: of this call, batch included. arithmetic:
    the size formula with its numbers, for each image axis.
    """

    shape: Shape | None
    reach: Reach = "point"
    windows: tuple[Window, ...] = ()
    bins: tuple[list[tuple[int, int]], ...] = ()
    macs: int = 0
    arithmetic: tuple[str, ...] = ()


UNKNOWN = Predicted(shape=None, reach="unknown")


def predict(layer: nn.Module, shape: Shape) -> Predicted:
    """The formulas applied to ``layer`` fed with an input of ``shape``.

    Raises:
        NetworkError: the layer cannot take this input; says which arithmetic fails.
    """
    for table, formula in _FORMULAS:
        for kind, rank in table.items():
            if isinstance(layer, kind):
                return formula(layer, shape, rank)
    if isinstance(layer, nn.Linear):
        return _linear(layer, shape)
    if isinstance(layer, nn.Flatten):
        return Predicted(shape=_flattened(shape, layer.start_dim, layer.end_dim), reach="reshape")
    if isinstance(layer, _POINTWISE):
        _check_features(layer, shape)
        return Predicted(shape=shape)
    if isinstance(layer, _OVER_ALL):
        return Predicted(shape=shape, reach="all")
    if isinstance(layer, _CLASS_AXIS):
        return Predicted(shape=shape, reach="point" if layer.dim in (1, None) else "all")
    return UNKNOWN


def is_known(layer: nn.Module) -> bool:
    """Whether ``predict`` has a formula for this class of layer."""
    tables = (*_CONVOLUTIONS, *_MAX, *_AVERAGE, *_ADAPTIVE)
    others = (nn.Linear, nn.Flatten, *_POINTWISE, *_OVER_ALL, *_CLASS_AXIS)
    return isinstance(layer, (*tables, *others))


def conv_windows(layer: Any) -> tuple[Window, ...]:
    """The windows of a convolution, one an image axis; ``padding='same'`` is resolved.

    Raises:
        NetworkError: ``'same'`` with a stride.
    """
    made = []
    for axis, kernel in enumerate(layer.kernel_size):
        stride, dilation = layer.stride[axis], layer.dilation[axis]
        if layer.padding == "same":
            before, after = shapes.same_padding(kernel, dilation, stride)
        elif layer.padding == "valid":
            before = after = 0
        else:
            before = after = layer.padding[axis]
        made.append(
            Window(kernel=kernel, stride=stride, before=before, after=after, dilation=dilation)
        )
    return tuple(made)


def pool_windows(layer: Any, rank: int) -> tuple[Window, ...]:
    """The windows of a maximum or average pooling, one an image axis."""
    kernels, paddings = _each(layer.kernel_size, rank), _each(layer.padding, rank)
    strides = kernels if layer.stride in (None, ()) else _each(layer.stride, rank)
    dilations = _each(getattr(layer, "dilation", 1), rank)
    return tuple(
        Window(kernel=k, stride=s, before=p, after=p, dilation=d, ceil=layer.ceil_mode)
        for k, s, p, d in zip(kernels, strides, paddings, dilations, strict=True)
    )


def pool_rank(layer: nn.Module) -> int:
    """Image axes of a pooling layer, 0 for any other layer."""
    for table in (_MAX, _AVERAGE, _ADAPTIVE):
        for kind, rank in table.items():
            if isinstance(layer, kind):
                return rank
    return 0


def _convolution(layer: Any, shape: Shape, rank: int) -> Predicted:
    image = _image(shape, rank)
    channels = shape[-rank - 1]
    if channels != layer.in_channels:
        raise NetworkError(f"its input has {channels} channels where it takes {layer.in_channels}")
    windows = conv_windows(layer)
    for size, window in zip(image, windows, strict=True):
        shapes.check_padding_mode(size, window, layer.padding_mode)
    sizes = tuple(map(shapes.convolution_size, image, windows))
    out = (*shape[: -rank - 1], layer.out_channels, *sizes)
    return Predicted(
        shape=out,
        reach="window",
        windows=windows,
        macs=shapes.convolution_macs(tuple(layer.weight.shape), out),
        arithmetic=tuple(w.arithmetic(n) for n, w in zip(image, windows, strict=True)),
    )


def _pooling(layer: Any, shape: Shape, rank: int) -> Predicted:
    image = _image(shape, rank)
    windows = pool_windows(layer, rank)
    if isinstance(layer, nn.AvgPool3d):
        # PyTorch holds this one layer to a stricter rule: padding does not count.
        for size, window in zip(image, windows, strict=True):
            if size < window.kernel:
                raise NetworkError(f"AvgPool3d needs at least its kernel {window.kernel}: {size}")
    sizes = tuple(map(shapes.pooling_size, image, windows))
    return Predicted(
        shape=(*shape[:-rank], *sizes),
        reach="window",
        windows=windows,
        arithmetic=tuple(w.arithmetic(n) for n, w in zip(image, windows, strict=True)),
    )


def _adaptive(layer: Any, shape: Shape, rank: int) -> Predicted:
    image = _image(shape, rank)
    wanted = _each(layer.output_size, rank)
    sizes = tuple(n if w is None else w for n, w in zip(image, wanted, strict=True))
    bins = tuple(map(shapes.adaptive_bins, image, sizes))
    return Predicted(shape=(*shape[:-rank], *sizes), reach="bins", bins=bins)


def _linear(layer: nn.Linear, shape: Shape) -> Predicted:
    if not shape or shape[-1] != layer.in_features:
        raise NetworkError(
            f"it takes {layer.in_features} features, the last axis of its input has "
            f"{shape[-1] if shape else 'no axis'} ({by(shape)})"
        )
    out = (*shape[:-1], layer.out_features)
    return Predicted(shape=out, reach="all", macs=shapes.linear_macs(layer.in_features, out))


def _flattened(shape: Shape, start: int, end: int) -> Shape:
    first, last = start % len(shape), end % len(shape)
    merged = 1
    for size in shape[first : last + 1]:
        merged *= size
    return (*shape[:first], merged, *shape[last + 1 :])


def _check_features(layer: nn.Module, shape: Shape) -> None:
    wanted = getattr(layer, "num_features", None)
    if wanted is not None and (len(shape) < 2 or shape[1] != wanted):
        found = shape[1] if len(shape) > 1 else "none"
        raise NetworkError(f"it normalises {wanted} channels, its input has {found} ({by(shape)})")


def _image(shape: Shape, rank: int) -> Shape:
    if len(shape) not in (rank + 1, rank + 2):
        raise NetworkError(f"it slides over {rank} image axes, its input is {by(shape)}")
    return shape[-rank:]


def _each(value: Any, rank: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,) * rank


def by(shape: Shape) -> str:
    """A shape for people: ``1×32×24×24``."""
    return "×".join(map(str, shape)) or "a scalar"


_FORMULAS: tuple[tuple[dict[type[nn.Module], int], Callable[[Any, Shape, int], Predicted]], ...] = (
    (_CONVOLUTIONS, _convolution),
    (_MAX, _pooling),
    (_AVERAGE, _pooling),
    (_ADAPTIVE, _adaptive),
)
