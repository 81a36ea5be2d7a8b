"""Each closed form against autograd (1e-9) and central differences (1e-6), 1,000 times.

Values have a spread of 0.01 to 100 and an offset of up to ten spreads; upstream gradients are
never constant, which would make batch normalisation's true gradient zero and hide errors.
"""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mien.errors import NetworkError
from mien.theory import batchnorm as bn
from mien.theory import layers, softmax, windows
from mien.theory.shapes import Window, convolution_size, pooling_size
from mien.theory.verify import autograd, central_differences, compare, near_zero

often = settings(
    max_examples=1000, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 4)


def same(name, ours, theirs, kinks=None):
    found = compare(name, ours, theirs, kinks=kinks)
    assert found.right, str(found)


def sloped(name, f, x, gradient, rng, skip=None):
    """The gradient at three random elements against central differences of ``f``.

    ``f`` should be 0 at x, or a difference quotient only shows the rounding of a large value.
    """
    x = np.asarray(x, dtype=np.float64)
    places = [tuple(int(rng.integers(n)) for n in x.shape) for _ in range(3)]
    places = [p for p in places if skip is None or not skip[p]]
    slopes = central_differences(f, x, places)
    scale = max(np.abs(gradient).max(), 1e-300)
    for place, slope in zip(places, slopes, strict=True):
        assert abs(slope - gradient[place]) <= 1e-6 * scale, (name, place, slope, gradient[place])


def values(rng, shape):
    spread = 10 ** rng.uniform(-2, 2)
    return spread * (rng.normal(size=shape) + rng.uniform(-10, 10))


@often
@given(seed=seeds, image=st.lists(sides, max_size=2), F=sides, N=st.integers(2, 6))
def test_batch_normalisation(seed, image, F, N):
    rng = np.random.default_rng(seed)
    shape = (N, F, *image)
    axes = (0, *range(2, len(shape)))
    x, gamma, beta, dout = (
        values(rng, shape),
        rng.normal(size=F),
        rng.normal(size=F),
        rng.normal(size=shape),
    )
    # With ε tiny beside the variance autograd itself loses digits: both divide by it.
    eps = 10 ** rng.uniform(-5, -1)
    forward = bn.batchnorm_forward(x, gamma, beta, eps=eps, axes=axes)
    ours = bn.batchnorm_backward(forward, dout)

    X = torch.tensor(x, requires_grad=True)
    G, B = (torch.tensor(v, requires_grad=True) for v in (gamma, beta))
    wide = (1, F, *[1] * len(image))
    mean = X.mean(axes, keepdim=True)
    var = (X - mean).square().mean(axes, keepdim=True)
    x_hat = (X - mean) / (var + eps).sqrt()
    for inner in (mean, var, x_hat):
        inner.retain_grad()
    y = G.reshape(wide) * x_hat + B.reshape(wide)
    y.backward(torch.tensor(dout))
    library = functional.batch_norm(X, None, None, G, B, training=True, eps=eps)

    same("y", forward.y, y.detach())
    same("y as in torch", forward.y, library.detach())
    for name, of in (("dx_hat", x_hat), ("dvar", var), ("dx", X), ("dgamma", G), ("dbeta", B)):
        scale_of = np.abs(ours.through_x_hat).max() if name == "dx" else 0
        theirs = of.grad.numpy()
        # dx is the rest of three terms that nearly cancel; its digits are those of the terms.
        gap = np.abs(getattr(ours, name) - theirs).max()
        assert gap <= 1e-9 * max(np.abs(theirs).max(), scale_of), (name, gap)
    terms = np.abs(ours.dx_hat / forward.std).sum(axis=axes).max()
    assert np.abs(ours.dmean - mean.grad.numpy()).max() <= 1e-9 * terms
    new = bn.descend(gamma, beta, ours, 0.1)
    same("γ", new[0], gamma - 0.1 * G.grad.numpy())
    same("β", new[1], beta - 0.1 * B.grad.numpy())

    def loss(v):
        return float((bn.batchnorm_forward(v, gamma, beta, eps=eps, axes=axes).y * dout).sum())

    first = (0,) * len(shape)
    slopes = central_differences(loss, x, [first], step=1e-4 * float(forward.std[first]))
    assert abs(slopes[0] - ours.dx[first]) <= 1e-6 * np.abs(ours.through_x_hat).max()
    of = lambda g, b: bn.batchnorm_forward(x, g, b, eps=eps, axes=axes).y - forward.y  # noqa: E731
    sloped("γ", lambda v: float((of(v, beta) * dout).sum()), gamma, ours.dgamma, rng)
    sloped("β", lambda v: float((of(gamma, v) * dout).sum()), beta, ours.dbeta, rng)


