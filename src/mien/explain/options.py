"""The settings of the attribution methods; each method says which of them it heeds."""

from dataclasses import dataclass

from torch import Tensor

from mien.errors import OptionError


@dataclass(frozen=True, kw_only=True, eq=False)
class Options:
    """What can be set; the defaults explain 3,589 pictures in under 5 minutes on two cores.

    layer: of Grad-CAM and LayerCAM, as ``named_modules`` calls it; empty: the last convolution.
    relu: of the same two: cut negative values off, as their papers do; else they keep their sign.
    samples, noise: of SmoothGrad; the noise's deviation as a share of each picture's range.
    steps: of integrated gradients. patch, stride: of occlusion, in pixels.
    baseline: what integrated gradients start from and occlusion covers with: a pixel 0..255, or
    None for each picture's own mean grey (of each channel). ``attribute`` hands it to the methods
    as a tensor in the network's units. seed: of everything random.
    """

    layer: str = ""
    relu: bool = False
    samples: int = 16
    noise: float = 0.15
    steps: int = 16
    patch: int = 12
    stride: int = 6
    baseline: int | Tensor | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a value that cannot be used.
        """
        for name, least in (("samples", 1), ("steps", 1), ("patch", 1), ("stride", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise OptionError(f"--{name} {getattr(self, name)}: at least {least}")
        if self.stride > self.patch:
            raise OptionError(
                f"--stride {self.stride}: some pixels would never be covered; "
                f"at most the patch, {self.patch}"
            )
        if not 0 < self.noise <= 10:
            raise OptionError(f"noise {self.noise}: a share of the range, above 0")
        if isinstance(self.baseline, int) and not 0 <= self.baseline <= 255:
            raise OptionError(f"--baseline {self.baseline}: a pixel is 0 to 255")


def background(x_NCHW: Tensor, options: Options) -> Tensor:
    """What takes the place of a picture's content, of the shape of x.

    By default each picture's own mean of each channel: a grey that is as bright as the picture, so
    that neither light nor dark pixels pass for content, and no picture's map depends on others.
    """
    if isinstance(options.baseline, Tensor):
        return options.baseline.to(x_NCHW).expand_as(x_NCHW)
    if options.baseline is not None:
        raise TypeError("the baseline is still a pixel; make it the network's input first")
    return x_NCHW.mean(dim=(2, 3), keepdim=True).expand_as(x_NCHW)
