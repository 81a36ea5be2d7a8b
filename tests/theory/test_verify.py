"""The judge itself: it finds the worst element, and a planted error, and no error at a kink."""

import numpy as np
import pytest
from torch.nn import functional

from mien.theory import batchnorm as bn
from mien.theory.layers import leaky_relu_backward, leaky_relu_forward
from mien.theory.shapes import Window
from mien.theory.verify import autograd, central_differences, compare, near_zero
from mien.theory.windows import maxpool_backward, maxpool_forward, tied_inputs


def test_the_worst_element_is_named():
    theirs = np.array([[1.0, 2.0], [-8.0, 4.0]])
    ours = theirs + np.array([[0.0, 0.01], [0.0, -0.04]])
    found = compare("dx", ours, theirs)
    assert not found.right
    assert (found.index, found.ours, found.theirs) == ((1, 1), 3.96, 4.0)
    assert found.error == pytest.approx(0.04 / 8)
    assert "dx[1, 1]: 3.96 against 4, relative error 5.0e-03" in str(found)
    assert compare("dx", ours, theirs, tolerance=0.006).right


def test_shapes_and_numbers_that_are_none_are_faults():
    assert "shape is (2,), not (3,)" in str(compare("dx", [1, 2], [1, 2, 3]))
    for bad in (np.nan, np.inf):
        found = compare("dx", [1.0, bad], [1.0, 2.0])
        assert not found.right
        assert found.index == (1,)
        assert "not finite" in str(found)
    assert compare("y", [-np.inf, 1.0], [-np.inf, 1.0]).right
    assert compare("dx", [0.0, 0.0], [0.0, 0.0]).error == 0
    assert compare("dx", [], []).compared == 0


def test_kinks_are_counted_not_compared():
    x, dout = np.array([-1.0, 0.0, 2.0]), np.array([1.0, 1.0, 3.0])
    right_slope = dout * np.where(x >= 0, 1.0, 0.1)  # as good a choice at 0 as autograd's
    _, (theirs,) = autograd(lambda X: functional.leaky_relu(X, 0.1), [x], dout)
    assert not compare("dx", right_slope, theirs).right
    found = compare("dx", right_slope, theirs, kinks=near_zero(x))
    assert found.right
    assert (found.compared, found.kinks) == (2, 1)
    slopes = central_differences(lambda v: float((leaky_relu_forward(v, 0.1) * dout).sum()), x)
    ours = leaky_relu_backward(x, dout, 0.1)
    assert not compare("dx", ours, slopes, tolerance=1e-6).right
    assert compare("dx", ours, slopes, tolerance=1e-6, kinks=near_zero(x)).right


def test_ties_of_a_pooling_are_kinks_and_nothing_else_is():
    x = np.array([[[3.0, 3.0, 1.0, 5.0]]])
    window = [Window(kernel=2, stride=2)]
    forward = maxpool_forward(x, window)
    assert forward.ties.tolist() == [[[True, False]]]
    kinks = tied_inputs(x.shape, forward.ties, window)
    assert kinks.tolist() == [[[True, True, False, False]]]
    ours = maxpool_backward(x.shape, forward, [[[1.0, 2.0]]], window)
    other = np.array([[[0.0, 1.0, 0.0, 2.0]]])  # the other winner
    assert not compare("dx", ours, other).right
    assert compare("dx", ours, other, kinks=kinks).right


def test_a_wrong_term_is_found_unless_the_upstream_gradient_is_constant():
    """Why the upstream gradient must vary: with a constant one ∂l/∂x is 0 and much looks right."""
    rng = np.random.default_rng(0)
    x, gamma, beta = rng.normal(size=(8, 3)), rng.normal(size=3), rng.normal(size=3)
    for dout, found in ((rng.normal(size=(8, 3)), True), (np.ones((8, 3)), False)):
        step = bn.batchnorm_backward(bn.batchnorm_forward(x, gamma, beta), dout)
        without_var = step.through_x_hat + step.through_mean
        worst = np.abs(without_var - step.dx).max()
        assert (worst > 1e-3) == found
