"""Linear layer, leaky ReLU and dropout, forward and backward, in ``float64``. Imports no torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearBackward:
    """dx: …×I. dweight: O×I. dbias: O."""

    dx: F64
    dweight: F64
    dbias: F64


def linear_forward(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None) -> F64:
    """The product y = x Wᵀ + b: …×I, weights O×I, bias O, to …×O."""
    y = np.asarray(x, dtype=np.float64) @ np.asarray(weight, dtype=np.float64).T
    return np.asarray(y if bias is None else y + np.asarray(bias, dtype=np.float64))


def linear_backward(x: ArrayLike, weight: ArrayLike, dout: ArrayLike) -> LinearBackward:
    """∂l/∂x = ∂l/∂y W, ∂l/∂W = (∂l/∂y)ᵀ x, ∂l/∂b = Σ ∂l/∂y, sums over all but the last axis."""
    values, dy = np.asarray(x, dtype=np.float64), np.asarray(dout, dtype=np.float64)
    kernel = np.asarray(weight, dtype=np.float64)
    rows, drows = values.reshape(-1, values.shape[-1]), dy.reshape(-1, dy.shape[-1])
    return LinearBackward(dx=dy @ kernel, dweight=drows.T @ rows, dbias=drows.sum(axis=0))


def leaky_relu_forward(x: ArrayLike, slope: float) -> F64:
    """Values of x above 0 stay, others become ``slope``·x; slope 0 is ReLU."""
    values = np.asarray(x, dtype=np.float64)
    return np.asarray(np.where(values > 0, values, slope * values))


def leaky_relu_backward(x: ArrayLike, dout: ArrayLike, slope: float) -> F64:
    """∂l/∂x. At 0 there is no derivative; like PyTorch this takes the slope of the left side."""
    dy = np.asarray(dout, dtype=np.float64)
    return np.asarray(dy * np.where(np.asarray(x, dtype=np.float64) > 0, 1.0, slope))


def dropout_forward(x: ArrayLike, mask: ArrayLike, rate: float) -> F64:
    """mask·x/(1 − rate): what is kept grows so that the expectation stays (inverted dropout).

    mask: 1 keeps, 0 drops; broadcasts against x (N×C×1×1 drops whole channels). rate: 0..1; at 1
    nothing is kept.
    """
    return np.asarray(np.asarray(x, dtype=np.float64) * _factor(mask, rate))


def dropout_backward(dout: ArrayLike, mask: ArrayLike, rate: float) -> F64:
    """∂l/∂x = mask·∂l/∂y/(1 − rate), with the mask of the forward pass."""
    return np.asarray(np.asarray(dout, dtype=np.float64) * _factor(mask, rate))


def _factor(mask: ArrayLike, rate: float) -> F64:
    kept = np.asarray(mask, dtype=np.float64)
    return np.zeros_like(kept) if rate >= 1 else kept / (1 - rate)
