"""How alike two attribution maps are: one fixed measure for all tests.

Spearman's rank correlation over the pixels of |map|. Ranks, because a figure shows where a map is
strong and not on which scale, and because a randomised network's gradients have another scale.
Absolute values, because the sign of a random network's map is random: signed correlation falls to
0 for "gradient × input" although its |map| still draws the face, which is what Adebayo et al. 2018
("Sanity checks for saliency maps") found and what must not pass here. N images, P pixels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def spearman(a_NHW: NDArray[Any], b_NHW: NDArray[Any]) -> NDArray[np.float64]:
    """Rank correlation -1..1 of each pair of |maps|, N; 0 where a map is the same everywhere.

    Ties share their mean rank, as in ``scipy.stats.spearmanr``.
    """
    a, b = _centred_ranks(a_NHW), _centred_ranks(b_NHW)
    size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    product = (a * b).sum(axis=1)
    return np.asarray(np.divide(product, size, out=np.zeros(len(a)), where=size > 0))


def between_images(maps_NHW: NDArray[Any]) -> NDArray[np.float64]:
    """Similarity of each map to that of the next image (of the first for the last), N.

    What maps of aligned faces have in common whatever the face: a reference for all others.
    """
    return spearman(maps_NHW, np.roll(maps_NHW, -1, axis=0))


def _centred_ranks(maps_NHW: NDArray[Any]) -> NDArray[np.float64]:
    flat = np.abs(np.asarray(maps_NHW)).reshape(len(maps_NHW), -1)
    ranks = np.asarray(stats.rankdata(flat, axis=1), dtype=np.float64)
    centred: NDArray[np.float64] = ranks - ranks.mean(axis=1, keepdims=True)
    return centred
