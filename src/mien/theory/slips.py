"""What learners get wrong, as formulas: each slip's value is computed and compared with theirs.

A slip is recognised only where its value differs from the right one, so nothing right is ever
called a slip. Imports no torch.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.theory import batchnorm as bn
from mien.theory.softmax import class_losses, cross_entropy

F64 = NDArray[np.float64]
Hint = tuple[str, F64]

MATCH = 1e-6


def matches(value: F64, candidate: F64) -> bool:
    """Whether two arrays are the same but for rounding."""
    if value.shape != candidate.shape or not np.isfinite(value).all():
        return False
    scale = max(float(np.abs(candidate).max(initial=0)), 1e-12)
    return bool(np.abs(value - candidate).max(initial=0) <= MATCH * scale)


def dvar_slips(forward: bn.BatchNormForward, dx_hat: F64) -> list[Hint]:
    """Wrong forms of ∂l/∂σ²_B = Σ ∂l/∂x̂ᵢ (xᵢ − μ_B) · (−1/2)(σ²_B + ε)^(−3/2)."""
    axes, inside = forward.axes, forward.var + forward.eps
    base = np.sum(dx_hat * (forward.x - forward.mean), axis=axes, keepdims=True)
    powers = {"−1/2": -0.5, "1": 1.0, "−1": -1.0, "3/2": 1.5, "1/2": 0.5, "−2": -2.0}
    found = [
        (f"the exponent of (σ² + ε) is −3/2, not {text}: d/dv v^(−1/2) = −1/2 · v^(−3/2)",
         factor * base * inside**power)
        for text, power in powers.items() for factor in (-0.5, 0.5, 1.0)
    ]  # fmt: skip
    return [
        *found,
        ("the factor −1/2 in front of (σ² + ε)^(−3/2) is missing", base * inside**-1.5),
        ("the sign is wrong: the factor is −1/2", 0.5 * base * inside**-1.5),
        ("ε is missing beside σ²", -0.5 * base * np.maximum(forward.var, 1e-300) ** -1.5),
    ]


def dmean_slips(forward: bn.BatchNormForward, dx_hat: F64) -> list[Hint]:
    """Wrong forms of ∂l/∂μ_B = Σ ∂l/∂x̂ᵢ · (−1/√(σ²_B + ε)) + ∂l/∂σ²_B · Σ −2(xᵢ − μ_B)/m."""
    plain = dx_hat.sum(axis=forward.axes, keepdims=True)
    return [
        ("the sign is wrong: x̂ falls as μ rises", plain / forward.std),
        ("the root is missing: the factor is −1/√(σ² + ε)", -plain / forward.std**2),
        ("the factor −1/√(σ² + ε) is missing", plain),
        ("it is a sum over the batch, not a mean", -plain / forward.std / forward.m),
    ]


def dx_slips(forward: bn.BatchNormForward, dx_hat: F64, dvar: F64, dmean: F64) -> list[Hint]:
    """Wrong forms of ∂l/∂xᵢ from the learner's own (or the right) intermediates."""
    m, centred = forward.m, forward.x - forward.mean
    first, var, mean = dx_hat / forward.std, dvar * 2 * centred, dmean + np.zeros_like(dx_hat)
    return [
        ("the whole term through ∂l/∂μ_B is missing: + ∂l/∂μ_B · 1/m", first + var / m),
        ("the factor 1/m is missing in the term through ∂l/∂μ_B", first + var / m + mean),
        ("the factor 1/m is missing in the term through ∂l/∂σ²_B", first + var + mean / m),
        ("the factor 1/m is missing in both terms, ∂l/∂σ²_B · 2(xᵢ − μ_B)/m and ∂l/∂μ_B · 1/m",
         first + var + mean),
        ("the factor 1/m is missing in the term through ∂l/∂σ²_B, and the term through ∂l/∂μ_B "
         "is missing", first + var),
        ("the whole term through ∂l/∂σ²_B is missing: + ∂l/∂σ²_B · 2(xᵢ − μ_B)/m",
         first + mean / m),
        ("the terms through ∂l/∂σ²_B and ∂l/∂μ_B are missing: μ and σ² depend on xᵢ too", first),
        ("the factor 2 is missing in ∂l/∂σ²_B · 2(xᵢ − μ_B)/m", first + var / 2 / m + mean / m),
        ("the factor 1/√(σ² + ε) is missing in the first term", dx_hat + var / m + mean / m),
    ]  # fmt: skip


