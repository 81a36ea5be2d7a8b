"""Convolutions by matrix products: held against float64 convolutions on whole numbers.

Whole numbers of up to 256 are exact in bf16 and their sums are in float32, so both sides must agree
to the last bit; a misplaced tap, stride or transposition cannot.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional

from mien.train.small_maps import fast_maps, small_maps

BF16 = {"device_type": "cpu", "dtype": torch.bfloat16}


def whole(*shape, seed):
    """Mostly zeros, some 1 and -1, so that every sum below stays within 256."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, shape, generator=generator).clamp(-1, 1).mul(
        torch.rand(shape, generator=generator) < 0.3
    ).double()  # fmt: skip


def gradients(image, weight, upstream, stride):
    image, weight = (t.clone().requires_grad_() for t in (image, weight))
    out = functional.conv2d(input=image, weight=weight, stride=stride, padding=1)
    out.backward(upstream.to(out.dtype))
    return out.detach(), image.grad, weight.grad


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (3, 5), (5, 5), (6, 6), (4, 9)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_a_convolution(stride, height, width, layout):
    inputs, outputs = 64, 72
    image = whole(3, inputs, height, width, seed=1)
    weight = whole(outputs, inputs, 3, 3, seed=2)
    shape = functional.conv2d(image, weight, stride=stride, padding=1).shape
    upstream = whole(*shape, seed=4)
    expected = gradients(image, weight, upstream, stride)
    assert max(float(value.abs().max()) for value in expected) <= 256
    assert float(expected[1].abs().max()) > 3  # sums of several, not a picture of zeros
    with torch.autocast(**BF16), small_maps():
        found = gradients(
            *(t.float().contiguous(memory_format=layout) for t in (image, weight)),
            upstream, stride,
        )  # fmt: skip
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=0)


def taken(image, layer, context, maps=small_maps):
    """Whether the convolution was taken over: its backward is the products'."""
    with context, maps():
        out = layer(image)
    node, seen = out.grad_fn, []
    while node is not None:
        seen.append(type(node).__name__)
        node = node.next_functions[0][0] if node.next_functions else None
    return "_UnfoldedBackward" in seen


@pytest.mark.parametrize(
    ("layer", "side", "expected"),
    [
        (nn.Conv2d(64, 64, 3, bias=False, padding=1), 6, True),
        (nn.Conv2d(64, 64, 3, bias=False, padding="same"), 6, False),
        (nn.Conv2d(64, 64, 3, padding=1), 6, False),
        (nn.Conv2d(64, 64, 3, bias=False, padding=1), 7, False),
        (nn.Conv2d(64, 64, 3), 6, False),
        (nn.Conv2d(64, 64, 1), 6, False),
        (nn.Conv2d(64, 64, 5, padding=2), 6, False),
        (nn.Conv2d(64, 64, 3, bias=False, padding=1, groups=2), 6, False),
        (nn.Conv2d(64, 64, 3, bias=False, padding=1, dilation=2), 6, False),
        (nn.Conv2d(64, 64, 3, bias=False, padding=1, stride=(1, 2)), 6, False),
        (nn.Conv2d(32, 64, 3, padding=1), 6, False),
    ],
)
def test_only_fitting_layers_are_taken_over(layer, side, expected):
    image = torch.randn(2, layer.in_channels, side, side)
    assert taken(image, layer, torch.autocast(**BF16)) is expected


def test_without_autocast_or_gradients_nothing_changes():
    layer, image = nn.Conv2d(64, 64, 3, bias=False, padding=1), torch.randn(2, 64, 4, 4)
    assert not taken(image, layer, torch.autocast(device_type="cpu", enabled=False))
    with torch.no_grad(), torch.autocast(**BF16), small_maps():
        inside = layer(image)
    with torch.no_grad(), torch.autocast(**BF16):
        outside = layer(image)
    torch.testing.assert_close(inside, outside, rtol=0, atol=0)


def test_frozen_weights_or_inputs_get_no_gradient():
    layer, image = nn.Conv2d(64, 64, 3, bias=False, padding=1), torch.randn(2, 64, 4, 4)
    layer.weight.requires_grad_(False)
    image.requires_grad_()
    with torch.autocast(**BF16), small_maps():
        layer(image).sum().backward()
    assert layer.weight.grad is None
    assert image.grad is not None


@pytest.mark.parametrize("amx", [True, False])
def test_products_are_taken_where_the_processor_has_amx(monkeypatch, amx):
    found = {"amx_bf16": amx, "avx512_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    layer = nn.Conv2d(64, 64, 3, bias=False, padding=1)
    image = torch.rand(2, 64, 4, 4)
    assert taken(image, layer, torch.autocast(**BF16), fast_maps) is amx
