"""SmoothGrad (Smilkov et al. 2017, arXiv:1706.03825): the mean gradient over noisy copies.

The noise of a picture follows from the seed and from the picture itself, so its map is the same
whichever pictures are explained beside it, and the noise of different pictures is independent.
"""

import hashlib

import torch
from torch import Tensor, nn

from mien.explain.aim import Aim
from mien.explain.methods.copies import mean_gradient
from mien.explain.options import Options


def smoothgrad(network: nn.Module, x_NCHW: Tensor, aim: Aim, options: Options) -> Tensor:
    """float32 N×C×H×W inputs to float32 N×H×W; heeds ``samples``, ``noise`` and ``seed``."""
    noise = gaussian_noise(x_NCHW, options)
    weights = [1 / options.samples] * options.samples
    return mean_gradient(network, x_NCHW, aim, weights, lambda i: x_NCHW + noise[i]).sum(dim=1)


def gaussian_noise(x_NCHW: Tensor, options: Options) -> Tensor:
    """samples×N×C×H×W; its deviation is ``noise`` times each picture's largest less smallest."""
    spread = options.noise * (x_NCHW.amax((1, 2, 3)) - x_NCHW.amin((1, 2, 3)))
    drawn = torch.stack([_normal(one, options) for one in x_NCHW.cpu()], dim=1)
    return drawn.to(x_NCHW) * spread[None, :, None, None, None]


def _normal(x_CHW: Tensor, options: Options) -> Tensor:
    content = hashlib.blake2b(x_CHW.float().contiguous().numpy().tobytes(), digest_size=7)
    content.update(str(options.seed).encode())
    chance = torch.Generator().manual_seed(int.from_bytes(content.digest(), "little"))
    return torch.randn((options.samples, *x_CHW.shape), generator=chance)
