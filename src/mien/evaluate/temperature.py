"""One temperature for all logits, fitted by likelihood, and fitted crosswise in folds.

Softmax of ``logits / T`` (Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural
Networks", ICML). T never changes which class is the largest. Knows nothing of models or files;
takes logits, or logarithms of probabilities such as the mean over a picture and its mirror image.
N images, K classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

# Where every image is right, ever smaller temperatures are ever better; where the logits tell
# nothing, ever larger ones. Then an end of this range is the answer.
LOWEST, HIGHEST = 0.05, 20.0
FOLDS = 5
_TOLERANCE = 1e-10


def softmax(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities float64 N×K of logits N×K at a temperature."""
    scores = logits.astype(np.float64) / temperature
    scores -= scores.max(axis=1, keepdims=True)
    p: NDArray[np.float64] = np.exp(scores)
    p /= p.sum(axis=1, keepdims=True)
    return p


def fit_temperature(logits: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """The temperature of the highest likelihood, within ``LOWEST`` .. ``HIGHEST``.

    In β = 1/T the negative log-likelihood is convex, with the derivative E[z] - z_label averaged
    over the images (E under softmax(βz)); Newton's steps on it, halving where they leave the
    bracket, end at a relative change of 1e-10.

    Args:
        logits: N×K, finite. labels: int64 N, 0..K-1.

    Raises:
        DataError: no images.
    """
    if len(labels) == 0:
        raise DataError("a temperature needs labelled images, and there are none")
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    aimed = float(scores[np.arange(len(labels)), labels].mean())
    low, high = 1 / HIGHEST, 1 / LOWEST
    if _slope(scores, low)[0] >= aimed:
        return HIGHEST
    if _slope(scores, high)[0] <= aimed:
        return LOWEST
    beta = 1.0
    while True:
        mean, variance = _slope(scores, beta)
        low, high = (beta, high) if mean < aimed else (low, beta)
        step = beta - (mean - aimed) / variance if variance > 0 else np.inf
        following = step if low < step < high else (low + high) / 2
        if abs(following - beta) <= _TOLERANCE * beta:
            return float(1 / following)
        beta = following


def _slope(scores: NDArray[np.float64], beta: float) -> tuple[float, float]:
    """Mean over images of the expected score and of its variance under softmax(beta·scores)."""
    weights = np.exp(beta * scores)
    weights /= weights.sum(axis=1, keepdims=True)
    expected = (weights * scores).sum(axis=1)
    variance = (weights * scores**2).sum(axis=1) - expected**2
    return float(expected.mean()), float(variance.mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossFitted:
    """Temperatures fitted without the fold that they serve.

    folds: int64 N, which fold each image is in. temperatures: one for each fold, fitted on all
    other folds. probabilities: float64 N×K, each image at its fold's temperature.
    """

    folds: NDArray[np.int64]
    temperatures: tuple[float, ...]
    probabilities: NDArray[np.float64]


def folds_of(hashes: NDArray[Any], *, folds: int = FOLDS, seed: int = 0) -> NDArray[np.int64]:
    """A fold 0..folds-1 for each image, int64 N; identical images are in the same fold.

    Depends on the content hashes and the seed alone, not on the order of the images.

    Raises:
        DataError: fewer different images than folds.
    """
    unique, which = np.unique(hashes.astype(np.str_), return_inverse=True)
    if len(unique) < folds:
        raise DataError(
            f"{len(unique)} different labelled images are too few to cross-fit in {folds} folds"
        )
    order = np.random.default_rng(seed).permutation(len(unique))
    return np.asarray((order % folds)[which], dtype=np.int64)


def cross_fit(
    logits: NDArray[np.floating[Any]], labels: NDArray[np.int64], folds: NDArray[np.int64]
) -> CrossFitted:
    """Calibrate each fold with the temperature of the others.

    Args:
        logits: N×K. labels: int64 N, 0..K-1. folds: int64 N, from ``folds_of``.
    """
    probabilities = np.empty(logits.shape, dtype=np.float64)
    temperatures = []
    for fold in range(int(folds.max()) + 1):
        inside = folds == fold
        temperatures.append(fit_temperature(logits[~inside], labels[~inside]))
        probabilities[inside] = softmax(logits[inside], temperatures[-1])
    return CrossFitted(folds=folds, temperatures=tuple(temperatures), probabilities=probabilities)
