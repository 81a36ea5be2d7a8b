"""Deletion and insertion curves (Petsiuk, Das, Saenko 2018, "RISE"), many images at a time.

Deletion fills in what a map marks, the strongest first, and follows the target's probability: the
faster it falls, the better. Insertion starts from the filled picture and puts back. What is filled
in is the picture's own blur (or its mean), so that little is added that the network never saw.

Patches are ranked, not pixels: filling scattered pixels adds a texture that itself lowers the
probability, which favours maps for being noisy. A patch's strength is the sum of |map| over it;
ties are broken at random.

Fast because a map is ranked once, ranks are spread to pixels by one gather, every step of many
images is one comparison and one batch, and the whole and the empty picture are seen once for all
maps. N images, S steps, G patches, P pixels.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import OptionError
from mien.explain.attribution import as_float
from mien.explain.ready import fast_layout, run
from mien.theory.untouched import untouched
from mien.types import Progress, silent

FILLS = ("blur", "mean")


@dataclass(frozen=True, kw_only=True)
class CurveOptions:
    """steps: equal parts in which patches go. patch: side in pixels. fill: ``blur`` or ``mean``.

    The blur's deviation is an eighth of the side: no expression can be read in it. precision:
    ``fp32`` or ``bf16`` (autocast). batch_size: pictures a forward pass.
    """

    steps: int = 16
    patch: int = 4
    fill: str = "blur"
    seed: int = 0
    precision: str = "fp32"
    batch_size: int = 128

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a value that cannot be used.
        """
        if self.steps < 2 or self.patch < 1 or self.batch_size < 1:
            raise OptionError("curves need 2 steps or more, and a patch and batch of 1 or more")
        if self.fill not in FILLS:
            raise OptionError(f"fill '{self.fill}': one of {', '.join(FILLS)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """fractions: S+1, shares of the patches that went, 0..1. deletion, insertion: float32 N×(S+1).

    Probabilities 0..1 of the target at those shares; at share 1 insertion has the whole picture.
    """

    fractions: NDArray[np.float64]
    deletion: NDArray[np.float32]
    insertion: NDArray[np.float32]

    @property
    def deletion_area(self) -> NDArray[np.float64]:
        """Area under each deletion curve by trapezoids, N, 0..1; low is good."""
        return area(self.fractions, self.deletion)

    @property
    def insertion_area(self) -> NDArray[np.float64]:
        """Area under each insertion curve by trapezoids, N, 0..1; high is good."""
        return area(self.fractions, self.insertion)


def area(fractions: NDArray[Any], curves: NDArray[Any]) -> NDArray[np.float64]:
    """Areas under N curves over S+1 shares."""
    return np.asarray(np.trapezoid(np.asarray(curves, np.float64), fractions, axis=1))


def filled(images: NDArray[np.uint8], how: str = "blur") -> NDArray[np.uint8]:
    """What stands where a patch is deleted: N×C×H×W, each picture's blur or its channels' means."""
    if how == "mean":
        mean = images.mean(axis=(2, 3), keepdims=True).round().astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(mean, images.shape))
    deviation = images.shape[-1] / 8
    planes = [
        cv2.GaussianBlur(plane, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
        for plane in images.reshape(-1, *images.shape[2:])
    ]
    return np.stack(planes).reshape(images.shape)


@dataclass(eq=False)
class Prober:
    """Curves of any number of maps of the same images.

    network: any classifier. images: uint8 N×C×H×W. targets: int64 N. as_input: makes the
    network's input of uint8 pixels.
    """

    network: nn.Module
    images: NDArray[np.uint8]
    targets: NDArray[np.int64]
    options: CurveOptions = field(default_factory=CurveOptions)
    as_input: Callable[[Tensor], Tensor] = as_float

    def __post_init__(self) -> None:
        """Fill the pictures and see each whole and filled."""
        self._pixels = torch.from_numpy(np.array(self.images))
        self._filled = torch.from_numpy(filled(self.images, self.options.fill))
        height, width = self.images.shape[2], self.images.shape[3]
        self._patches = torch.from_numpy(patches(height, width, self.options.patch))
        self._goal = torch.from_numpy(np.array(self.targets))
        total, steps = int(self._patches.max()) + 1, min(self.options.steps, self._count())
        self._counts = torch.from_numpy(np.round(np.linspace(0, total, steps + 1)).astype(np.int32))
        with self._ready():
            self._whole = self._probabilities(self._pixels, self._goal)
            self._empty = self._probabilities(self._filled, self._goal)

    def curves(
        self, maps_NHW: NDArray[Any], *, stage: str = "curves", progress: Progress = silent
    ) -> Curves:
        """Deletion and insertion of ``maps_NHW``; ``progress`` is told (stage, done, N)."""
        N, inner = len(self.images), self._counts[1:-1]
        ranks = self._ranks(maps_NHW)
        gone, back = np.empty((2, N, len(inner)), dtype=np.float32)
        at_once = max(1, self.options.batch_size // max(2 * len(inner), 1))
        with self._ready():
            for begin in range(0, N, at_once):
                part = slice(begin, begin + at_once)
                found = self._part(part, ranks[part], inner)
                gone[part], back[part] = found[0], found[1]
                progress(stage, min(begin + at_once, N), N)
        whole, empty = self._whole.numpy()[:, None], self._empty.numpy()[:, None]
        return Curves(
            fractions=self._counts.numpy() / float(self._counts[-1]),
            deletion=np.concatenate([whole, gone, empty], axis=1),
            insertion=np.concatenate([empty, back, whole], axis=1),
        )

    def _part(self, part: slice, ranks_nP: Tensor, inner: Tensor) -> NDArray[np.float32]:
        pixels, fill, goal = self._pixels[part], self._filled[part], self._goal[part]
        n, S = len(pixels), len(inner)
        first_nSP = ranks_nP[:, None] < inner[None, :, None]
        first = first_nSP.reshape(n, S, 1, *pixels.shape[2:])
        pixels, fill = pixels[:, None], fill[:, None]
        both = torch.stack([torch.where(first, fill, pixels), torch.where(first, pixels, fill)])
        goals = goal[None, :, None].expand(2, n, S).reshape(-1)
        found = self._probabilities(both.reshape(-1, *self._pixels.shape[1:]), goals)
        return np.asarray(found.reshape(2, n, S).numpy())

    def _ranks(self, maps_NHW: NDArray[Any]) -> Tensor:
        """The turn at which each pixel goes, int16 N×P."""
        strength = torch.from_numpy(np.abs(np.asarray(maps_NHW, dtype=np.float32)))
        N, G = len(strength), self._count()
        sums = torch.zeros(N, G).index_add_(1, self._patches, strength.reshape(N, -1))
        # A stable sort behind a random permutation breaks ties at random, and the same each time.
        generator = torch.Generator().manual_seed(self.options.seed)
        shuffled = torch.rand(N, G, generator=generator).argsort(dim=1)
        inside = sums.gather(1, shuffled).argsort(dim=1, descending=True, stable=True)
        order = shuffled.gather(1, inside)
        turns = torch.arange(G, dtype=torch.int32).expand(N, G)
        ranks = torch.empty(N, G, dtype=torch.int32).scatter_(1, order, turns)
        return ranks[:, self._patches]

    @contextlib.contextmanager
    def _ready(self) -> Iterator[None]:
        x = self.as_input(self._pixels[:1]).float()  # where bytes go in, floats do as well
        with untouched(self.network), fast_layout(self.network, x) as layout:
            self._layout = layout
            yield

    def _count(self) -> int:
        return int(self._patches.max()) + 1

    def _probabilities(self, pixels: Tensor, goal: Tensor) -> Tensor:
        bf16 = self.options.precision == "bf16"
        found = []
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            for begin in range(0, len(pixels), self.options.batch_size):
                piece = slice(begin, begin + self.options.batch_size)
                x = self.as_input(pixels[piece]).contiguous(memory_format=self._layout)
                chances = run(self.network, x).softmax(dim=1)
                found.append(chances.gather(1, goal[piece, None])[:, 0])
        return torch.cat(found)


def patches(height: int, width: int, side: int) -> NDArray[np.int64]:
    """The patch 0..G-1 of each pixel, H·W; patches at the right and lower edge may be smaller."""
    rows, columns = np.arange(height) // side, np.arange(width) // side
    return np.asarray(rows[:, None] * (columns[-1] + 1) + columns[None], np.int64).reshape(-1)
