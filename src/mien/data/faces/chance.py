"""Random numbers that are the same on every machine and under every version of NumPy.

They come from the raw 64-bit words of PCG64, whose stream NumPy guarantees, and from nothing but
additions, products and shifts, which IEEE 754 defines to the bit.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def uniforms(key: tuple[int, ...], rows: int, columns: int) -> Floats:
    """``rows``×``columns`` numbers in [0, 1), a function of ``key`` alone."""
    words = np.random.PCG64(np.random.SeedSequence(key)).random_raw(rows * columns)
    return np.asarray((words >> 11) * 2.0**-53, dtype=np.float64).reshape(rows, columns)


def grain(key: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Noise of mean 0 and deviation 1, near to normal (the sum of four bytes); float32.

    Numbers are drawn in the order of ``shape``, so fewer rows give a prefix of more.
    """
    count = int(np.prod(shape))
    words = np.random.PCG64(np.random.SeedSequence(key)).random_raw((count + 1) // 2)
    pairs = words.astype("<u8", copy=False).view("<u4")[:count]
    total = pairs & 0xFF
    for shift in (8, 16, 24):
        total = total + (pairs >> shift & 0xFF)
    # The variance of a byte is (256² - 1) / 12; four of them add up to 147.8².
    deviation = np.float32(147.8)
    return ((total.astype(np.float32) - np.float32(510)) / deviation).reshape(shape)
