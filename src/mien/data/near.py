"""Pictures that look alike: a 64-bit perceptual hash, and all pairs of hashes a few bits apart."""

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Progress, silent

_SIDE = 32
_LOW = 8
_EVERY = 1024
_ROWS = 2048


def perceptual_hashes(
    images: NDArray[np.uint8], indices: NDArray[np.int64], *, progress: Progress = silent
) -> NDArray[np.uint64]:
    """The pHash of each picture at ``indices``, uint64.

    Channels are averaged, the picture is brought to 32×32 (area), and a bit says whether one of
    the 8×8 lowest coefficients of its cosine transform lies above their median (the mean light,
    the very first, is left out of the median and never sets its bit). Light and contrast hardly
    change it.
    """
    bits = np.zeros((len(indices), _LOW * _LOW), np.bool_)
    for place, index in enumerate(indices.tolist()):
        if place % _EVERY == 0:
            progress("comparing pictures", place, len(indices))
        grey = images[index].mean(axis=0, dtype=np.float32)
        small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        low = cv2.dct(small)[:_LOW, :_LOW].ravel()
        bits[place, 1:] = low[1:] > np.median(low[1:])
    packed = np.packbits(bits, axis=1)
    return packed.view(np.uint64).ravel()


def near_pairs(
    hashes: NDArray[np.uint64], distance: int, *, most: int = 1_000_000
) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
    """All pairs of hashes that differ in at most ``distance`` bits.

    Two such hashes agree wholly in at least one of ``distance + 1`` bands of bits, so only those
    equal in a band are compared: exact, and far from all N² pairs.

    Returns:
        int64 P×2 (indices, i < j), int64 P (bits), and whether these are all: the search ends
        once it has met ``most`` pairs.
    """
    found = [np.empty((0, 2), np.int64)]
    met = 0
    for band in _bands(hashes, distance + 1):
        for pairs in (p for members in _equal(band) for p in _close(hashes, members, distance)):
            found.append(pairs)
            met += len(pairs)
            if met > most * (distance + 1):  # a pair may be met once in every band
                break
    pairs = np.unique(np.concatenate(found), axis=0)
    apart = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]).astype(np.int64)
    return pairs[:most], apart[:most], len(pairs) <= most and met <= most * (distance + 1)


def _bands(hashes: NDArray[np.uint64], number: int) -> Iterator[NDArray[np.uint64]]:
    edges = np.linspace(0, 64, number + 1).astype(int).tolist()
    for low, high in pairwise(edges):
        yield (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)


def _equal(band: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """The indices, ascending, of each value that occurs more than once."""
    order = np.argsort(band, kind="stable")
    edges = np.flatnonzero(np.diff(band[order])) + 1
    for members in np.split(order, edges):
        if len(members) > 1:
            yield members


def _close(
    hashes: NDArray[np.uint64], members: NDArray[np.int64], distance: int
) -> Iterator[NDArray[np.int64]]:
    """Pairs within ``members``; in blocks of rows, so that memory stays small."""
    own = hashes[members]
    rows = max(1, _ROWS * _ROWS // len(members))
    for start in range(0, len(members), rows):
        apart = np.bitwise_count(own[start : start + rows, None] ^ own[None, start:])
        i, j = np.nonzero(apart <= distance)
        later = i < j
        if later.any():
            yield np.stack((members[start + i[later]], members[start + j[later]]), axis=1)
