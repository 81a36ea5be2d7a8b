"""The plain gradient of the score by the pixels (Simonyan, Vedaldi, Zisserman 2013,
arXiv:1312.6034), with its sign; colour channels are summed.
"""

import torch
from torch import Tensor, nn

from mien.errors import NetworkError
from mien.explain.aim import Aim
from mien.explain.options import Options


def gradient(network: nn.Module, x_NCHW: Tensor, aim: Aim, options: Options) -> Tensor:
    """float32 N×C×H×W inputs to float32 N×H×W gradients, in logits per unit of the input."""
    return input_gradient(network, x_NCHW, aim).sum(dim=1)


def input_gradient(network: nn.Module, x_NCHW: Tensor, aim: Aim) -> Tensor:
    """∂score/∂x, of the shape of x. The images of a batch do not mix in evaluation mode.

    Raises:
        NetworkError: the scores have no gradient (the network detaches them, or rounds).
    """
    x_NCHW = x_NCHW.detach().requires_grad_(True)
    return gradient_at(aim.score(network(x_NCHW).float()), x_NCHW)


def gradient_at(scores_N: Tensor, place: Tensor) -> Tensor:
    """∂(sum of scores)/∂place.

    Raises:
        NetworkError: the scores do not depend on it by any path with a gradient.
    """
    found = None
    if scores_N.requires_grad:
        (found,) = torch.autograd.grad(scores_N.sum(), place, allow_unused=True)
    if found is None:
        raise NetworkError(
            "the network's scores have no gradient (it detaches, rounds, or runs without "
            "gradients); occlusion needs none: --method occlusion"
        )
    return found
