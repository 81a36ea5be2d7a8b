"""Every output-shape formula against what PyTorch makes, impossible layers included."""

import random
import warnings
from fractions import Fraction

import pytest
import torch
from torch import nn

from mien.errors import NetworkError
from mien.theory.formulas import predict
from mien.theory.shapes import PIXEL, Window, adaptive_bins, pooling_size, same_padding, union


def random_convolution(rng):
    rank = rng.choice((1, 2, 2, 3))
    pick = lambda low, high: tuple(rng.randint(low, high) for _ in range(rank))  # noqa: E731
    groups = rng.choice((1, 1, 2))
    padding = rng.choice(("same", "valid", *[pick(0, 4)] * 6))
    mode = rng.choice(("zeros", "zeros", "zeros", "reflect", "replicate", "circular"))
    stride = 1 if padding == "same" and rng.random() < 0.8 else pick(1, 4)
    make = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    channels = 2 * rng.randint(1, 2)
    given = channels if rng.random() < 0.95 else channels + 2
    return (
        lambda: make(channels, 2, pick(1, 5), stride, padding, pick(1, 3), groups,
                     padding_mode=mode),
        (rng.randint(1, 2), given, *pick(1, 9)),
    )  # fmt: skip


def random_pooling(rng):
    rank = rng.choice((1, 2, 2, 3))
    pick = lambda low, high: tuple(rng.randint(low, high) for _ in range(rank))  # noqa: E731
    kernel = pick(1, 5)
    stride = None if rng.random() < 0.2 else pick(1, 5)
    padding = tuple(rng.randint(0, k // 2 + (rng.random() < 0.1)) for k in kernel)
    ceil = rng.random() < 0.6
    if rng.random() < 0.5:
        make = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[rank - 1]
        one = (lambda t: t[0]) if rank == 1 else (lambda t: t)
        build = lambda: make(  # noqa: E731
            one(kernel), stride and one(stride), one(padding), one(pick(1, 3)), ceil_mode=ceil
        )
    else:
        make = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[rank - 1]
        build = lambda: make(kernel, stride, padding, ceil_mode=ceil)  # noqa: E731
    return build, (rng.randint(1, 2), 3, *pick(1, 9))


def random_other(rng):
    if rng.random() < 0.5:
        given, wanted = rng.randint(1, 5), rng.randint(1, 5)
        wanted = given if rng.random() < 0.7 else wanted
        middle = [rng.randint(1, 3) for _ in range(rng.randint(0, 2))]
        return lambda: nn.Linear(wanted, rng.randint(1, 5)), (2, *middle, given)
    outputs = rng.choice((rng.randint(1, 4), (None, 2), (rng.randint(1, 6), rng.randint(1, 3))))
    make = rng.choice((nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d))
    return lambda: make(outputs), (2, 3, rng.randint(1, 8), rng.randint(1, 8))


def outcome(build, shape):
    """PyTorch's output shape, or None where it refuses to build or to run the layer."""
    try:
        layer = build()
        with torch.no_grad():
            return layer, tuple(layer(torch.zeros(shape)).shape)
    except (RuntimeError, ValueError):
        return locals().get("layer"), None


def formula(layer, shape):
    """What the formulas give, or None where they refuse."""
    try:
        return predict(layer, shape).shape
    except NetworkError:
        return None


@pytest.mark.parametrize(
    ("kind", "count"), [(random_convolution, 1200), (random_pooling, 1000), (random_other, 300)]
)
def test_random_layers_have_pytorchs_shape(kind, count):
    rng = random.Random(kind.__name__)
    refused = unbuildable = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # 'same' with even kernels warns of a copy
        for _ in range(count):
            build, shape = kind(rng)
            layer, theirs = outcome(build, shape)
            if layer is None:  # PyTorch does not even build it: nothing to predict
                unbuildable += 1
                continue
            ours = formula(layer, shape)
            assert ours == theirs, f"{layer} on {shape}"
            refused += ours is None
    assert unbuildable < count * 0.05
    assert count * 0.02 < refused < count * 0.6


def test_unbuildable_same_padding_is_refused_by_the_formula_too():
    with pytest.raises(ValueError, match="same"):
        nn.Conv2d(1, 1, 3, stride=2, padding="same")
    with pytest.raises(NetworkError, match="stride 2"):
        same_padding(3, 1, stride=2)


def test_a_worked_ceil_mode():
    # 5 wide, kernel 2, stride 2: ⌈3/2⌉ + 1 = 3 windows; with 4 wide the third would start outside.
    assert pooling_size(5, Window(kernel=2, stride=2, ceil=True)) == 3
    assert pooling_size(4, Window(kernel=2, stride=3, ceil=True)) == 2
    assert pooling_size(3, Window(kernel=2, stride=3, ceil=True)) == 1


def test_refusals_show_the_arithmetic():
    with pytest.raises(NetworkError, match=r"spans 9 .* has 6 = 4 \+ 1 \+ 1"):
        predict(nn.Conv2d(1, 1, 5, padding=1, dilation=2), (1, 1, 4, 4))
    with pytest.raises(NetworkError, match=r"⌊\(2 \+ 0 \+ 0 − 1·\(3 − 1\) − 1\)/3⌋ \+ 1 = 0"):
        predict(nn.MaxPool2d(3), (1, 1, 2, 2))
    with pytest.raises(NetworkError, match="32 features, the last axis of its input has 31"):
        predict(nn.Linear(32, 4), (2, 31))
    with pytest.raises(NetworkError, match="normalises 8 channels, its input has 4"):
        predict(nn.BatchNorm2d(8), (1, 4, 5, 5))


def test_receptive_field_by_hand():
    # Two 3-convolutions, the second with stride 2: 3, then 3 + 2·1 = 5 pixels, jump 2.
    first = PIXEL.through(Window(kernel=3, before=1, after=1))
    second = first.through(Window(kernel=3, stride=2, before=1, after=1))
    assert (first.size, first.jump, first.centre) == (3, 1, 0)
    assert (second.size, second.jump, second.centre) == (5, 2, 0)
    # Pooling 2/2 of that: 5 + 1·2 = 7 pixels, jump 4, centred half a step further.
    third = second.through(Window(kernel=2, stride=2))
    assert (third.size, third.jump, third.centre) == (7, 4, 1)
    assert union([PIXEL, first]) == first
    assert union([first, second]) is None
    whole = PIXEL.through_bins(adaptive_bins(10, 1))
    assert (whole.low, whole.high) == (0, 9)
    assert PIXEL.through_bins(adaptive_bins(5, 2)).jump == Fraction(5, 2)