@often
@given(seed=seeds, N=sides, K=st.integers(2, 9), kind=st.sampled_from(["hot", "soft", "smooth"]))
def test_softmax_cross_entropy(seed, N, K, kind):
    rng = np.random.default_rng(seed)
    z = values(rng, (N, K))
    labels = rng.integers(K, size=N)
    y = {
        "hot": softmax.targets(labels, K),
        "soft": rng.dirichlet(np.ones(K), size=N),
        "smooth": softmax.targets(labels, K, smoothing=rng.uniform(0.01, 0.99)),
    }[kind]
    ours = softmax.cross_entropy(z, y)
    dout = rng.normal(size=N)
    loss, (dz,) = autograd(lambda Z: -(torch.tensor(y) * Z.log_softmax(-1)).sum(-1), [z], dout)
    same("loss", ours.loss, loss)
    same("dz", ours.dz * dout[:, None], dz)
    if kind == "smooth":
        return
    p = softmax.softmax(z)
    full = torch.autograd.functional.jacobian(lambda Z: Z.softmax(-1), torch.tensor(z[0]))
    same("Jacobian", softmax.jacobian(z[0]), full)
    mild = rng.normal(size=(N, K)) * rng.uniform(0.1, 4)
    still = softmax.cross_entropy(mild, y)
    sloped("z", lambda v: float((softmax.cross_entropy(v, y).loss - still.loss).sum()), mild,
           still.dz, rng)  # fmt: skip
    assert p.sum() == pytest.approx(N)


