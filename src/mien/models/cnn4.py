"""``cnn4``, the reference network: four convolutional blocks, then three fully connected layers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mien.errors import OptionError
from mien.models.blocks import ConvBlock, LinearBlock, Normalise, check_images


@dataclass(frozen=True, kw_only=True)
class CNN4Config:
    """What ``CNN4`` is made of.

    size: side of the square input in pixels, at least 16. channels: 1 grey, 3 colour.
    classes: number of outputs. standardise: bring each picture to zero mean and unit deviation by
    itself. widths, kernels: channels and kernel side (odd) of the four convolutions. hidden:
    widths of the first two fully connected layers. slope: leaky ReLU's. conv_dropout: share of
    channels dropped behind each block. linear_dropout: share of features. pool_first: pool before
    normalising (see ``ConvBlock``).
    """

    size: int = 48
    channels: int = 1
    classes: int = 7
    standardise: bool = False
    widths: tuple[int, int, int, int] = (32, 96, 256, 512)
    kernels: tuple[int, int, int, int] = (3, 3, 3, 3)
    hidden: tuple[int, int] = (256, 128)
    slope: float = 0.1
    conv_dropout: tuple[float, float, float, float] = (0.05, 0.05, 0.05, 0.05)
    linear_dropout: float = 0.3
    pool_first: bool = True

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a field cannot be used.
        """
        if not 16 <= self.size <= 1024:
            raise OptionError(f"size {self.size}: four poolings need 16 to 1024 pixels")
        if self.channels not in (1, 3):
            raise OptionError(f"channels {self.channels}: 1 (grey) or 3 (colour)")
        if self.classes < 2:
            raise OptionError(f"classes {self.classes}: at least 2 are needed")
        if min(*self.widths, *self.hidden) < 1:
            raise OptionError("widths and hidden: every layer needs at least one channel")
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels):
            raise OptionError(f"kernels {self.kernels}: odd numbers keep the size")
        if not all(0 <= rate < 1 for rate in (*self.conv_dropout, self.linear_dropout)):
            raise OptionError("conv_dropout and linear_dropout: from 0 to below 1")


class CNN4(nn.Module):
    """Eats ``uint8`` N×C×H×W pictures, gives ``float32`` N×K logits."""

    def __init__(self, config: CNN4Config) -> None:
        super().__init__()
        self.config = config
        self.normalise = Normalise(config.channels, each=config.standardise)
        inputs = (config.channels, *config.widths[:3])
        self.features = nn.Sequential(
            *(
                ConvBlock(i, o, k, slope=config.slope, dropout=d, pool_first=config.pool_first)
                for i, o, k, d in zip(
                    inputs, config.widths, config.kernels, config.conv_dropout, strict=True
                )
            )
        )
        flat = config.widths[3] * (config.size // 16) ** 2
        first, second = config.hidden
        self.head = nn.Sequential(
            LinearBlock(flat, first, slope=config.slope, dropout=config.linear_dropout),
            LinearBlock(first, second, slope=config.slope, dropout=config.linear_dropout),
            nn.Linear(second, config.classes),
        )

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """``uint8`` N×C×H×W, 0..255, to ``float32`` N×K logits.

        Raises:
            ValueError: the images have another size or number of channels.
        """
        check_images(image_NCHW, self.config.channels, self.config.size)
        x_NCHW = self.features(self.normalise(image_NCHW))
        # Flattened in C, H, W order whatever the memory format, so weights mean the same in both.
        logits_NK: Tensor = self.head(torch.flatten(x_NCHW, 1))
        return logits_NK.float()
