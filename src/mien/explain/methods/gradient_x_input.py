"""Gradient times input (Shrikumar et al. 2016, arXiv:1605.01713): the linear share of each pixel.

Where the pixels are counted from zero, black can speak neither for nor against a class.
"""

from torch import Tensor, nn

from mien.explain.aim import Aim
from mien.explain.methods.gradient import input_gradient
from mien.explain.options import Options


def gradient_x_input(network: nn.Module, x_NCHW: Tensor, aim: Aim, options: Options) -> Tensor:
    """float32 N×C×H×W inputs to float32 N×H×W, in logits; colour channels are summed."""
    return (input_gradient(network, x_NCHW, aim) * x_NCHW).sum(dim=1)