@often
@given(seed=seeds, K=st.integers(2, 8), hot=st.booleans())
def test_the_courses_form(seed, K, hot):
    """L_t of each class: its own derivative ŷ_t − y_t, and what the summed loss has besides."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=K) * rng.uniform(0.1, 4)
    y = softmax.targets(rng.integers(K), K) if hot else rng.uniform(size=K)
    Y = torch.tensor(y)

    def losses(Z):
        p = Z.softmax(-1)
        return -(torch.special.xlogy(Y, p) + torch.special.xlogy(1 - Y, 1 - p))

    ours = softmax.class_losses(z, y)
    every = torch.autograd.functional.jacobian(losses, torch.tensor(z)).numpy()
    same("L_t", ours.losses, losses(torch.tensor(z)))
    same("∂L_t/∂z_t", ours.dz, np.diag(every))
    same("∂L_t/∂z_t by the diagonal", ours.dp * ours.diagonal, np.diag(every))
    same("ΣL_t", ours.dz_of_sum, every.sum(axis=0))
    same("cross terms", ours.cross_terms, (every - np.diag(np.diag(every))).sum(axis=0))
    same("∂L_t/∂z_t is the gradient of the cross-entropy", ours.dz,
         softmax.cross_entropy(z, y / y.sum()).dz + y / y.sum() - y)  # fmt: skip
    sloped("z", lambda v: float(softmax.class_losses(v, y).losses.sum()), z, ours.dz_of_sum, rng)


def test_the_summed_losses_gradient_is_another():
    """The difference that must be stated: with these numbers, in the first digit."""
    ours = softmax.class_losses([1.0, 2.0, 0.5], [0.0, 1.0, 0.0])
    assert np.abs(ours.dz_of_sum - ours.dz).max() > 0.1
    assert ours.dz_of_sum.sum() == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(
        softmax.class_losses([0.3, -0.2], [1, 0]).dz_of_sum,
        2 * softmax.class_losses([0.3, -0.2], [1, 0]).dz,  # two classes: the same loss twice
    )


def test_large_logits_stay_finite():
    z = np.array([[1e4, -1e4, 0.0], [800.0, 0.0, 799.0], [-1e8, 1e8, 0.0]])
    y = softmax.targets([1, 2, 1], 3)
    ours = softmax.cross_entropy(z, y)
    np.testing.assert_allclose(ours.loss[[0, 2]], [2e4, 0])
    np.testing.assert_allclose(ours.dz[0], [1, -1, 0])
    course = softmax.class_losses(z, y)
    assert np.isfinite(course.dz).all()
    np.testing.assert_allclose(course.dz, ours.dz, atol=1e-15)
    sure = softmax.class_losses([40.0, 0.0], [1.0, 0.0])  # 1 − ŷ is below the rounding of 1
    assert sure.losses[0] == pytest.approx(np.exp(-40), rel=1e-9)


def random_windows(rng, image, *, ceil=False, pool=False, dilations=2):
    size_of = pooling_size if pool else convolution_size
    made = []
    for size in image:
        kernel = int(rng.integers(1, 4))
        padding = int(rng.integers(0, kernel // 2 + 1 if pool else 3))
        one = Window(
            kernel=kernel, stride=int(rng.integers(1, 4)), before=padding, after=padding,
            dilation=int(rng.integers(1, dilations + 1)), ceil=ceil,
        )  # fmt: skip
        try:
            size_of(size, one)
        except NetworkError:
            one = Window(kernel=1, stride=one.stride, ceil=ceil)
        made.append(one)
    return made


@often
@given(seed=seeds, image=st.lists(st.integers(1, 6), min_size=1, max_size=2), groups=sides,
       mode=st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))  # fmt: skip
def test_convolution(seed, image, groups, mode):
    rng = np.random.default_rng(seed)
    given_windows = random_windows(rng, image)
    if mode != "zeros":
        given_windows = [
            w if w.before < n else Window(kernel=1)
            for w, n in zip(given_windows, image, strict=True)
        ]
    x = values(rng, (2, groups * int(rng.integers(1, 3)), *image))
    kernel = (groups * int(rng.integers(1, 3)), x.shape[1] // groups)
    weight = rng.normal(size=(*kernel, *(w.kernel for w in given_windows)))
    bias = rng.normal(size=len(weight))
    conv = (functional.conv1d, functional.conv2d)[len(image) - 1]
    sides_of = [s for w in reversed(given_windows) for s in (w.before, w.after)]

    def reference(X, W, B):
        padded = functional.pad(X, sides_of, "constant" if mode == "zeros" else mode)
        return conv(padded, W, B, [w.stride for w in given_windows], 0,
                    [w.dilation for w in given_windows], groups)  # fmt: skip

    y = windows.convolution_forward(x, weight, bias, given_windows, groups=groups, mode=mode)
    dout = rng.normal(size=y.shape)
    theirs, (dx, dweight, dbias) = autograd(reference, [x, weight, bias], dout)
    ours = windows.convolution_backward(x, weight, dout, given_windows, groups=groups, mode=mode)
    same("y", y, theirs)
    same("dx", ours.dx, dx)
    same("dweight", ours.dweight, dweight)
    same("dbias", ours.dbias, dbias)
    f = lambda v: windows.convolution_forward(v, weight, None, given_windows, groups=groups,  # noqa: E731
                                              mode=mode)  # fmt: skip
    still = f(x)
    sloped("x", lambda v: float(((f(v) - still) * dout).sum()), x, ours.dx, rng)
    g = lambda v: windows.convolution_forward(x, v, None, given_windows, groups=groups,  # noqa: E731
                                              mode=mode)  # fmt: skip
    sloped("weight", lambda v: float(((g(v) - still) * dout).sum()), weight, ours.dweight, rng)


@often
@given(seed=seeds, image=st.lists(st.integers(1, 6), min_size=1, max_size=3), ceil=st.booleans(),
       coarse=st.booleans())  # fmt: skip
def test_max_pooling(seed, image, ceil, coarse):
    """Coarse values tie often: there autograd takes one of the winners, and so may we."""
    rng = np.random.default_rng(seed)
    given_windows = random_windows(rng, image, pool=True, ceil=ceil)
    shape = (2, 2, *image)
    x = rng.integers(-1, 2, size=shape).astype(float) if coarse else values(rng, shape)
    ours = windows.maxpool_forward(x, given_windows)
    if (ours.winner < 0).any():
        # A dilated window can lie wholly in padding; PyTorch's backward pass is undefined there.
        assert np.isneginf(ours.y[ours.winner < 0]).all()
        return
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[len(image) - 1]
    dout = rng.normal(size=ours.y.shape)
    theirs, (dx,) = autograd(
        lambda X: pool(
            X, [w.kernel for w in given_windows], [w.stride for w in given_windows],
            [w.before for w in given_windows], [w.dilation for w in given_windows], ceil_mode=ceil,
        ), [x], dout,
    )  # fmt: skip
    back = windows.maxpool_backward(shape, ours, dout, given_windows)
    kinks = windows.tied_inputs(shape, ours.ties, given_windows)
    same("y", ours.y, theirs)
    same("dx", back, dx, kinks)
    assert kinks.any() == ours.ties.any()
    unsure = windows.tied_inputs(shape, ours.margin < 1e-3 * np.abs(x).max(), given_windows)

    def moved(v):
        return float(((windows.maxpool_forward(v, given_windows).y - ours.y) * dout).sum())

    sloped("x", moved, x, back, rng, unsure)


@often
@given(seed=seeds, image=st.lists(st.integers(1, 6), min_size=2, max_size=2),
       include=st.booleans(), divisor=st.sampled_from([None, 3]), ceil=st.booleans())  # fmt: skip
def test_average_pooling(seed, image, include, divisor, ceil):
    rng = np.random.default_rng(seed)
    given_windows = random_windows(rng, image, pool=True, ceil=ceil, dilations=1)
    x = values(rng, (2, 2, *image))
    weights = windows.average_weights(image, given_windows, include_pad=include, divisor=divisor)
    y = windows.avgpool_forward(x, given_windows, weights)
    dout = rng.normal(size=y.shape)
    theirs, (dx,) = autograd(
        lambda X: functional.avg_pool2d(
            X, [w.kernel for w in given_windows], [w.stride for w in given_windows],
            [w.before for w in given_windows], ceil, include, divisor,
        ), [x], dout,
    )  # fmt: skip
    same("y", y, theirs)
    back = windows.avgpool_backward(x.shape, dout, given_windows, weights)
    same("dx", back, dx)
    sloped("x", lambda v: float(((windows.avgpool_forward(v, given_windows, weights) - y) * dout)
                                .sum()), x, back, rng)  # fmt: skip
    bins = tuple(int(n) for n in rng.integers(1, 5, size=2))
    dout = rng.normal(size=(2, 2, *bins))
    theirs, (dx,) = autograd(lambda X: functional.adaptive_avg_pool2d(X, bins), [x], dout)
    same("adaptive y", windows.adaptive_forward(x, bins), theirs)
    back = windows.adaptive_backward(x.shape, dout)
    same("adaptive dx", back, dx)
    still = windows.adaptive_forward(x, bins)
    sloped("adaptive", lambda v: float(((windows.adaptive_forward(v, bins) - still) * dout).sum()),
           x, back, rng)  # fmt: skip


@often
@given(seed=seeds, lead=st.lists(sides, min_size=1, max_size=3), I=sides, O=sides)
def test_linear(seed, lead, I, O):  # noqa: E741
    rng = np.random.default_rng(seed)
    x, weight, bias = values(rng, (*lead, I)), rng.normal(size=(O, I)), rng.normal(size=O)
    dout = rng.normal(size=(*lead, O))
    theirs, (dx, dweight, dbias) = autograd(functional.linear, [x, weight, bias], dout)
    ours = layers.linear_backward(x, weight, dout)
    same("y", layers.linear_forward(x, weight, bias), theirs)
    same("dx", ours.dx, dx)
    same("dweight", ours.dweight, dweight)
    same("dbias", ours.dbias, dbias)
    still = layers.linear_forward(x, weight, bias)
    f = lambda v: float(((layers.linear_forward(x, v, bias) - still) * dout).sum())  # noqa: E731
    sloped("weight", f, weight, ours.dweight, rng)
    f = lambda v: float(((layers.linear_forward(v, weight, bias) - still) * dout).sum())  # noqa: E731
    sloped("x", f, x, ours.dx, rng)


@often
@given(seed=seeds, shape=st.lists(sides, min_size=1, max_size=4), slope=st.floats(-1, 1),
       rate=st.floats(0, 1))  # fmt: skip
def test_leaky_relu_and_dropout(seed, shape, slope, rate):
    rng = np.random.default_rng(seed)
    x, dout = rng.normal(size=shape) * 10 ** rng.uniform(-2, 2), rng.normal(size=shape)
    x[rng.random(size=shape) < 0.1] = 0.0
    theirs, (dx,) = autograd(lambda X: functional.leaky_relu(X, slope), [x], dout)
    same("leaky y", layers.leaky_relu_forward(x, slope), theirs)
    # At 0 PyTorch takes the left slope; the formula says the same, and the kink is not compared.
    same("leaky dx", layers.leaky_relu_backward(x, dout, slope), dx, x == 0)
    still = layers.leaky_relu_forward(x, slope)
    sloped("leaky", lambda v: float(((layers.leaky_relu_forward(v, slope) - still) * dout).sum()),
           x, layers.leaky_relu_backward(x, dout, slope), rng, near_zero(x))  # fmt: skip

    torch.manual_seed(seed % 2**31)
    mask = functional.dropout(torch.ones(shape, dtype=torch.float64), rate).ne(0).double().numpy()
    torch.manual_seed(seed % 2**31)
    theirs, (dx,) = autograd(lambda X: functional.dropout(X, rate), [x], dout)
    same("dropout y", layers.dropout_forward(x, mask, rate), theirs)
    back = layers.dropout_backward(dout, mask, rate)
    same("dropout dx", back, dx)
    if rate < 1:
        still = layers.dropout_forward(x, mask, rate)
        sloped("dropout", lambda v: float(((layers.dropout_forward(v, mask, rate) - still) * dout)
                                          .sum()), x, back, rng)  # fmt: skip
