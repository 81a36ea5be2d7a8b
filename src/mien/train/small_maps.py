"""Convolutions on small maps as matrix products, where a processor trains in bf16.

oneDNN's AMX convolutions are tuned for large maps. On 2×2 to 6×6 with hundreds of channels, where
these networks do most of their work, they reach a tenth of the processor's peak, in the gradient of
the weights a twentieth; the product with the unfolded input (im2col: Chellapilla et al. 2006, "High
performance convolutional neural networks for document processing") reaches two thirds.
bench/small_maps.py has both in one run. The sums are the same, rounded to bf16 at the same places.

With AVX512-BF16 alone the products are the slower ones (the same script: 0.88 to 0.96 times as many
steps), so ``fast_maps()`` takes them only where the processor has AMX.

Knows nothing of training or networks: inside ``small_maps()`` each fitting ``conv2d`` call is done
so, whoever makes it, and everything else as always.

Legend: N batch, C inputs, O outputs, H W map, P = N·H'·W' places of the output.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mien.train.hardware import processor_capabilities

# Sides and channels within which the products won on a processor with AMX, batches of 125.
_LARGEST_MAP = 36
_LARGEST_FOR_INPUT = 25
_FEWEST_CHANNELS = 64


class small_maps(TorchFunctionMode):  # noqa: N801 - a context manager, called like a function
    """While it is entered, 3×3 convolutions of small maps are matrix products.

    Only on a CPU under bf16 autocast and where gradients are recorded; other calls pass through.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called by torch for each of its functions."""
        kwargs = kwargs or {}
        if func is functional.conv2d and (call := _fitting(*args, **kwargs)):
            image_NCHW, weight_OCkk, stride = call
            out: Tensor = _Unfolded.apply(  # type: ignore[no-untyped-call]
                image_NCHW.bfloat16(), weight_OCkk.bfloat16(), stride
            )
            return out
        return func(*args, **kwargs)


def fast_maps() -> AbstractContextManager[Any]:
    """``small_maps()`` where the processor has AMX for bf16, nothing elsewhere."""
    return small_maps() if processor_capabilities().get("amx_bf16") else nullcontext()


def _fitting(
    input: Tensor,  # named as torch names them
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, int] | None:
    """The call of ``conv2d`` with its stride, where it is one to take over; None elsewhere.

    One with a bias is not, since it would be rounded twice.
    """
    image_NCHW, weight_OCkk = input, weight
    if bias is not None or not image_NCHW.numel():
        return None
    outputs, channels, *kernel = weight_OCkk.shape
    usual = kernel == [3, 3] and _pair(padding) == (1, 1) and _pair(dilation) == (1, 1)
    if not usual or groups != 1 or min(outputs, channels) < _FEWEST_CHANNELS:
        return None
    steps = _pair(stride)
    if steps[0] != steps[1] or image_NCHW.ndim != 4:
        return None
    if image_NCHW.shape[2] * image_NCHW.shape[3] > _LARGEST_MAP:
        return None
    if image_NCHW.device.type != "cpu" or not torch.is_grad_enabled():
        return None
    if not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return None
    return image_NCHW, weight_OCkk, steps[0]


def _pair(value: Any) -> tuple[Any, Any]:
    return (value, value) if isinstance(value, int | str) else tuple(value)


class _Unfolded(torch.autograd.Function):
    """A 3×3 convolution with padding 1 of bf16 tensors, and its gradient, by matrix products."""

    @staticmethod
    def forward(ctx: Any, image_NCHW: Tensor, weight_OCkk: Tensor, stride: int) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            columns_PK = _columns(image_NCHW, stride)
            out_PO = columns_PK @ _rows(weight_OCkk).T
        ctx.stride = stride
        ctx.save_for_backward(image_NCHW, columns_PK, weight_OCkk)
        return _as_map(out_PO, image_NCHW, stride)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (gradient_NOHW,) = gradients
        image_NCHW, columns_PK, weight_OCkk = ctx.saved_tensors
        outputs, channels = weight_OCkk.shape[:2]
        for_image = for_weight = None
        if ctx.needs_input_grad[0]:
            for_image = _for_input(gradient_NOHW, image_NCHW, weight_OCkk, ctx.stride)
        if ctx.needs_input_grad[1]:
            places_PO = gradient_NOHW.permute(0, 2, 3, 1).reshape(-1, outputs)
            for_weight = (places_PO.T @ columns_PK).view(outputs, 3, 3, channels)
            for_weight = for_weight.permute(0, 3, 1, 2)
        return for_image, for_weight, None


def _for_input(
    gradient_NOHW: Tensor, image_NCHW: Tensor, weight_OCkk: Tensor, stride: int
) -> Tensor:
    """The gradient of the input: a convolution of the output's with the kernels turned by 180°."""
    if stride == 1 and image_NCHW.shape[2] * image_NCHW.shape[3] <= _LARGEST_FOR_INPUT:
        # Nine transpositions of matrices: one of the whole takes torch six times as long.
        taps = [weight_OCkk[:, :, 2 - row, 2 - column].T for row in range(3) for column in range(3)]
        turned_CK = torch.stack(taps, dim=1).reshape(weight_OCkk.shape[1], -1)
        return _as_map(_columns(gradient_NOHW, 1) @ turned_CK.T, image_NCHW, 1)
    given: Tensor = torch.ops.aten.convolution_backward(
        gradient_NOHW, image_NCHW, weight_OCkk, None, [stride, stride], [1, 1], [1, 1],
        False, [0, 0], 1, [True, False, False],
    )[0]  # fmt: skip
    return given


def _columns(image_NCHW: Tensor, stride: int) -> Tensor:
    """The 3×3 surroundings of each place, padded by zeros: P × 9·C, channels last."""
    batch, channels, *sides = image_NCHW.shape
    padded = functional.pad(image_NCHW.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()
    image, row, column, one = padded.stride()
    height, width = (_out(side, stride) for side in sides)
    return padded.as_strided(
        (batch, height, width, 3, 3, channels),
        (image, row * stride, column * stride, row, column, one),
    ).reshape(-1, 9 * channels)


def _rows(weight_OCkk: Tensor) -> Tensor:
    """The kernels in the order of ``_columns``: O × 9·C."""
    return weight_OCkk.permute(0, 2, 3, 1).reshape(len(weight_OCkk), -1)


def _as_map(out_PO: Tensor, image_NCHW: Tensor, stride: int) -> Tensor:
    batch, _, *sides = image_NCHW.shape
    height, width = (_out(side, stride) for side in sides)
    return out_PO.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _out(side: int, stride: int) -> int:
    return (side - 1) // stride + 1
