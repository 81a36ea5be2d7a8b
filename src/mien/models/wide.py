"""``wide``, a compact network of few, wide layers behind a stem of cosines.

After Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds" (airbench96): overlapping patches are
decorrelated by fixed-size filters of both signs, then come groups of a convolution, pooling, and a
residual pair of convolutions, GELU in between. Where that work takes the filters from the training
images' principal components, these begin as the discrete cosine basis, to which the components of
natural pictures come close (Ahmed et al. 1974); the normalisation behind gives each the same
variance, which completes the whitening, and no statistics need to be carried.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mien.errors import OptionError
from mien.models.blocks import Normalise, check_any_size, middle


@dataclass(frozen=True, kw_only=True)
class WideConfig:
    """What ``Wide`` is made of.

    size: side of the square input in pixels that it is meant for, at least 16. channels: 1 grey,
    3 colour. classes: number of outputs. standardise: bring each picture to zero mean and unit
    deviation by itself. view: side of the middle part that is looked at in a picture of the full
    size, 0 for all of it: the crop that trains the network. widths: channels of the three groups,
    at 1/4, 1/8 and 1/16 of the size. dropout: share of the pooled features dropped.
    """

    size: int = 48
    channels: int = 1
    classes: int = 7
    standardise: bool = False
    view: int = 0
    widths: tuple[int, int, int] = (96, 256, 512)
    dropout: float = 0.2

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a field cannot be used.
        """
        if not 16 <= self.size <= 1024:
            raise OptionError(f"size {self.size}: four halvings need 16 to 1024 pixels")
        if self.channels not in (1, 3):
            raise OptionError(f"channels {self.channels}: 1 (grey) or 3 (colour)")
        if self.view and not 16 <= self.view <= 1024:
            raise OptionError(f"view {self.view}: 0 for all of the picture, or from 16 pixels on")
        if self.classes < 2:
            raise OptionError(f"classes {self.classes}: at least 2 are needed")
        if min(self.widths) < 1:
            raise OptionError("widths: every group needs at least one channel")
        if not 0 <= self.dropout < 1:
            raise OptionError("dropout: from 0 to below 1")


class CosineStem(nn.Module):
    """4×4 patches two pixels apart, in the cosine basis with both signs: N×32C×H/2×W/2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 32 * channels, 4, stride=2, padding=1, bias=False)
        self.normalisation = nn.BatchNorm2d(32 * channels)
        self.activation = nn.GELU()
        # Without storage there is nothing to fill, and torch would load its compiler to pretend.
        if not self.convolution.weight.is_meta:
            self._fill(channels)

    @torch.no_grad()
    def _fill(self, channels: int) -> None:
        basis = cosine_basis(4)
        self.convolution.weight.zero_()
        for channel in range(channels):
            own = self.convolution.weight[32 * channel : 32 * (channel + 1), channel]
            own.copy_(torch.cat((basis, -basis)))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """N×C×H×W to N×32C×⌊H/2⌋×⌊W/2⌋."""
        out: Tensor = self.activation(self.normalisation(self.convolution(x_NCHW)))
        return out


class WideGroup(nn.Module):
    """Convolution and 2×2 max-pooling, then two convolutions added to their input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.first_normalisation = nn.BatchNorm2d(outputs)
        self.first_activation = nn.GELU()
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_normalisation = nn.BatchNorm2d(outputs)
        self.second_activation = nn.GELU()
        self.third = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.third_normalisation = nn.BatchNorm2d(outputs)
        self.last_activation = nn.GELU()
        for convolution in (self.first, self.second, self.third):
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.third_normalisation.weight)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """N×inputs×H×W to N×outputs×⌊H/2⌋×⌊W/2⌋."""
        x_NCHW = self.first_activation(self.first_normalisation(self.pool(self.first(x_NCHW))))
        branch_NCHW = self.second_activation(self.second_normalisation(self.second(x_NCHW)))
        branch_NCHW = self.third_normalisation(self.third(branch_NCHW))
        out: Tensor = self.last_activation(branch_NCHW + x_NCHW)
        return out


class Wide(nn.Module):
    """Eats ``uint8`` N×C×H×W pictures, gives ``float32`` N×K logits.

    The mean over the last map takes any H and W of at least 16, so crops can train it.
    """

    any_size = True

    def __init__(self, config: WideConfig) -> None:
        super().__init__()
        self.config = config
        self.normalise = Normalise(config.channels, each=config.standardise)
        self.stem = CosineStem(config.channels)
        inputs = (32 * config.channels, *config.widths[:2])
        self.groups = nn.Sequential(
            *(WideGroup(i, o) for i, o in zip(inputs, config.widths, strict=True))
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.widths[2], config.classes)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """``uint8`` N×C×H×W, 0..255, to ``float32`` N×K logits.

        Raises:
            ValueError: the images are smaller than 16 pixels, or have other channels.
        """
        check_any_size(image_NCHW, self.config.channels)
        image_NCHW = middle(image_NCHW, self.config.size, self.config.view)
        x_NCHW = self.groups(self.stem(self.normalise(image_NCHW)))
        logits_NK: Tensor = self.head(self.dropout(torch.flatten(self.pool(x_NCHW), 1)))
        return logits_NK.float()


def cosine_basis(side: int) -> Tensor:
    """The orthonormal two-dimensional cosine basis (DCT-II) of a patch: side²×side×side."""
    position = torch.arange(side) + 0.5
    wave = torch.cos(math.pi / side * position[None, :] * torch.arange(side)[:, None])
    wave[0] *= math.sqrt(1 / side)
    wave[1:] *= math.sqrt(2 / side)
    return torch.einsum("ay,bx->abyx", wave, wave).reshape(side * side, side, side)
