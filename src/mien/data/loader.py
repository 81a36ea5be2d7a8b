"""Batches of one ``uint8`` tensor of pictures: who comes when, without worker processes.

Each epoch's order follows from the seed and the epoch's number alone, so any step can be found
again after an interruption, with any number of ranks. Legend: N images, C channels, H W size.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data.share import Share
from mien.errors import OptionError


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures and labels of one purpose (training, validation), in memory or memory-mapped.

    images: ``uint8`` M×C×H×W, shared by all purposes. index: ``int64`` N, which rows are meant.
    labels: ``int64`` N, of those rows. On a GPU ``images`` holds just the rows of ``index``.
    """

    images: Tensor
    index: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def of(
        cls,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        index: NDArray[np.int64],
        device: torch.device,
    ) -> "Pictures":
        """Point at ``index`` of arrays without copying pixels on the CPU; copy them to a GPU."""
        with warnings.catch_warnings():
            # A memory-mapped cache is read-only; nothing here writes to the pictures.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            pixels = torch.from_numpy(images)
        rows = torch.from_numpy(np.ascontiguousarray(index, dtype=np.int64))
        wanted = torch.from_numpy(np.ascontiguousarray(labels[index], dtype=np.int64))
        if device.type == "cpu":
            return cls(pixels, rows, wanted)
        on_device = pixels.index_select(0, rows).to(device)
        return cls(on_device, torch.arange(len(rows), device=device), wanted.to(device))

    def get(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures ``uint8`` n×C×H×W and labels ``int64`` n at positions ``chosen`` (0..N-1)."""
        chosen = chosen.to(self.index.device)
        return self.images.index_select(0, self.index[chosen]), self.labels[chosen]

    def subset(self, chosen: Tensor) -> "Pictures":
        """The same pictures cut down to positions ``chosen``."""
        chosen = chosen.to(self.index.device)
        return Pictures(self.images, self.index[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Sampler:
    """The order of one training run.

    total: number of images N. batch_size: images a step over all ranks together. seed: of the
    order. weights: ``float64`` N, chance of each image; None for each image once an epoch. ranks:
    how many processes share each batch.
    """

    total: int
    batch_size: int
    seed: int
    weights: Tensor | None = None
    ranks: int = 1

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: so few images that batch normalisation would see a single one on a rank.
        """
        least = 2 * self.ranks
        if self.batch_size < least:
            raise OptionError(
                f"batch size {self.batch_size}: batch normalisation needs 2 images for each of "
                f"{self.ranks} processes, {least} or more"
            )
        if self.total < least:
            raise OptionError(f"{self.total} training images: at least {least} are needed")

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return min(max(1, round(self.total / self.batch_size)), self.total // (2 * self.ranks))

    @property
    def smallest(self) -> int:
        """Images of the smallest batch, of all ranks together."""
        return self.total // self.steps

    def epoch(self, epoch: int, *, first: int = 0, rank: int = 0) -> Iterator[tuple[Tensor, int]]:
        """One rank's share of each batch from step ``first`` on: positions, size over all ranks."""
        for batch in self.batches(epoch, first=first):
            yield batch[Share.of(len(batch), self.ranks, rank).rows], len(batch)

    def batches(self, epoch: int, *, first: int = 0) -> Iterator[Tensor]:
        """The batches of all ranks together from step ``first`` on: positions, ``int64``.

        The batches differ by at most one image, so none is too small for batch normalisation and
        no image is left out; nor is one seen twice, whatever the number of ranks.
        """
        order = self._order(epoch)
        yield from torch.tensor_split(order, self.steps)[first:]

    def _order(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(mix(self.seed, epoch))
        if self.weights is None:
            return torch.randperm(self.total, generator=generator)
        # torch.multinomial takes at most 2^24 categories; inverting the distribution has no limit.
        cumulative = torch.cumsum(self.weights.double(), dim=0)
        draw = torch.rand(self.total, generator=generator, dtype=torch.float64) * cumulative[-1]
        return torch.searchsorted(cumulative, draw).clamp_max(self.total - 1)


def sampling_weights(labels: Tensor, classes: int, power: float) -> Tensor | None:
    """Chance of each image, ``float64`` N: its class's frequency to the power ``-power``.

    0 leaves the data as they are (None); 1 makes every class equally frequent.
    """
    if power == 0:
        return None
    counts = torch.bincount(labels, minlength=classes).clamp_min(1).double().cpu()
    weights: Tensor = counts.pow(-power)[labels.cpu()]
    return weights


def mix(*numbers: int) -> int:
    """A well-spread 63-bit seed from several numbers, the same on every machine."""
    sequence = np.random.SeedSequence([number & 0xFFFFFFFF for number in numbers])
    high, low = sequence.generate_state(2, np.uint32).tolist()
    return int(high << 32 | low) & 0x7FFFFFFFFFFFFFFF
