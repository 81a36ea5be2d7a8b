"""Batch normalisation and its gradients in closed form (Ioffe & Szegedy 2015, arXiv:1502.03167).

    μ_B = (1/m) Σ xᵢ        σ²_B = (1/m) Σ (xᵢ − μ_B)²
    x̂ᵢ = (xᵢ − μ_B)/√(σ²_B + ε)        yᵢ = γ x̂ᵢ + β

Sums run over the ``axes`` that share one mean: 0 for N×F, (0, 2, 3) for N×C×H×W; m is the number
of values that they hold. Everything is ``float64``. Imports no torch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchNormForward:
    """What the forward pass computes. mean, var: the shape of x with 1 along the axes."""

    x: F64
    gamma: F64
    beta: F64
    eps: float
    axes: tuple[int, ...]
    m: int
    mean: F64
    var: F64
    std: F64
    x_hat: F64
    y: F64


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchNormBackward:
    """Every step of the backward pass, in the order of the paper.

    dx_hat, dx: shape of x. dvar, dmean: shape of x with 1 along the axes. dgamma, dbeta: as gamma
    was given. through_x_hat, through_var, through_mean: the three terms whose sum is dx.
    """

    dx_hat: F64
    dvar: F64
    dmean: F64
    through_x_hat: F64
    through_var: F64
    through_mean: F64
    dx: F64
    dgamma: F64
    dbeta: F64


def batchnorm_forward(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    *,
    eps: float = 1e-5,
    axes: tuple[int, ...] | int = 0,
) -> BatchNormForward:
    """Normalise ``x`` with its own statistics.

    x: any shape. gamma, beta: one value for each position of the remaining axes, in their order
    (F, or C), or a scalar. axes: those that are averaged over. eps: 0 only where no variance is.

    Raises:
        ValueError: the axes hold no values, or gamma or beta do not fit.
    """
    values = np.asarray(x, dtype=np.float64)
    chosen = _axes(values, axes)
    m = int(np.prod([values.shape[a] for a in chosen], dtype=np.int64))
    if m == 0:
        raise ValueError(f"axes {chosen} of shape {values.shape} hold no values")
    scale, shift = (_along(np.asarray(g, dtype=np.float64), values, chosen) for g in (gamma, beta))
    mean = values.mean(axis=chosen, keepdims=True)
    var = np.square(values - mean).mean(axis=chosen, keepdims=True)
    std = np.sqrt(var + eps)
    x_hat = (values - mean) / std
    return BatchNormForward(
        x=values, gamma=scale, beta=shift, eps=eps, axes=chosen, m=m, mean=mean, var=var, std=std,
        x_hat=x_hat, y=scale * x_hat + shift,
    )  # fmt: skip


def batchnorm_backward(forward: BatchNormForward, dout: ArrayLike) -> BatchNormBackward:
    """The gradients of a scalar l from ``dout`` = ∂l/∂y, which has the shape of x.

    Raises:
        ValueError: ``dout`` has another shape.
    """
    dy = np.asarray(dout, dtype=np.float64)
    if dy.shape != forward.x.shape:
        raise ValueError(f"dout has shape {dy.shape}, x has {forward.x.shape}")
    axes, m, std = forward.axes, forward.m, forward.std
    centred = forward.x - forward.mean
    dx_hat = dy * forward.gamma
    # (σ² + ε)^(−3/2), from d/dσ² of (σ² + ε)^(−1/2).
    dvar = np.sum(dx_hat * centred, axis=axes, keepdims=True) * (-0.5) * std**-3.0
    dmean = (
        np.sum(dx_hat * (-1 / std), axis=axes, keepdims=True)
        + dvar * np.sum(-2 * centred, axis=axes, keepdims=True) / m
    )  # the second term is 0 up to rounding; it stands here because the paper has it
    through_x_hat, through_var = dx_hat / std, dvar * 2 * centred / m
    through_mean = np.broadcast_to(dmean / m, dy.shape)
    kept = tuple(a for a in range(dy.ndim) if a not in axes)
    shape = tuple(dy.shape[a] for a in kept)
    return BatchNormBackward(
        dx_hat=dx_hat,
        dvar=dvar,
        dmean=dmean,
        through_x_hat=through_x_hat,
        through_var=through_var,
        through_mean=through_mean,
        dx=through_x_hat + through_var + through_mean,
        dgamma=np.sum(dy * forward.x_hat, axis=axes).reshape(shape),
        dbeta=np.sum(dy, axis=axes).reshape(shape),
    )


def descend(
    gamma: ArrayLike, beta: ArrayLike, step: BatchNormBackward, rate: float
) -> tuple[F64, F64]:
    """One step of gradient descent: γ − η ∂l/∂γ and β − η ∂l/∂β."""
    return (
        np.asarray(gamma, dtype=np.float64) - rate * step.dgamma,
        np.asarray(beta, dtype=np.float64) - rate * step.dbeta,
    )


def _axes(x: F64, axes: tuple[int, ...] | int) -> tuple[int, ...]:
    given = (axes,) if isinstance(axes, int) else axes
    return tuple(sorted({a % x.ndim for a in given}))


def _along(g: F64, x: F64, axes: tuple[int, ...]) -> F64:
    kept = [a for a in range(x.ndim) if a not in axes]
    wanted = tuple(x.shape[a] for a in kept)
    if g.size == 1:
        g = np.broadcast_to(g.reshape(()), wanted)
    if g.shape != wanted:
        raise ValueError(f"gamma and beta need shape {wanted}, not {g.shape}")
    shape: Any = tuple(1 if a in axes else x.shape[a] for a in range(x.ndim))
    return g.reshape(shape)