def sums_from(forward: bn.BatchNormForward, dx_hat: F64) -> dict[str, F64]:
    """The right ∂l/∂σ²_B and ∂l/∂μ_B for a ∂l/∂x̂ that may be wrong."""
    axes, centred = forward.axes, forward.x - forward.mean
    return {
        "dvar": np.sum(dx_hat * centred, axis=axes, keepdims=True) * -0.5 * forward.std**-3.0,
        "dmean": -np.sum(dx_hat, axis=axes, keepdims=True) / forward.std,
    }


def dx_from(forward: bn.BatchNormForward, dx_hat: F64, dvar: F64, dmean: F64) -> F64:
    """The right ∂l/∂xᵢ for intermediates that may be wrong."""
    centred = forward.x - forward.mean
    return dx_hat / forward.std + dvar * 2 * centred / forward.m + dmean / forward.m


def other_slips(
    forward: bn.BatchNormForward, right: bn.BatchNormBackward, dout: F64
) -> Mapping[str, list[Hint]]:
    """Wrong forms of ∂l/∂x̂ᵢ, ∂l/∂γ and ∂l/∂β."""
    m, axes = forward.m, forward.axes
    return {
        "dx_hat": [("γ is missing: ∂l/∂x̂ᵢ = ∂l/∂yᵢ · γ", dout)],
        "dgamma": [
            ("it multiplies x, not x̂", (dout * forward.x).sum(axis=axes)),
            ("it is a sum over the batch, not a mean", right.dgamma / m),
            ("∂l/∂x̂ was taken for ∂l/∂y: there is no γ in it", right.dgamma * forward.gamma[0]),
        ],
        "dbeta": [
            ("it is a sum over the batch, not a mean", right.dbeta / m),
            ("∂l/∂x̂ was taken for ∂l/∂y: there is no γ in it", right.dbeta * forward.gamma[0]),
        ],
    }


def softmax_slips(z: F64, y: F64) -> list[Hint]:
    """Wrong forms of ∂L/∂z = ŷ − y."""
    right = cross_entropy(z, y)
    diagonal = -y * (1 - right.p)
    off = (
        "the off-diagonal terms of the softmax Jacobian are left out: every ŷ_t depends on "
        "every z_j"
    )
    return [
        (off, diagonal),
        (off, diagonal / len(z)),
        ("the sign is wrong: it is ŷ − y", -right.dz),
        ("this is ∂L/∂ŷ = −y/ŷ; the Jacobian of the softmax is missing", right.dp),
        ("this is ŷ itself; − y is missing", right.p),
        ("softmax is missing: this is z − y", z - y),
        (
            "the softmax Jacobian's diagonal was applied to ŷ − y as well",
            right.dz * right.p * (1 - right.p),
        ),
    ]


def softmax_accepted(z: F64, y: F64) -> list[Hint]:
    """Right answers other than ŷ − y, each with the question that it answers."""
    right, course = cross_entropy(z, y), class_losses(z, y)
    return [
        ("the gradient of the mean over the batch, (ŷ − y)/N", right.dz / len(z)),
        (
            "the gradient of the summed losses Σ_t −[y_t log ŷ_t + (1 − y_t) log(1 − ŷ_t)], which "
            "has cross terms that ŷ − y has not",
            course.dz_of_sum,
        ),
    ]


def shape_slips(
    width: int, height: int, channels: int, kernel: tuple[int, int], stride: tuple[int, int],
    padding: tuple[int, int],
) -> list[tuple[str, tuple[float, float, float]]]:  # fmt: skip
    """Wrong forms of the output size ⌊(W + 2p − k)/s⌋ + 1, each with what it gives."""
    pairs = list(zip((width, height), kernel, stride, padding, strict=True))
    exact = [(w + 2 * p - k) / s + 1 for w, k, s, p in pairs]
    swapped = [
        (w + 2 * p - k) // s + 1
        for w, k, s, p in zip(
            (width, height), kernel[::-1], stride[::-1], padding[::-1], strict=True
        )
    ]
    forms: dict[str, Sequence[float]] = {
        "the floor is forgotten: ⌊(W + 2p − k)/s⌋ + 1 is a whole number": exact,
        "it is rounded up; convolution rounds down": [math.ceil(v) for v in exact],
        "it is rounded to the nearest; convolution rounds down": [round(v) for v in exact],
        "padding counts twice, once on each side": [(w + p - k) // s + 1 for w, k, s, p in pairs],
        "padding is missing": [(w - k) // s + 1 for w, k, s, p in pairs],
        "the + 1 is missing: n steps make n + 1 positions": [v // 1 - 1 for v in exact],
        "the stride is missing": [w + 2 * p - k + 1 for w, k, s, p in pairs],
        "kernel, stride and padding of width and height are swapped": swapped,
        "width and height are swapped": [v // 1 for v in exact[::-1]],
    }
    return [(hint, (float(v[0]), float(v[1]), float(channels))) for hint, v in forms.items()]
