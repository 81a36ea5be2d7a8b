"""The closed form that belongs to a PyTorch layer, and its check against autograd.

The forms themselves are NumPy (``batchnorm``, ``windows``, ``layers``); here they are given a
layer's settings and weights.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.theory import batchnorm as bn
from mien.theory import layers, windows
from mien.theory.formulas import conv_windows, pool_rank, pool_windows
from mien.theory.verify import (
    AUTOGRAD_TOLERANCE,
    DIFFERENCE_TOLERANCE,
    Comparison,
    Mask,
    central_differences,
    compare,
    near_zero,
)

F64 = NDArray[np.float64]
Values = Mapping[str, F64]
_BATCHNORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONVOLUTION = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_MAXPOOL = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_AVGPOOL = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_COORDINATES = 4


@dataclass(frozen=True, kw_only=True)
class ClosedForm:
    """A layer's function and gradients, on ``values`` named ``input``, ``weight``, ``bias``.

    kinks: inputs without a derivative. near: inputs where a central difference would step over a
    kink. step: for central differences, shape of the input. scale: see ``verify.compare``.
    """

    forward: Callable[[Values], F64]
    backward: Callable[[Values, F64], dict[str, F64]]
    kinks: Mask | None = None
    near: Mask | None = None
    step: F64 | None = None
    scale: Callable[[Values, F64], float] = lambda _values, _dout: 0.0


def check_layer(layer: nn.Module, x: Tensor, *, seed: int = 0) -> list[Comparison] | None:
    """Hold a layer's closed form against autograd and central differences, all in ``float64``.

    layer: is copied, not touched; batch normalisation and dropout are checked as in training.
    x: its input. The upstream gradient is random, never constant.

    Returns:
        Comparisons of the output and of each gradient; None where there is no closed form.
    """
    double = copy.deepcopy(layer).double().train()
    image = x.detach().double().cpu().numpy().copy()
    form = closed_form(double, image, seed)
    if form is None:
        return None
    leaves = {"input": torch.tensor(image, requires_grad=True)}
    leaves |= dict(double.named_parameters(recurse=False))
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        y = double(leaves["input"].clone())
    values = {name: leaf.detach().numpy().copy() for name, leaf in leaves.items()}
    rng = np.random.default_rng(seed)
    dout = rng.normal(size=tuple(y.shape))
    grads = torch.autograd.grad(y, list(leaves.values()), torch.tensor(dout), allow_unused=True)
    ours = form.forward(values)
    found = [compare("output", ours, y.detach().numpy())]
    if ours.shape != dout.shape:
        return found
    gradients = form.backward(values, dout)
    for (name, leaf), grad in zip(leaves.items(), grads, strict=True):
        theirs = np.zeros(leaf.shape) if grad is None else grad.numpy()
        is_input = name == "input"
        found.append(
            compare(
                f"∂l/∂{name}",
                gradients[name],
                theirs,
                tolerance=AUTOGRAD_TOLERANCE,
                kinks=form.kinks if is_input else None,
                scale=form.scale(values, dout) if is_input else 0.0,
            )
        )
        found.append(_slopes(form, values, name, gradients[name], dout, ours, rng))
    return found


def _slopes(
    form: ClosedForm,
    values: Values,
    name: str,
    gradient: F64,
    dout: F64,
    still: F64,
    rng: np.random.Generator,
) -> Comparison:
    """The gradient's largest element and a few others against central differences."""
    places = [
        tuple(int(i) for i in np.unravel_index(int(np.abs(gradient).argmax()), gradient.shape))
    ]
    places += [tuple(int(rng.integers(n)) for n in gradient.shape) for _ in range(_COORDINATES - 1)]
    skip = form.near if name == "input" and form.near is not None else np.zeros(1, dtype=np.bool_)
    mask = np.broadcast_to(skip, gradient.shape)
    used = [place for place in places if not mask[place]]

    def moved(value: F64) -> float:
        # Less the output at rest, or rounding of a large sum would hide a small slope.
        return float(((form.forward({**values, name: value}) - still) * dout).sum())

    slopes = [
        central_differences(
            moved, values[name], [place],
            step=float(form.step[place]) if name == "input" and form.step is not None else None,
        )[0]
        for place in used
    ]  # fmt: skip
    found = compare(
        f"∂l/∂{name} by differences",
        [gradient[place] for place in used],
        slopes,
        tolerance=DIFFERENCE_TOLERANCE,
        scale=form.scale(values, dout) if name == "input" else 0.0,
    )
    # Named by where it stands in the gradient, not among the few that were compared.
    return replace(found, index=used[found.index[0]]) if found.index else found


def closed_form(layer: nn.Module, x: F64, seed: int) -> ClosedForm | None:
    """The closed form for ``layer`` (in ``float64``, in training mode) at the input ``x``."""
    for kinds, make in _FORMS:
        if isinstance(layer, kinds):
            return make(layer, x, seed)
    return None


def _linear(layer: Any, x: F64, seed: int) -> ClosedForm:
    def backward(v: Values, dout: F64) -> dict[str, F64]:
        found = layers.linear_backward(v["input"], v["weight"], dout)
        return {"input": found.dx, "weight": found.dweight, "bias": found.dbias}

    return ClosedForm(
        forward=lambda v: layers.linear_forward(v["input"], v["weight"], v.get("bias")),
        backward=backward,
    )


