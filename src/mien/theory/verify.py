"""A formula's numbers held against autograd and central differences, in ``float64``.

The relative error is the largest difference over the largest magnitude of either side, so that an
element that ought to be 0 is measured against its neighbours. Where a function has a kink (leaky
ReLU at 0, equal values in a max-pooling window) it has no one derivative: such elements are
counted, not compared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

AUTOGRAD_TOLERANCE = 1e-9
DIFFERENCE_TOLERANCE = 1e-6
# The step that balances rounding against curvature for central differences in float64.
STEP = float(np.cbrt(np.finfo(np.float64).eps))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One quantity from two sources.

    index: the element that differs most, () where nothing was compared. ours, theirs: its values.
    error: the relative error. compared, kinks: how many elements were, and were not, compared.
    """

    name: str
    index: tuple[int, ...]
    ours: float
    theirs: float
    error: float
    compared: int
    kinks: int
    tolerance: float
    fault: str = ""

    @property
    def right(self) -> bool:
        """Whether the two agree; not so where a value is not a number or the shapes differ."""
        return not self.fault and bool(self.error <= self.tolerance)

    def __str__(self) -> str:
        if self.fault:
            return f"{self.name}: {self.fault}"
        at = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return (
            f"{self.name}{at}: {self.ours:.12g} against {self.theirs:.12g}, "
            f"relative error {self.error:.1e}"
        )


def compare(
    name: str,
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    tolerance: float = AUTOGRAD_TOLERANCE,
    kinks: Mask | None = None,
    scale: float = 0.0,
) -> Comparison:
    """Find the element in which two arrays of one shape differ most.

    scale: errors are measured against at least this: for a sum whose terms all but cancel, the
    largest of the terms, which sets how many digits it can have.
    kinks: bool, True at elements that have no one derivative; broadcasts against the arrays.
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    fault, error = "", 0.0
    index: tuple[int, ...] = ()
    skip = np.zeros(a.shape, dtype=np.bool_)
    if a.shape != b.shape:
        fault = f"its shape is {a.shape}, not {b.shape}"
    else:
        skip = skip if kinks is None else np.broadcast_to(kinks, a.shape)
    used = ~skip
    if not fault and used.any():
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.where(used & (a != b), np.abs(a - b), 0.0)
        gap = np.where(np.isnan(gap), np.inf, gap)
        index = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), a.shape))
        bad = np.isinf(gap)
        if bad.any():
            fault = f"it is not finite at {list(index)}: {a[index]} against {b[index]}"
        elif gap[index] > 0:
            # Infinities that agree set no scale.
            finite = used & np.isfinite(a)
            largest = max(np.abs(a[finite]).max(), np.abs(b[finite]).max(), scale)
            error = float(gap[index] / largest)
    return Comparison(
        name=name,
        index=index,
        ours=float(a[index]) if a.shape == b.shape and used.any() else float("nan"),
        theirs=float(b[index]) if a.shape == b.shape and used.any() else float("nan"),
        error=error,
        compared=int(used.sum()),
        kinks=int(skip.sum()),
        tolerance=tolerance,
        fault=fault,
    )


def central_differences(
    f: Callable[[F64], float],
    x: ArrayLike,
    coordinates: Sequence[tuple[int, ...]] | None = None,
    *,
    step: float | None = None,
) -> F64:
    """The slopes (f(x + h) − f(x − h))/2h along the coordinates, one number each.

    coordinates: indices into x; without them, all of x's. h is ``step``; without one, ``STEP``
    times the coordinate's magnitude, and at least ``STEP``.
    """
    values = np.array(x, dtype=np.float64)
    places = list(np.ndindex(values.shape)) if coordinates is None else coordinates
    slopes = np.zeros(len(places))
    for number, place in enumerate(places):
        kept = values[place]
        h = STEP * max(1.0, abs(kept)) if step is None else step
        values[place] = kept + h
        high, above = values[place], f(values)
        values[place] = kept - h
        low, below = values[place], f(values)
        values[place] = kept
        # The step as it really was taken, after rounding.
        slopes[number] = (above - below) / (high - low)
    return slopes


def near_zero(x: ArrayLike, *, step: float = STEP) -> Mask:
    """Where a central difference would step over 0: the kink of leaky ReLU."""
    values = np.abs(np.asarray(x, dtype=np.float64))
    return np.asarray(values <= 2 * step * np.maximum(1.0, values))


def autograd(
    f: Callable[..., Tensor], inputs: Sequence[ArrayLike], dout: ArrayLike
) -> tuple[F64, list[F64]]:
    """The value of ``f`` and the gradient of Σ dout·f for each of ``inputs``, by PyTorch.

    ``f`` takes ``float64`` tensors and gives one of the shape of ``dout``; an input that does not
    matter has the gradient 0.
    """
    leaves = [torch.tensor(np.asarray(x, dtype=np.float64), requires_grad=True) for x in inputs]
    with torch.enable_grad():
        y = f(*leaves)
        gradients = torch.autograd.grad(
            y, leaves, torch.tensor(np.asarray(dout, dtype=np.float64)), allow_unused=True
        )
    return y.detach().numpy(), [
        np.zeros(leaf.shape) if g is None else g.numpy()
        for leaf, g in zip(leaves, gradients, strict=True)
    ]
