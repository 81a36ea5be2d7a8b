"""Five parts of a picture, the middle and the corners, as Krizhevsky et al. 2012 look at it."""

from collections.abc import Iterator

from torch import Tensor


def side_of_parts(size: int) -> int:
    """The side in pixels of a part of a picture of ``size`` pixels: eleven twelfths, 44 of 48."""
    return size * 11 // 12


def five_parts(image_NCHW: Tensor, side: int) -> Iterator[Tensor]:
    """The middle, then top left, top right, bottom left and bottom right, each N×C×side×side."""
    bottom, right = image_NCHW.shape[-2] - side, image_NCHW.shape[-1] - side
    for y, x in ((bottom // 2, right // 2), (0, 0), (0, right), (bottom, 0), (bottom, right)):
        yield image_NCHW[..., y : y + side, x : x + side]
