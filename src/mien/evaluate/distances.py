"""Scores of novelty that need no picture of anything but faces; higher, less of a face.

What ``novelty``'s score was chosen against, and what to compare another with. N pictures, F
features, K classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Mahalanobis:
    """Squared distance to the nearest class's mean under one covariance that all classes share.

    After Lee, Lee, Lee and Shin 2018, "A Simple Unified Framework for Detecting
    Out-of-Distribution Samples". means: float64 K×F. precision: float64 F×F, the inverse of the
    covariance shrunk towards a multiple of the identity. shrinkage: how far, 0..1. centre,
    background: mean and precision without classes, for the relative distance.
    """

    means: Floats
    precision: Floats
    centre: Floats
    background: Floats
    shrinkage: float

    def distances(self, x: NDArray[np.floating[Any]]) -> Floats:
        """Squared distances float64 N×K of features N×F."""
        gaps = x.astype(np.float64)[:, None] - self.means
        squared: Floats = np.einsum("nkf,fg,nkg->nk", gaps, self.precision, gaps, optimize=True)
        return squared

    def score(self, x: NDArray[np.floating[Any]], *, relative: bool = False) -> Floats:
        """Float64 N; relative to the distance without classes (Ren et al. 2021) if asked."""
        nearest: Floats = self.distances(x).min(axis=1)
        if not relative:
            return nearest
        gaps = x.astype(np.float64) - self.centre
        nearest -= ((gaps @ self.background) * gaps).sum(axis=1)
        return nearest


def fit_mahalanobis(
    x: NDArray[np.floating[Any]], labels: NDArray[np.int64], *, shrinkage: float | None = None
) -> Mahalanobis:
    """Fit to features N×F of faces and their labels int64 N; every class of 0..K-1 must occur.

    shrinkage: 0..1, or None for Ledoit and Wolf's (2004, J. Multivariate Analysis 88:365).
    """
    from sklearn.covariance import ledoit_wolf, shrunk_covariance

    data = x.astype(np.float64)
    means = np.stack([data[labels == k].mean(axis=0) for k in range(int(labels.max()) + 1)])
    within, around = data - means[labels], data - data.mean(axis=0)
    if shrinkage is None:
        covariance, shrinkage = ledoit_wolf(within, assume_centered=True)
    else:
        covariance = shrunk_covariance(within.T @ within / len(data), shrinkage)
    total = shrunk_covariance(around.T @ around / len(data), shrinkage)
    return Mahalanobis(means=means, precision=np.linalg.inv(covariance),
                       centre=data.mean(axis=0), background=np.linalg.inv(total),
                       shrinkage=float(shrinkage))  # fmt: skip


def energy(logits: NDArray[np.floating[Any]]) -> Floats:
    """Minus the log-sum-exp of logits N×K: float64 N (Liu, Wang, Owens and Li 2020)."""
    z = logits.astype(np.float64)
    most = z.max(axis=1)
    found: Floats = -(most + np.log(np.exp(z - most[:, None]).sum(axis=1)))
    return found
