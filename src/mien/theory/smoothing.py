"""What label smoothing does to probabilities, and how to take it back. Imports no torch.

With a share ε of each target spread evenly over K classes (Szegedy, Vanhoucke, Ioffe, Shlens and
Wojna 2016, "Rethinking the Inception Architecture"), cross-entropy is least where a network gives
q = (1 - ε)·p + ε/K for labels of probability p: every class is owed at least ε/K, which makes rare
classes look likelier than they are and sure answers less sure. ε is the recipe's, so p follows from
q without any labels. N images, K classes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A network is not exact, and where it gives a class less than ε/K it means: hardly ever.
LEAST = 1e-3


def as_smoothing(value: object) -> float | None:
    """A share that labels can be smoothed by, of what a stranger's file names so; else None."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 <= value < 1 else None  # type: ignore[operator,arg-type]


def unsmoothed(logits: NDArray[np.floating[Any]], smoothing: float) -> NDArray[np.float64]:
    """Logarithms float64 N×K of what the logits N×K of a network mean that ``smoothing`` trained.

    Probabilities are (q - ε/K) / (1 - ε), at least ``LEAST``, before they are brought to a sum of
    1, which is left to the softmax that follows. The class of the largest stays the largest. With
    a smoothing of 0 the logits come back as they are.

    Raises:
        ValueError: a smoothing outside 0 .. 1, without 1.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"label smoothing {smoothing}: from 0 to below 1")
    z = logits.astype(np.float64)
    if not smoothing:
        return z
    q = np.exp(z - z.max(axis=1, keepdims=True))
    q /= q.sum(axis=1, keepdims=True)
    meant = (q - smoothing / z.shape[1]) / (1 - smoothing)
    log: NDArray[np.float64] = np.log(np.maximum(meant, LEAST))
    return log
