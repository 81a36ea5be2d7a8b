"""The synthetic evidence: pictures that one unit of a filter answers most strongly.

A picture is the inverse Fourier transform of coefficients times the mean amplitude spectrum of the
data, so that a step makes frequencies grow as they are frequent in the data (Olah, Mordvintsev,
Schubert 2017, "Feature Visualization"). Coefficients stay on a sphere, and the picture is shown at
the data's contrast: for a linear filter the ascent ends at the likeliest of all pictures with its
activation, under a Gaussian model of the data, and what does not move the filter dies out. Every
step looks at the picture shifted and scaled anew. Of several seeds the patterns of one filter push
each other apart.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import OptionError
from mien.explain.filters.evidence import Evidence
from mien.explain.filters.layer import AsInput, FilterLayer, Window, activations
from mien.theory.untouched import untouched
from mien.types import Progress, silent

_MOMENTUM = 0.8
_FIRST_STEP, _LAST_STEP = 0.5, 0.05  # of the sphere's radius


@dataclass(frozen=True, kw_only=True)
class PatternOptions:
    """seeds: patterns a filter. steps: of the ascent. diversity: weight of the mean squared
    likeness (cosine) among a filter's patterns against its activation in units of its best real
    one. shift: pixels either way, None for a sixteenth of the field. zoom: share either way.
    """

    seeds: int = 2
    steps: int = 64
    diversity: float = 0.3
    shift: float | None = None
    zoom: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a field cannot be used.
        """
        if not 1 <= self.seeds <= 64:
            raise OptionError(f"seeds {self.seeds}: 1 to 64")
        if not 1 <= self.steps <= 100_000:
            raise OptionError(f"steps {self.steps}: 1 to 100,000")
        if self.diversity < 0 or not 0 <= self.zoom < 0.5 or (self.shift or 0) < 0:
            raise OptionError("diversity and shift are 0 or more, zoom from 0 to below 0.5")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed}: 0 or more")


@dataclass(frozen=True, kw_only=True, eq=False)
class Patterns:
    """pictures: float32 D×S×C×height×width, 0..255, cut to the field of ``layer.unit``.

    reached: float32 D×S, the unit's activation for each whole picture, neither shifted nor scaled.
    """

    pictures: NDArray[np.float32]
    reached: NDArray[np.float32]


def synthesise(
    network: nn.Module,
    layer: FilterLayer,
    filters: NDArray[np.int64],
    evidence: Evidence,
    *,
    as_input: AsInput,
    options: PatternOptions | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Patterns:
    """Patterns of the ``filters`` (int64 D), all at once; filters do not touch each other.

    progress: told (stage, steps done, steps).
    """
    how = options or PatternOptions()
    canvas = _Canvas(evidence, layer.picture[1], device)
    unit, window = layer.unit, layer.window(*layer.unit)
    numbers = torch.from_numpy(np.repeat(filters, how.seeds)).to(device)
    scale = torch.from_numpy(np.repeat(_scale(evidence, filters), how.seeds)).to(device)
    z = _first(canvas, filters, how).to(device)
    momentum = torch.zeros_like(z)
    chance = torch.Generator().manual_seed(how.seed)

    def answer(pictures: Tensor) -> Tensor:
        out = activations(network, layer, as_input(pictures))
        return out[torch.arange(len(out), device=device), numbers, unit[0], unit[1]].float()

    with untouched(network):
        for step in range(how.steps):
            z.requires_grad_()
            pictures = canvas.picture(z)
            gain = answer(_moved(pictures, window, chance, how)) / scale
            loss = how.diversity * _likeness(pictures, window, how.seeds) - gain.sum()
            (slope,) = torch.autograd.grad(loss, z)
            momentum = _MOMENTUM * momentum - _unit_length(slope)
            pace = _FIRST_STEP * (_LAST_STEP / _FIRST_STEP) ** (step / max(1, how.steps - 1))
            z = _unit_length(z.detach() + pace * (1 - _MOMENTUM) * momentum)
            progress("drawing patterns", step + 1, how.steps)
        with torch.no_grad():
            pictures = canvas.picture(z)
            reached = answer(pictures)
    cut = _cut(pictures, window)
    shape = (len(filters), how.seeds)
    return Patterns(
        pictures=cut.reshape(*shape, *cut.shape[1:]).cpu().numpy(),
        reached=reached.reshape(shape).cpu().numpy(),
    )


def random_pictures(
    evidence: Evidence, count: int, *, width: int, seed: int = 0
) -> NDArray[np.float32]:
    """Pictures with the data's spectrum and contrast and random phases, float32 M×C×H×width."""
    canvas = _Canvas(evidence, width, "cpu")
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, *canvas.shape, generator=generator)
    return np.asarray(canvas.picture(_unit_length(z)).numpy())


