"""The worked examples of the derivations: their inputs, and what the closed forms make of them.

Small enough to be done again by hand. Imports no torch.
"""

import numpy as np
from numpy.typing import NDArray

from mien.theory import batchnorm as bn
from mien.theory.shapes import Window, convolution_size
from mien.theory.softmax import class_losses, cross_entropy, jacobian

F64 = NDArray[np.float64]

# The worked examples' inputs: everything else follows from these.
WIDTH, KERNEL, STRIDE, PADDING = 48, 5, 2, 1
X = np.array([1.0, 2.0, 4.0, 9.0])
GAMMA, BETA, EPSILON, RATE = 2.0, 0.5, 0.1, 0.1
DOUT = np.array([0.3, -0.1, 0.5, 0.2])
Z = np.array([2.0, 1.0, 0.1])
Y = np.array([1.0, 0.0, 0.0])


def shape_numbers() -> dict[str, F64]:
    """The output size of the example's convolution."""
    size = convolution_size(
        WIDTH, Window(kernel=KERNEL, stride=STRIDE, before=PADDING, after=PADDING)
    )
    raw = (WIDTH + 2 * PADDING - KERNEL) / STRIDE
    given = {"W": WIDTH, "k": KERNEL, "s": STRIDE, "p": PADDING, "quotient": raw, "size": size}
    return {name: np.array(float(value)) for name, value in given.items()}


def batchnorm_numbers() -> dict[str, F64]:
    """Forward and backward pass of one feature over a batch of four."""
    x = X[:, None]
    forward = bn.batchnorm_forward(x, [GAMMA], [BETA], eps=EPSILON)
    back = bn.batchnorm_backward(forward, DOUT[:, None])
    gamma, beta = bn.descend([GAMMA], [BETA], back, RATE)
    named = {
        "x": x, "gamma": GAMMA, "beta": BETA, "eps": EPSILON,
        "dy": DOUT, "mean": forward.mean, "var": forward.var, "x_hat": forward.x_hat,
        "y": forward.y, "dx_hat": back.dx_hat, "dvar": back.dvar, "dmean": back.dmean,
        "dx": back.dx, "dgamma": back.dgamma, "dbeta": back.dbeta, "gamma_new": gamma,
        "beta_new": beta,
    }  # fmt: skip
    return {name: np.asarray(value, dtype=np.float64).ravel() for name, value in named.items()}


def softmax_numbers() -> dict[str, F64]:
    """Softmax with cross-entropy of three classes."""
    found = cross_entropy(Z, Y)
    return {
        "z": Z, "t": Y, "p": found.p, "jacobian": jacobian(Z), "loss": found.loss, "dp": found.dp,
        "dz": found.dz,
    }  # fmt: skip


def course_numbers() -> dict[str, F64]:
    """The course's form on the same logits."""
    found = class_losses(Z, Y)
    return {
        "losses": found.losses, "dLt_dp": found.dp, "diagonal": found.diagonal, "dLt_dz": found.dz,
        "cross": found.cross_terms, "dz_of_sum": found.dz_of_sum,
    }  # fmt: skip
