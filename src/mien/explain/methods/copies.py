"""Passes over changed copies of images, several copies at a time where the images are few."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from mien.explain.aim import Aim
from mien.explain.methods.gradient import input_gradient

# Rows of one pass: enough to keep the cores busy, few enough for the caches. On two cores a pass
# of 128 is as fast for each image as any, one of 512 slower.
ROWS = 128


def pieces(images: int, copies: int) -> Iterator[range]:
    """The copies' numbers in ranges, each a pass of about ``ROWS`` rows, one copy at least."""
    step = max(1, ROWS // images)
    for begin in range(0, copies, step):
        yield range(begin, min(begin + step, copies))


def mean_gradient(
    network: nn.Module,
    x_NCHW: Tensor,
    aim: Aim,
    weights: list[float],
    copy: Callable[[int], Tensor],
) -> Tensor:
    """Σ weights[i] · ∂score/∂x at ``copy(i)``, of the shape of x."""
    total = torch.zeros_like(x_NCHW)
    for piece in pieces(len(x_NCHW), len(weights)):
        batch = torch.cat([copy(i) for i in piece])
        found = input_gradient(network, batch, aim.tiled(len(piece)))
        found = found.reshape(len(piece), *x_NCHW.shape)
        for weight, one in zip(weights[piece.start : piece.stop], found, strict=True):
            total += weight * one
    return total
