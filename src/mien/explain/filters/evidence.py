"""The real evidence: one stream over the pictures finds what fires each filter.

Memory does not grow with the pictures, but for the peaks of a sample of them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.explain.filters.layer import AsInput, FilterLayer, Window, as_batch, listen
from mien.theory.untouched import untouched
from mien.types import Progress, silent

SAMPLE = 4096  # images whose peaks are kept, for quantiles
KEPT = 50  # strongest images kept for each filter
# Below this share of the layer's typical range a filter counts as constant.
CONSTANT = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What N pictures do to F filters.

    top_index, top_y, top_x: int64 F×k, the images of the largest activations, each image once,
        with the unit that it was; top_value: float32 F×k, falling.
    sample: int64 S, ascending indices; peaks: float32 S×F, the largest activation in each.
    mean_map: float32 F×h×w. low, high: float32 F, over everything.
    active_images, active_positions: float64 F, the shares of images (any position) and of
        positions at which what enters the gate, or the output where there is no gate, is above 0.
    mean_picture: float64 C×H×W. amplitude: float64 C×H×(W//2+1), the mean modulus of the discrete
        Fourier transform of the pictures less their own mean. contrast: mean standard deviation
        of a picture.
    """

    n: int
    top_index: NDArray[np.int64]
    top_y: NDArray[np.int64]
    top_x: NDArray[np.int64]
    top_value: NDArray[np.float32]
    sample: NDArray[np.int64]
    peaks: NDArray[np.float32]
    mean_map: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    active_images: NDArray[np.float64]
    active_positions: NDArray[np.float64]
    mean_picture: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    contrast: float

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Filters whose activation is the same everywhere, but for rounding."""
        span = self.high - self.low
        typical = float(np.median(span[span > 0])) if (span > 0).any() else 0.0
        return np.asarray(span <= CONSTANT * typical)


def collect(
    network: nn.Module,
    layer: FilterLayer,
    images: NDArray[np.uint8],
    *,
    as_input: AsInput,
    keep: int = KEPT,
    seed: int = 0,
    batch_size: int = 128,
    device: str = "cpu",
    progress: Progress = silent,
) -> Evidence:
    """Stream ``images`` (uint8 N×C×H×W, N ≥ 1) through the network up to the layer.

    Args:
        keep: how many of the strongest images of each filter to keep; at most N.
        seed: of the sample.
    """
    N = len(images)
    sample = np.arange(N)
    if N > SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(N, SAMPLE, replace=False))
    stream = _Stream(layer, min(keep, N), device)
    peaks = []
    with untouched(network), torch.no_grad():
        for begin in range(0, N, batch_size):
            pixels = as_batch(images[begin : begin + batch_size], device)
            out, entering = listen(network, layer, as_input(pixels))
            largest = stream.add(begin, pixels.double(), out.float(), entering.float())
            inside = sample[(sample >= begin) & (sample < begin + batch_size)] - begin
            peaks.append(largest[torch.from_numpy(inside)].cpu().numpy())
            progress("looking for what fires the filters", min(begin + batch_size, N), N)
    return stream.result(N, sample, np.concatenate(peaks))


def fields_of(
    images: NDArray[np.uint8], index: NDArray[np.int64], windows: list[Window]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The patches under ``windows`` (of one size) of ``images`` at ``index``, one each.

    Returns:
        uint8 M×C×height×width, 0 beyond the picture; and bool M×height×width, true inside of it.
    """
    size = (windows[0].height, windows[0].width)
    patches = np.zeros((len(index), images.shape[1], *size), dtype=np.uint8)
    inside = np.zeros((len(index), *size), dtype=np.bool_)
    for m, (i, window) in enumerate(zip(index.tolist(), windows, strict=True)):
        part = window.clipped(*images.shape[2:])
        rows, columns = part.slices
        y, x = part.top - window.top, part.left - window.left
        target = (slice(y, y + part.height), slice(x, x + part.width))
        patches[(m, slice(None), *target)] = images[i, :, rows, columns]
        inside[(m, *target)] = True
    return patches, inside


class _Stream:
    """The running numbers."""

    def __init__(self, layer: FilterLayer, keep: int, device: str) -> None:
        F, (h, w) = layer.filters, layer.grid
        self.keep, self.width = keep, w
        self.value = torch.zeros(0, F, device=device)
        self.index = torch.zeros(0, F, dtype=torch.int64, device=device)
        self.place = torch.zeros(0, F, dtype=torch.int64, device=device)
        self.sum = torch.zeros(F, h, w, dtype=torch.float64, device=device)
        self.low = torch.full((F,), torch.inf, device=device)
        self.high = torch.full((F,), -torch.inf, device=device)
        self.images = torch.zeros(F, dtype=torch.int64, device=device)
        self.positions = torch.zeros(F, dtype=torch.int64, device=device)
        self.per_image = 0
        self.picture: Tensor | float = 0.0
        self.amplitude: Tensor | float = 0.0
        self.contrast = 0.0

    def add(self, begin: int, pixels: Tensor, out: Tensor, entering: Tensor) -> Tensor:
        """Take a batch in; gives its peaks, N×F."""
        largest, place = out.flatten(2).max(dim=2)
        numbers = torch.arange(begin, begin + len(out), device=out.device)
        value = torch.cat([self.value, largest])
        # Stable, and earlier images stand first: of equals the first image wins.
        order = value.argsort(dim=0, descending=True, stable=True)[: self.keep]
        index = torch.cat([self.index, numbers[:, None].expand_as(largest)])
        self.value, self.index = value.gather(0, order), index.gather(0, order)
        self.place = torch.cat([self.place, place]).gather(0, order)
        self.sum += out.double().sum(dim=0)
        self.low = torch.minimum(self.low, out.amin(dim=(0, 2, 3)))
        self.high = torch.maximum(self.high, largest.amax(dim=0))
        active = entering.flatten(2) > 0
        self.images += active.any(dim=2).sum(dim=0)
        self.positions += active.sum(dim=(0, 2))
        self.per_image = active.shape[2]
        self.picture = self.picture + pixels.sum(dim=0)
        own_mean = pixels.mean(dim=(2, 3), keepdim=True)
        self.amplitude = self.amplitude + torch.fft.rfft2(pixels - own_mean).abs().sum(dim=0)
        self.contrast += float(pixels.flatten(1).std(dim=1, correction=0).sum())
        return largest

    def result(self, N: int, sample: NDArray[np.int64], peaks: NDArray[np.float32]) -> Evidence:
        assert isinstance(self.picture, Tensor)
        assert isinstance(self.amplitude, Tensor)
        place = self.place.T.cpu().numpy()
        return Evidence(
            n=N,
            top_index=self.index.T.cpu().numpy(),
            top_y=place // self.width,
            top_x=place % self.width,
            top_value=self.value.T.cpu().numpy(),
            sample=sample,
            peaks=peaks,
            mean_map=(self.sum / N).float().cpu().numpy(),
            low=self.low.cpu().numpy(),
            high=self.high.cpu().numpy(),
            active_images=(self.images / N).double().cpu().numpy(),
            active_positions=(self.positions / (N * self.per_image)).double().cpu().numpy(),
            mean_picture=(self.picture / N).cpu().numpy(),
            amplitude=(self.amplitude / N).cpu().numpy(),
            contrast=self.contrast / N,
        )
