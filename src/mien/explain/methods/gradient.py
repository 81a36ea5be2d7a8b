"""The plain gradient of the score by the pixels (Simonyan, Vedaldi, Zisserman 2013,
arXiv:1312.6034), with its sign; colour channels are summed.
"""

import torch
from torch import Tensor, nn

from mien.explain.aim import Aim
from mien.explain.options import Options


def gradient(network: nn.Module, x_NCHW: Tensor, aim: Aim, options: Options) -> Tensor:
    """float32 N×C×H×W inputs to float32 N×H×W gradients."""
    return input_gradient(network, x_NCHW, aim).sum(dim=1)


def input_gradient(network: nn.Module, x_NCHW: Tensor, aim: Aim) -> Tensor:
    """∂score/∂x, of the shape of x. The images of a batch do not mix in evaluation mode."""
    x_NCHW = x_NCHW.detach().requires_grad_(True)
    (found,) = torch.autograd.grad(aim.score(network(x_NCHW).float()).sum(), x_NCHW)
    return found
