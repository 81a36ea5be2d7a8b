"""``residual``: a stride-1 stem, residual stages, mean pooling, one layer.

After He et al. 2016 ("Deep residual learning"; the plain two-convolution block), with the shortcut
of He et al. 2019 ("Bag of tricks": mean pooling before its 1×1 convolution, the last normalisation
of a branch begins at zero), squeeze-and-excitation (Hu et al. 2018) and stochastic depth (Huang et
al. 2016). The stem sees every pixel, then pools: on a processor the large picture is bound by
memory, so it has few channels, and the width lies where the picture is small.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mien.errors import OptionError
from mien.models.blocks import ConvBlock, Normalise, SqueezeExcite, check_any_size, middle


@dataclass(frozen=True, kw_only=True)
class ResidualConfig:
    """What ``Residual`` is made of.

    size: side of the square input in pixels that it is meant for, at least 16. channels: 1 grey,
    3 colour. classes: number of outputs. standardise: bring each picture to zero mean and unit
    deviation by itself. view: side of the middle part that is looked at in a picture of the full
    size, 0 for all of it: the crop that trains the network. stem: channels of the first
    convolution. widths: channels of the four stages, at 1/2, 1/4, 1/8 and 1/16 of the size. blocks:
    how many blocks each has. squeeze: reduction of squeeze-and-excitation, 0 for none. drop_path:
    chance that the last block is skipped for an image in training; those before it less, falling
    evenly to 0. dropout: share of the pooled features dropped.
    """

    size: int = 48
    channels: int = 1
    classes: int = 7
    standardise: bool = False
    view: int = 0
    stem: int = 32
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    blocks: tuple[int, int, int, int] = (1, 2, 2, 1)
    squeeze: int = 0
    drop_path: float = 0.1
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
        if min(self.stem, *self.widths) < 1:
            raise OptionError("stem and widths: every layer needs at least one channel")
        # A stranger's file may ask for a thousand million, which takes for ever to count up.
        if not all(1 <= number <= 100 for number in self.blocks):
            raise OptionError(f"blocks {self.blocks}: from 1 to 100 for each stage")
        if self.squeeze < 0 or self.squeeze > min(self.widths):
            raise OptionError(f"squeeze {self.squeeze}: 0, or up to the narrowest stage's width")
        if not (0 <= self.drop_path < 1 and 0 <= self.dropout < 1):
            raise OptionError("drop_path and dropout: from 0 to below 1")


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with normalisation, added to their input."""

    def __init__(
        self, inputs: int, outputs: int, *, stride: int, squeeze: int, drop_path: float
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_normalisation = nn.BatchNorm2d(outputs)
        self.first_activation = nn.ReLU()
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_normalisation = nn.BatchNorm2d(outputs)
        self.excite = SqueezeExcite(outputs, squeeze) if squeeze else nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride > 1:
            # Sides that are odd, as those of crops may be, round up as the convolution does.
            pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
            self.shortcut = nn.Sequential(
                *([pool] if stride > 1 else []),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
        # Of its own, since methods that follow a signal back take each module for one place.
        self.last_activation = nn.ReLU()
        self.drop_path = drop_path
        for convolution in (self.first, self.second):
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.second_normalisation.weight)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """N×inputs×H×W to N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
        branch_NCHW = self.first_activation(self.first_normalisation(self.first(x_NCHW)))
        branch_NCHW = self.excite(self.second_normalisation(self.second(branch_NCHW)))
        if self.training and self.drop_path:
            kept = torch.rand(len(x_NCHW), 1, 1, 1, device=x_NCHW.device) >= self.drop_path
            branch_NCHW = branch_NCHW * (kept / (1 - self.drop_path)).to(branch_NCHW.dtype)
        out: Tensor = self.last_activation(branch_NCHW + self.shortcut(x_NCHW))
        return out


class Residual(nn.Module):
    """Eats ``uint8`` N×C×H×W pictures, gives ``float32`` N×K logits.

    The mean over the last map takes any H and W of at least 16, so crops can train it.
    """

    any_size = True

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.config = config
        self.normalise = Normalise(config.channels, each=config.standardise)
        self.stem = ConvBlock(
            config.channels, config.stem, 3, slope=0.0, dropout=0.0, pool_first=True
        )
        stages, inputs, place = [], config.stem, 0
        for stage, (outputs, count) in enumerate(zip(config.widths, config.blocks, strict=True)):
            blocks = []
            for block in range(count):
                place += 1
                blocks.append(
                    ResidualBlock(
                        inputs,
                        outputs,
                        stride=2 if stage and not block else 1,
                        squeeze=config.squeeze,
                        drop_path=config.drop_path * place / sum(config.blocks),
                    )
                )
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(inputs, config.classes)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """``uint8`` N×C×H×W, 0..255, to ``float32`` N×K logits.

        Raises:
            ValueError: the images are smaller than 16 pixels, or have other channels.
        """
        check_any_size(image_NCHW, self.config.channels)
        image_NCHW = middle(image_NCHW, self.config.size, self.config.view)
        x_NCHW = self.stages(self.stem(self.normalise(image_NCHW)))
        logits_NK: Tensor = self.head(self.dropout(torch.flatten(self.pool(x_NCHW), 1)))
        return logits_NK.float()
