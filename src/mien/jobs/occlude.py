"""Occlusion with a classifier that only gives probabilities, so without torch or a gradient.

The same squares and the same mean as ``explain.methods.occlusion`` (Zeiler, Fergus 2013,
arXiv:1311.2901), with the logarithm of the probability for the score.
"""

import math

import numpy as np
from numpy.typing import NDArray

PATCH, STRIDE = 12, 6
_LEAST = 1e-7  # below it a float32 share says nothing


def squares(H: int, W: int, patch: int = 0, stride: int = 0) -> NDArray[np.bool_]:
    """The squares row by row, bool P×H×W; by default a quarter of the side, at every eighth."""
    patch = patch or max(1, min(H, W) * PATCH // 48)
    stride = stride or max(1, patch * STRIDE // PATCH)
    tops = [i * stride for i in range(1 + math.ceil((H - patch) / stride))]
    lefts = [i * stride for i in range(1 + math.ceil((W - patch) / stride))]
    covers = np.zeros((len(tops), len(lefts), H, W), np.bool_)
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            covers[row, column, top : top + patch, left : left + patch] = True
    return covers.reshape(-1, H, W)


def fall(shares: NDArray[np.float32], covers: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How far the score falls where a pixel is covered, float32 H×W.

    Args:
        shares: 1 + P probabilities of a class, of the whole picture and then under each square.
        covers: bool P×H×W.
    """
    score = np.log(np.maximum(shares.astype(np.float64), _LEAST))
    falls = score[0] - score[1:]
    weights = covers.astype(np.float64)
    total = np.tensordot(falls, weights, axes=1) / weights.sum(axis=0)
    return np.asarray(total, dtype=np.float32)
