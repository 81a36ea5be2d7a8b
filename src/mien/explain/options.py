"""The settings of the attribution methods; each method says which of them it heeds."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """layer: of Grad-CAM and LayerCAM, as ``named_modules`` calls it; empty: the last convolution.

    samples, noise: of SmoothGrad, noise as a share of each picture's range. steps: of integrated
    gradients. patch, stride: of occlusion, in pixels. seed: of everything random.
    """

    layer: str = ""
    samples: int = 16
    noise: float = 0.15
    steps: int = 16
    patch: int = 8
    stride: int = 4
    seed: int = 0
