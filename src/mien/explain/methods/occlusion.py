"""Occlusion (Zeiler, Fergus 2013, arXiv:1311.2901): how far the score falls when a square is
covered, for squares all over the picture; a pixel gets the mean over the squares that cover it.
"""

import math

import torch
from torch import Tensor, nn

from mien.errors import OptionError
from mien.explain.aim import Aim
from mien.explain.methods.copies import pieces
from mien.explain.options import Options, background


def occlusion(network: nn.Module, x_NCHW: Tensor, aim: Aim, options: Options) -> Tensor:
    """float32 N×C×H×W inputs to float32 N×H×W falls of the score.

    Heeds ``patch``, ``stride`` and ``baseline``. Needs no gradient.

    Raises:
        OptionError: the patch is larger than the picture.
    """
    N, H, W = len(x_NCHW), *x_NCHW.shape[2:]
    covers = squares(H, W, options.patch, options.stride).to(x_NCHW.device)
    cover = background(x_NCHW, options)
    with torch.no_grad():
        whole = aim.score(network(x_NCHW).float())
        falls = []
        for piece in pieces(N, len(covers)):
            batch = torch.cat([torch.where(covers[i], cover, x_NCHW) for i in piece])
            scores = aim.tiled(len(piece)).score(network(batch).float())
            falls.append(whole - scores.reshape(len(piece), N))
    weights = covers.to(whole.dtype).flatten(1)
    maps: Tensor = torch.cat(falls).T @ weights / weights.sum(dim=0)
    return maps.reshape(N, H, W)


def squares(H: int, W: int, patch: int, stride: int) -> Tensor:
    """The squares row by row, bool P×H×W; the last of a row or column may reach over the edge.

    Raises:
        OptionError: the patch is larger than the picture.
    """
    if patch > min(H, W):
        raise OptionError(f"--patch {patch}: larger than the picture, {H}×{W}")
    tops = [i * stride for i in range(1 + math.ceil((H - patch) / stride))]
    lefts = [i * stride for i in range(1 + math.ceil((W - patch) / stride))]
    out = torch.zeros((len(tops) * len(lefts), H, W), dtype=torch.bool)
    for number, one in enumerate(out):
        top, left = tops[number // len(lefts)], lefts[number % len(lefts)]
        one[top : top + patch, left : left + patch] = True
    return out
