"""The worked examples of the derivations: their inputs, and what the closed forms make of them.

Small enough to be done again by hand; or a network's own numbers. Imports no torch.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.theory import batchnorm as bn
from mien.theory.shapes import Window, convolution_size
from mien.theory.softmax import class_losses, cross_entropy, jacobian

F64 = NDArray[np.float64]
T = TypeVar("T")

# The worked examples' inputs: everything else follows from these.
WIDTH, KERNEL, STRIDE, PADDING = 48, 5, 2, 1
X = np.array([1.0, 2.0, 4.0, 9.0])
GAMMA, BETA, EPSILON, RATE = 2.0, 0.5, 0.1, 0.1
DOUT = np.array([0.3, -0.1, 0.5, 0.2])
Z = np.array([2.0, 1.0, 0.1])
Y = np.array([1.0, 0.0, 0.0])


def shape_numbers(
    width: int | None = None,
    kernel: int | None = None,
    stride: int | None = None,
    padding: int | None = None,
) -> dict[str, F64]:
    """The output size of a convolution; by default, here and below, the worked example's."""
    width, kernel = _or(width, WIDTH), _or(kernel, KERNEL)
    stride, padding = _or(stride, STRIDE), _or(padding, PADDING)
    size = convolution_size(
        width, Window(kernel=kernel, stride=stride, before=padding, after=padding)
    )
    raw = (width + 2 * padding - kernel) / stride
    given = {"W": width, "k": kernel, "s": stride, "p": padding, "quotient": raw, "size": size}
    return {name: np.array(float(value)) for name, value in given.items()}


def batchnorm_numbers(
    x: F64 | None = None,
    gamma: float | None = None,
    beta: float | None = None,
    eps: float | None = None,
    dy: F64 | None = None,
    rate: float | None = None,
) -> dict[str, F64]:
    """Forward and backward pass of one feature over a batch: ``x`` and ``dy`` are float64 m."""
    column = np.asarray(_or(x, X), dtype=np.float64)[:, None]
    upstream = np.asarray(_or(dy, DOUT), dtype=np.float64)
    gamma, beta, eps = _or(gamma, GAMMA), _or(beta, BETA), _or(eps, EPSILON)
    rate = _or(rate, RATE)
    forward = bn.batchnorm_forward(column, [gamma], [beta], eps=eps)
    back = bn.batchnorm_backward(forward, upstream[:, None])
    gamma_new, beta_new = bn.descend([gamma], [beta], back, rate)
    named = {
        "x": column, "gamma": gamma, "beta": beta, "eps": eps,
        "dy": upstream, "mean": forward.mean, "var": forward.var, "x_hat": forward.x_hat,
        "y": forward.y, "dx_hat": back.dx_hat, "dvar": back.dvar, "dmean": back.dmean,
        "dx": back.dx, "dgamma": back.dgamma, "dbeta": back.dbeta, "gamma_new": gamma_new,
        "beta_new": beta_new,
    }  # fmt: skip
    return {name: np.asarray(value, dtype=np.float64).ravel() for name, value in named.items()}


def softmax_numbers(z: F64 | None = None, y: F64 | None = None) -> dict[str, F64]:
    """Softmax with cross-entropy of float64 K logits ``z`` against targets ``y``."""
    z, y = (np.asarray(v, dtype=np.float64) for v in (_or(z, Z), _or(y, Y)))
    found = cross_entropy(z, y)
    return {
        "z": z, "t": y, "p": found.p, "jacobian": jacobian(z), "loss": found.loss, "dp": found.dp,
        "dz": found.dz,
    }  # fmt: skip


def course_numbers(z: F64 | None = None, y: F64 | None = None) -> dict[str, F64]:
    """The course's form on the same logits."""
    z, y = (np.asarray(v, dtype=np.float64) for v in (_or(z, Z), _or(y, Y)))
    found = class_losses(z, y)
    return {
        "losses": found.losses, "dLt_dp": found.dp, "diagonal": found.diagonal, "dLt_dz": found.dz,
        "cross": found.cross_terms, "dz_of_sum": found.dz_of_sum,
    }  # fmt: skip


def _or(given: T | None, example: T) -> T:
    return example if given is None else given


def worked_numbers(key: str, given: Mapping[str, Any]) -> dict[str, F64]:
    """The numbers of the derivation ``key`` from a network's own inputs.

    given: the arguments of that derivation's function above; lists stand for arrays.

    Raises:
        KeyError: no such derivation. TypeError: other arguments.
    """
    functions: dict[str, Callable[..., dict[str, F64]]] = {
        "shape": shape_numbers, "batchnorm": batchnorm_numbers, "softmax": softmax_numbers,
        "course": course_numbers,
    }  # fmt: skip
    arguments = {name: value for name, value in given.items() if name != "about"}
    return functions[key](**arguments)
