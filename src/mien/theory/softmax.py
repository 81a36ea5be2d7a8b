"""Softmax with cross-entropy: the loss, the Jacobian and two gradients, in ``float64``.

    ŷ_t = exp(z_t)/Σ_j exp(z_j)        L = −Σ_t y_t log ŷ_t

Because ∂ŷ_t/∂z_j = ŷ_t(δ_tj − ŷ_j), the gradient of the whole loss is ∂L/∂z = ŷ − y wherever the
targets y sum to 1: one-hot, soft or smoothed.

The course's form has a loss of its own for every class,

    L_t = −[y_t log ŷ_t + (1 − y_t) log(1 − ŷ_t)],

and ∂L_t/∂z_t = ŷ_t − y_t, for which the Jacobian's diagonal ŷ_t(1 − ŷ_t) suffices. The same
numbers, but of another thing: they are K derivatives of K losses. The summed loss Σ_t L_t depends
on z_j through every ŷ_t, and its gradient has the off-diagonal terms as well:

    ∂(Σ_t L_t)/∂z_j = (ŷ_j − y_j) − ŷ_j Σ_{t≠j} (ŷ_t − y_t)/(1 − ŷ_t).

The last axis holds the K classes; whatever stands before it is batch. Imports no torch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossEntropy:
    """shifted: z less its maximum. log_p, p: …×K, logarithm of ŷ and ŷ. y: targets.

    loss: …, one for each sample. dp: ∂L/∂ŷ = −y/ŷ. dz: ∂L/∂z, …×K.
    """

    shifted: F64
    log_p: F64
    p: F64
    y: F64
    loss: F64
    dp: F64
    dz: F64


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassLosses:
    """The course's form. losses: …×K, L_t. dp: ∂L_t/∂ŷ_t. diagonal: ∂ŷ_t/∂z_t.

    dz: ∂L_t/∂z_t = ŷ_t − y_t for each t by itself. dz_of_sum: the gradient of Σ_t L_t.
    cross_terms: ``dz_of_sum − dz``, what the diagonal alone leaves out.
    """

    p: F64
    losses: F64
    dp: F64
    diagonal: F64
    dz: F64
    cross_terms: F64
    dz_of_sum: F64


def log_softmax(z: ArrayLike) -> F64:
    """The logarithm of ŷ over the last axis; exact for logits whose exponential overflows."""
    logits = np.asarray(z, dtype=np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def softmax(z: ArrayLike) -> F64:
    """ŷ over the last axis, each 0..1, together 1."""
    return np.asarray(np.exp(log_softmax(z)))


def jacobian(z: ArrayLike) -> F64:
    """The full Jacobian ∂ŷ_t/∂z_j = ŷ_t(δ_tj − ŷ_j), …×K×K, row t, column j; symmetric."""
    p = softmax(z)
    return np.asarray(p[..., :, None] * (np.eye(p.shape[-1]) - p[..., None, :]))


def targets(labels: ArrayLike, classes: int, *, smoothing: float = 0.0) -> F64:
    """One-hot rows of ``labels`` (0..classes−1), with a share spread over all classes.

    smoothing: 0..1; y = (1 − s)·onehot + s/K (Szegedy et al. 2016, arXiv:1512.00567).
    """
    hot = np.eye(classes)[np.asarray(labels, dtype=np.int64)]
    return np.asarray((1 - smoothing) * hot + smoothing / classes)


def cross_entropy(z: ArrayLike, y: ArrayLike) -> CrossEntropy:
    """Loss and gradient of each sample; for a mean over a batch divide dz by its size.

    z: …×K logits. y: …×K targets, not negative; one-hot, soft or smoothed. Where they do not sum
    to 1 the gradient is ŷ·Σy − y.

    Raises:
        ValueError: the shapes differ.
    """
    logits, goal = np.asarray(z, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if logits.shape != goal.shape:
        raise ValueError(f"z has shape {logits.shape}, y has {goal.shape}")
    log_p = log_softmax(logits)
    p = np.exp(log_p)
    # 0·log 0 is 0: a class that is not asked for costs nothing, however unlikely it is.
    loss = -np.where(goal == 0, 0.0, goal * log_p).sum(axis=-1)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        dp = np.where(goal == 0, 0.0, -goal * np.exp(-log_p))
    return CrossEntropy(
        shifted=logits - logits.max(axis=-1, keepdims=True), log_p=log_p, p=p, y=goal, loss=loss,
        dp=dp, dz=p * goal.sum(axis=-1, keepdims=True) - goal,
    )  # fmt: skip


def class_losses(z: ArrayLike, y: ArrayLike) -> ClassLosses:
    """The course's K losses, their K own derivatives, and the gradient of their sum.

    z, y: …×K; y from 0 to 1, of any sum.

    Raises:
        ValueError: the shapes differ.
    """
    logits, goal = np.asarray(z, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if logits.shape != goal.shape:
        raise ValueError(f"z has shape {logits.shape}, y has {goal.shape}")
    log_p = log_softmax(logits)
    log_q = _log_rest(log_p)
    p, q = np.exp(log_p), np.exp(log_q)
    first = np.where(goal == 0, 0.0, goal * log_p)
    second = np.where(goal == 1, 0.0, (1 - goal) * log_q)
    # (ŷ − y)/(1 − ŷ) with 1 − ŷ = q, arranged so that y = 1 gives −1 even where q rounds to 0.
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = np.where(goal == 1, -1.0, (1 - goal) / q - 1)
        dp = ratio / p
    own = p * (1 - goal) - q * goal  # ŷ − y without cancellation
    # ŷ_j/(1 − ŷ_t) as one exponential: at most 1 for t ≠ j, however large the logits are.
    share = np.where(np.eye(p.shape[-1], dtype=np.bool_), -np.inf, 0.0)
    share = np.exp(share + log_p[..., None, :] - log_q[..., :, None])
    K = p.shape[-1]
    cross = (K - 1) * p - ((1 - goal)[..., :, None] * share).sum(axis=-2)
    return ClassLosses(
        p=p, losses=-(first + second), dp=dp, diagonal=p * q, dz=own, cross_terms=cross,
        dz_of_sum=own + cross,
    )  # fmt: skip


def _log_rest(log_p: F64) -> F64:
    """log(1 − ŷ_t), as the logarithm of the other classes' sum: exact where ŷ_t rounds to 1."""
    K = log_p.shape[-1]
    others = np.broadcast_to(log_p[..., None, :], (*log_p.shape, K)).copy()
    others[..., np.arange(K), np.arange(K)] = -np.inf
    top = others.max(axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(others - top).sum(axis=-1)) + top[..., 0])
