"""Integrated gradients (Sundararajan, Taly, Yan 2017, arXiv:1703.01365).

The gradients along the straight line from a baseline to the picture, integrated by Gauss and
Legendre's rule, times the way gone. They sum to the score less the baseline's score
(completeness) but for the integration's error, which ``attribute`` reports.
"""

import numpy as np
from torch import Tensor, nn

from mien.explain.aim import Aim
from mien.explain.methods.copies import mean_gradient
from mien.explain.options import Options, background


def integrated_gradients(network: nn.Module, x_NCHW: Tensor, aim: Aim, options: Options) -> Tensor:
    """float32 N×C×H×W inputs to float32 N×H×W, in logits; heeds ``steps`` and ``baseline``."""
    places, weights = np.polynomial.legendre.leggauss(options.steps)
    ways = ((1 + places) / 2).tolist()  # from -1..1 to 0..1
    start = background(x_NCHW, options)
    way = x_NCHW - start
    mean = mean_gradient(
        network, x_NCHW, aim, (weights / 2).tolist(), lambda i: start + ways[i] * way
    )
    return (mean * way).sum(dim=1)