def _convolution(layer: Any, x: F64, seed: int) -> ClosedForm:
    over, how = conv_windows(layer), {"groups": layer.groups, "mode": layer.padding_mode}

    def backward(v: Values, dout: F64) -> dict[str, F64]:
        found = windows.convolution_backward(v["input"], v["weight"], dout, over, **how)
        return {"input": found.dx, "weight": found.dweight, "bias": found.dbias}

    return ClosedForm(
        forward=lambda v: windows.convolution_forward(
            v["input"], v["weight"], v.get("bias"), over, **how
        ),
        backward=backward,
    )


def _batchnorm(layer: Any, x: F64, seed: int) -> ClosedForm:
    axes = (0, *range(2, x.ndim))

    def run(v: Values) -> bn.BatchNormForward:
        scale, shift = v.get("weight", np.ones(1)), v.get("bias", np.zeros(1))
        return bn.batchnorm_forward(v["input"], scale, shift, eps=layer.eps, axes=axes)

    def backward(v: Values, dout: F64) -> dict[str, F64]:
        found = bn.batchnorm_backward(run(v), dout)
        return {"input": found.dx, "weight": found.dgamma, "bias": found.dbeta}

    def terms(v: Values, dout: F64) -> float:
        return float(np.abs(bn.batchnorm_backward(run(v), dout).through_x_hat).max())

    spread = bn.batchnorm_forward(x, 1.0, 0.0, eps=layer.eps, axes=axes).std
    return ClosedForm(
        forward=lambda v: run(v).y,
        backward=backward,
        step=np.broadcast_to(1e-4 * spread, x.shape),
        scale=terms,
    )


def _leaky(layer: Any, x: F64, seed: int) -> ClosedForm:
    slope = getattr(layer, "negative_slope", 0.0)
    return ClosedForm(
        forward=lambda v: layers.leaky_relu_forward(v["input"], slope),
        backward=lambda v, dout: {"input": layers.leaky_relu_backward(v["input"], dout, slope)},
        kinks=np.asarray(x == 0),
        near=near_zero(x),
    )


def _maxpool(layer: Any, x: F64, seed: int) -> ClosedForm | None:
    over = pool_windows(layer, pool_rank(layer))
    at_rest = windows.maxpool_forward(x, over)
    if layer.return_indices or (at_rest.winner < 0).any():
        return None  # windows of nothing but padding: PyTorch's gradient there means nothing
    step = 1e-5 * max(1.0, float(np.abs(x).max()))
    return ClosedForm(
        forward=lambda v: windows.maxpool_forward(v["input"], over).y,
        backward=lambda v, dout: {
            "input": windows.maxpool_backward(
                v["input"].shape, windows.maxpool_forward(v["input"], over), dout, over
            )
        },
        kinks=windows.tied_inputs(x.shape, at_rest.ties, over),
        near=windows.tied_inputs(x.shape, at_rest.margin <= 2 * step, over),
        step=np.full(x.shape, step),
    )


def _avgpool(layer: Any, x: F64, seed: int) -> ClosedForm:
    over = pool_windows(layer, pool_rank(layer))
    weights = windows.average_weights(
        x.shape[2:], over, include_pad=layer.count_include_pad,
        divisor=getattr(layer, "divisor_override", None),
    )  # fmt: skip
    return ClosedForm(
        forward=lambda v: windows.avgpool_forward(v["input"], over, weights),
        backward=lambda v, dout: {"input": windows.avgpool_backward(x.shape, dout, over, weights)},
    )


def _adaptive(layer: Any, x: F64, seed: int) -> ClosedForm:
    wanted: Any = layer.output_size
    each = wanted if isinstance(wanted, tuple | list) else (wanted,) * (x.ndim - 2)
    bins = tuple(size if n is None else n for size, n in zip(x.shape[2:], each, strict=True))
    return ClosedForm(
        forward=lambda v: windows.adaptive_forward(v["input"], bins),
        backward=lambda v, dout: {"input": windows.adaptive_backward(x.shape, dout)},
    )


def _dropout(layer: Any, x: F64, seed: int) -> ClosedForm:
    # The mask is what the layer makes of ones at the random state that it will be run with.
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mask = layer.__class__(layer.p)(torch.ones(x.shape, dtype=torch.float64)).ne(0).numpy()
    return ClosedForm(
        forward=lambda v: layers.dropout_forward(v["input"], mask, layer.p),
        backward=lambda v, dout: {"input": layers.dropout_backward(dout, mask, layer.p)},
    )


def _reshaped(layer: Any, x: F64, seed: int) -> ClosedForm:
    shape = tuple(layer(torch.tensor(x)).shape)
    return ClosedForm(
        forward=lambda v: v["input"].reshape(shape),
        backward=lambda v, dout: {"input": dout.reshape(x.shape)},
    )


_FORMS: tuple[tuple[Any, Callable[[Any, F64, int], ClosedForm | None]], ...] = (
    (nn.Linear, _linear),
    (_CONVOLUTION, _convolution),
    (_BATCHNORM, _batchnorm),
    ((nn.ReLU, nn.LeakyReLU), _leaky),
    (_MAXPOOL, _maxpool),
    (_AVGPOOL, _avgpool),
    (_ADAPTIVE, _adaptive),
    (_DROPOUT, _dropout),
    ((nn.Flatten, nn.Identity), _reshaped),
)
