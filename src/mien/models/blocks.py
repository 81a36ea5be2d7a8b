"""The layers that the networks are built of.

Tensor names carry shapes: N batch, C H W image, F features.
"""

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """``uint8`` pixels to floats of about zero mean and unit deviation.

    The mean and the standard deviation (0..255, one for each channel) are buffers, so they are
    saved with the weights: what trained is what serves. With ``each`` they are not used, and every
    picture comes to zero mean and unit deviation by its own, over all of its pixels and channels
    (contrast normalisation).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, *, each: bool = False) -> None:
        super().__init__()
        self.each = each
        self.register_buffer("mean", torch.full((1, channels, 1, 1), 127.5))
        self.register_buffer("std", torch.full((1, channels, 1, 1), 64.0))

    def fit(self, mean: list[float], std: list[float]) -> None:
        """Take the statistics of the training images, one number for each channel."""
        self.mean.copy_(torch.tensor(mean).reshape(self.mean.shape))
        self.std.copy_(torch.tensor(std).clamp_min(1.0).reshape(self.std.shape))

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """``uint8`` (or float 0..255) N×C×H×W to ``float32`` of the same shape."""
        x_NCHW = image_NCHW.float()
        if not self.each:
            return (x_NCHW - self.mean) / self.std
        x_NCHW = x_NCHW - x_NCHW.mean(dim=(1, 2, 3), keepdim=True)
        # A picture of one grey has no contrast to be divided by; below one step it is noise.
        variance = x_NCHW.square().mean(dim=(1, 2, 3), keepdim=True).clamp_min(1.0)
        return x_NCHW * variance.rsqrt()


class ConvBlock(nn.Module):
    """Convolution, 2×2 max-pooling, batch normalisation, leaky ReLU, dropout of whole channels.

    With ``pool_first`` the pooling stands right behind the convolution, where batch normalisation
    and leaky ReLU then touch a quarter of the values; both orders compute the same function where
    the normalisation's scale is positive, because max commutes with increasing functions.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        slope: float,
        dropout: float,
        pool_first: bool,
    ) -> None:
        super().__init__()
        # Batch normalisation subtracts the mean, so a bias here would have no effect.
        self.convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.normalisation = nn.BatchNorm2d(outputs)
        self.activation = nn.LeakyReLU(slope)
        self.dropout = nn.Dropout2d(dropout)
        self.pool_first = pool_first
        nn.init.kaiming_normal_(self.convolution.weight, a=slope, mode="fan_out")

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """N×inputs×H×W to N×outputs×⌊H/2⌋×⌊W/2⌋."""
        x_NCHW = self.convolution(x_NCHW)
        if self.pool_first:
            x_NCHW = self.activation(self.normalisation(self.pool(x_NCHW)))
        else:
            x_NCHW = self.pool(self.activation(self.normalisation(x_NCHW)))
        out: Tensor = self.dropout(x_NCHW)
        return out


class LinearBlock(nn.Module):
    """Fully connected layer, batch normalisation, leaky ReLU, dropout."""

    def __init__(self, inputs: int, outputs: int, *, slope: float, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.normalisation = nn.BatchNorm1d(outputs)
        self.activation = nn.LeakyReLU(slope)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_NF: Tensor) -> Tensor:
        """N×inputs to N×outputs."""
        out: Tensor = self.dropout(self.activation(self.normalisation(self.linear(x_NF))))
        return out


class SqueezeExcite(nn.Module):
    """Scales each channel by what the whole picture says of it (Hu et al. 2018)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.activation = nn.ReLU()
        self.expand = nn.Conv2d(channels // reduction, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """N×channels×H×W to the same shape."""
        scale = self.gate(self.expand(self.activation(self.squeeze(self.pool(x_NCHW)))))
        out: Tensor = x_NCHW * scale
        return out


def check_images(image_NCHW: Tensor, channels: int, size: int) -> None:
    """Refuse a batch that the network cannot take, before a layer fails with a riddle.

    Raises:
        ValueError: the shape is not N×channels×size×size.
    """
    if image_NCHW.ndim != 4 or tuple(image_NCHW.shape[1:]) != (channels, size, size):
        raise ValueError(
            f"images of shape N×{channels}×{size}×{size} are needed, "
            f"not {'×'.join(map(str, image_NCHW.shape))}"
        )


def check_any_size(image_NCHW: Tensor, channels: int) -> None:
    """The same for networks that average over the last map, and so take any side from 16 up.

    Raises:
        ValueError: the shape is not N×channels×H×W with H and W of at least 16.
    """
    shape = tuple(image_NCHW.shape)
    if len(shape) != 4 or shape[1] != channels or min(shape[2:]) < 16:
        raise ValueError(
            f"images of shape N×{channels}×H×W with 16 pixels or more are needed, "
            f"not {'×'.join(map(str, shape))}"
        )


def middle(image_NCHW: Tensor, size: int, view: int) -> Tensor:
    """Of pictures of side ``size`` the ``view`` × ``view`` pixels in the middle; others whole.

    A network that crops have trained sees in whole pictures what it never saw in training, and
    errs more often for it; smaller pictures are somebody's crops already. 0 for no such limit.
    """
    if not 0 < view < size or image_NCHW.shape[-1] != size:
        return image_NCHW
    start = (size - view) // 2
    return image_NCHW[..., start : start + view, start : start + view]