class _Canvas:
    """From coefficients, float32 M×2×C×H×(W//2+1) on the unit sphere, to pictures 0..255."""

    def __init__(self, evidence: Evidence, width: int, device: str) -> None:
        amplitude = torch.from_numpy(evidence.amplitude).float()
        amplitude[:, 0, 0] = 0  # a picture's mean is the data's
        # Only these columns of the half spectrum hold both of each pair of opposite frequencies.
        amplitude[:, :, 0] *= 2**0.5
        if width % 2 == 0:
            amplitude[:, :, -1] *= 2**0.5
        self.amplitude = (amplitude / amplitude.max().clamp_min(1e-12)).to(device)
        self.level = float(evidence.mean_picture.mean())
        self.contrast = max(evidence.contrast, 1.0)
        self.size = (amplitude.shape[1], width)
        self.shape = (2, *amplitude.shape)

    def picture(self, z: Tensor) -> Tensor:
        flat = torch.fft.irfft2(torch.complex(z[:, 0], z[:, 1]) * self.amplitude, s=self.size)
        # The contrast is set, not learnt: a slope through it would undo the weight of the spectrum.
        spread = flat.detach().flatten(1).std(dim=1, correction=0).clamp_min(1e-12)
        flat = flat / spread[:, None, None, None]
        # Clamped softly, so that a pixel beyond white still hears which way is back.
        raw = self.level + self.contrast * flat
        clamped: Tensor = torch.nn.functional.hardtanh(raw, 0.0, 255.0)
        slope: Tensor = 0.01 * (raw - raw.detach())  # 0, with a slope
        return clamped + slope


def _first(canvas: _Canvas, filters: NDArray[np.int64], how: PatternOptions) -> Tensor:
    """Random coefficients that depend on the filter and the seed alone, not on the company."""
    drawn = []
    for number in filters.tolist():
        generator = torch.Generator().manual_seed(how.seed * 1_000_003 + number)
        drawn.append(torch.randn(how.seeds, *canvas.shape, generator=generator))
    return _unit_length(torch.cat(drawn))


def _scale(evidence: Evidence, filters: NDArray[np.int64]) -> NDArray[np.float32]:
    """From a filter's mean activation to its best, so that all filters climb alike."""
    mean = evidence.mean_map[filters].mean(axis=(1, 2))
    return np.asarray(np.maximum(evidence.high[filters] - mean, 1e-6), dtype=np.float32)


def _unit_length(z: Tensor) -> Tensor:
    length = z.flatten(1).norm(dim=1).clamp_min(1e-20)
    scaled: Tensor = z / length.reshape(-1, *[1] * (z.ndim - 1))
    return scaled


def _moved(
    pictures: Tensor, window: Window, chance: torch.Generator, how: PatternOptions
) -> Tensor:
    """All pictures shifted and scaled in one random way; their edges go on outside."""
    dy, dx, zoom = (2 * torch.rand(3, generator=chance) - 1).tolist()
    reach = max(1.0, min(window.height, window.width) / 16) if how.shift is None else how.shift
    H, W = pictures.shape[2:]
    factor = 1 + how.zoom * zoom
    rows = [[factor, 0.0, 2 * reach * dx / W], [0.0, factor, 2 * reach * dy / H]]
    theta = torch.tensor(rows, device=pictures.device).expand(len(pictures), 2, 3)
    grid = torch.nn.functional.affine_grid(theta, list(pictures.shape), align_corners=False)
    return torch.nn.functional.grid_sample(
        pictures, grid, padding_mode="border", align_corners=False
    )


def _likeness(pictures: Tensor, window: Window, seeds: int) -> Tensor:
    """Sum over filters of the mean squared positive cosine between its patterns."""
    if seeds == 1:
        return pictures.new_zeros(())
    part = window.clipped(*pictures.shape[2:])
    rows, columns = part.slices
    flat = pictures[:, :, rows, columns].flatten(1)
    flat = _unit_length(flat - flat.mean(dim=1, keepdim=True)).reshape(-1, seeds, flat.shape[1])
    cosine = (flat @ flat.transpose(1, 2)).clamp_min(0).square()
    off = cosine.sum(dim=(1, 2)) - cosine.diagonal(dim1=1, dim2=2).sum(dim=1)
    return (off / (seeds * (seeds - 1))).sum()


def _cut(pictures: Tensor, window: Window) -> Tensor:
    """The field; beyond the picture its edge goes on."""
    rows = torch.arange(window.top, window.top + window.height).clamp(0, pictures.shape[2] - 1)
    columns = torch.arange(window.left, window.left + window.width)
    columns = columns.clamp(0, pictures.shape[3] - 1)
    return pictures[:, :, rows.to(pictures.device)][:, :, :, columns.to(pictures.device)]
