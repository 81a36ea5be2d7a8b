"""Pictures of one batch blended or pasted together: mixup and cutmix.

Zhang et al. 2018, "mixup: beyond empirical risk minimization"; Yun et al. 2019, "CutMix". Both are
meant to be followed by a clean last phase (``until``), in which the network settles on pictures as
they are. Knows nothing of labels: it says who was mixed with whom, and how much.

Legend: N batch, C channels, H W image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mien.data.share import Draws, Share
from mien.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class MixConfig:
    """mixup, cutmix: chance that a picture is blended with another, or gets a rectangle of it.

    share: the greatest share of the other picture; each picture's own is drawn evenly from 0 to
    that. until: share of all training steps after which nothing is mixed any more.
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    share: float = 0.5
    until: float = 0.8

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: chances that are none or add up to more than 1, or a share outside 0..0.5.
        """
        if min(self.mixup, self.cutmix) < 0 or self.mixup + self.cutmix > 1:
            raise OptionError("mixing.mixup and mixing.cutmix: chances, together at most 1")
        if not 0 < self.share <= 0.5:
            raise OptionError(f"mixing.share {self.share}: above 0, at most 0.5")
        if not 0 <= self.until <= 1:
            raise OptionError(f"mixing.until {self.until}: from 0 to 1")

    def active(self, position: float) -> bool:
        """Whether anything is mixed at ``position``, 0 to 1 from the first step to the last."""
        return self.mixup + self.cutmix > 0 and position < self.until


@dataclass(frozen=True, eq=False)
class Mixed:
    """A mixed batch. images: ``float32`` N×C×H×W, 0..255.

    partner: ``int64`` N, the row of the pictures given that each was mixed with. share: ``float32``
    N, the partner's share of it; 0 where it was left alone.
    """

    images: Tensor
    partner: Tensor
    share: Tensor


def mix_pictures(
    image_NCHW: Tensor,
    config: MixConfig,
    generator: torch.Generator,
    share: Share | None = None,
) -> Mixed:
    """Mix each picture of a batch with the one before it, which is as good as a random one.

    image_NCHW: ``uint8``, in random order, on the generator's device. share: which rows of a larger
    batch these are; each is mixed as it would be among all of them. A neighbour is not mixed itself
    and is left out of what comes back.
    """
    draws = Draws(generator, len(image_NCHW), share)
    n = share.own if share else len(image_NCHW)
    # With a neighbour behind the own rows this is one row too many at the end.
    partner = torch.arange(len(image_NCHW), device=generator.device).roll(1)[:n]
    pictures = image_NCHW.float()
    own, other = pictures[:n], pictures[partner]
    draw, most = draws.rand(before=(2,))[:, :n]
    blended, pasted = (
        draw < config.mixup,
        (draw >= config.mixup) & (draw < config.mixup + config.cutmix),
    )
    most = most * config.share
    mask = _rectangles(image_NCHW.shape[-2:], most * pasted, draws)
    weight = torch.where(pasted[:, None, None], mask.float(), (most * blended)[:, None, None])
    return Mixed(
        torch.lerp(own, other, weight[:, None]),
        partner,
        weight.mean(dim=(1, 2)),
    )


def _rectangles(shape: torch.Size, area_N: Tensor, draws: Draws) -> Tensor:
    """Masks N×H×W of rectangles that cover a share ``area_N`` of the picture, anywhere inside."""
    place = draws.rand(1, before=(2,))[:, : len(area_N)]
    inside = []
    for length, where in zip(shape, place, strict=True):
        side = area_N.sqrt()[:, None] * length
        start = where * (length - side)
        centre = torch.arange(length, device=draws.device) + 0.5
        inside.append((centre >= start) & (centre < start + side))
    mask: Tensor = inside[0][:, :, None] & inside[1][:, None, :]
    return mask
