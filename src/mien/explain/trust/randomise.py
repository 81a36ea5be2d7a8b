"""Weight randomisation, layer by layer (Adebayo et al. 2018): does a map show what was learned?

A layer is randomised by shuffling the values of each of its tensors: what was learned is lost,
while the distribution of the weights, and so the scale of what flows through the network, stays
(fresh draws would need to know each layer's initialiser). A normalisation behind a convolution
belongs to that layer, its running statistics shuffled along with its scale. ``cascade`` randomises
from the last layer down and keeps what was randomised; ``alone`` does one layer at a time.

The efficient variant: the images are dealt out among several random draws, so that one pass over
the images serves all of them, and the intervals draw both images and networks anew.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import NetworkError
from mien.explain.trust.similarity import between_images, spearman
from mien.theory.walk import walk
from mien.types import Progress, silent

# Maps of pictures uint8 N×C×H×W for classes int64 N by the network as it is now: N×H×W.
Explain = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[Any]]


@dataclass(frozen=True)
class Group:
    """A layer with weights, and the normalisations right behind it. name: of the weights."""

    name: str
    modules: tuple[nn.Module, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Randomised:
    """Similarities to the maps of the network as it was, from the last layer to the first.

    layers: their names. cascade, alone: L×N. draw: int64 N, which random draw each image met.
    between: N, similarity to the map of another image, by the network as it was.
    """

    layers: tuple[str, ...]
    cascade: NDArray[np.float64]
    alone: NDArray[np.float64]
    draw: NDArray[np.int64]
    between: NDArray[np.float64]


def layers(network: nn.Module, batch: Tensor) -> list[Group]:
    """The layers with weights in the order in which ``batch`` meets them.

    Raises:
        NetworkError: the network has no weights, or fails on ``batch``.
    """
    groups: list[Group] = []
    met: set[int] = set()
    for layer in walk(network, batch).layers:
        module = layer.module
        if module is None or id(module) in met or not any(True for _ in module.parameters()):
            continue
        met.add(id(module))
        if groups and all(p.ndim <= 1 for p in module.parameters()):
            groups[-1] = Group(groups[-1].name, (*groups[-1].modules, module))
        else:
            groups.append(Group(layer.name, (module,)))
    if not groups:
        raise NetworkError("the network has no weights in its layers: nothing to randomise")
    return groups


@contextlib.contextmanager
def shuffled(groups: Sequence[Group], seed: int) -> Iterator[None]:
    """The tensors of ``groups`` with their values shuffled; bit-identical afterwards.

    Restored after an exception too. Tensors of one module that are one value a channel (scale,
    shift, running statistics) are shuffled alike.
    """
    tensors = {id(t): t for group in groups for m in group.modules for t in _tensors(m)}
    kept = [(tensor, tensor.detach().clone()) for tensor in tensors.values()]
    generator = torch.Generator().manual_seed(seed)
    try:
        with torch.no_grad():
            for group in groups:
                for module in group.modules:
                    _shuffle(module, generator)
        yield
    finally:
        with torch.no_grad():
            for tensor, content in kept:
                tensor.copy_(content)


def randomisation(
    network: nn.Module,
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    explain: Explain,
    groups: Sequence[Group],
    *,
    draws: int = 4,
    seed: int = 0,
    stage: str = "randomisation",
    progress: Progress = silent,
) -> Randomised:
    """Similarity of each image's map to that of the network with randomised layers.

    explain: maps of the network in its present state; the targets stay those of the network as
    it was. images: at least two. progress: told (stage, done, total) after each pass.
    """
    before = explain(images, targets)
    N, L = len(images), len(groups)
    draw = np.arange(N) % min(draws, N)
    cascade, alone = np.empty((2, L, N))
    total, done = 2 * L * (draw.max() + 1), 0
    for number in range(draw.max() + 1):
        mine = np.flatnonzero(draw == number)
        for depth in range(L):
            layer = L - 1 - depth
            for kind, chosen in ((cascade, groups[layer:]), (alone, groups[layer : layer + 1])):
                with shuffled(chosen, _seed(seed, number)):
                    after = explain(images[mine], targets[mine])
                kind[depth, mine] = spearman(before[mine], after)
                done += 1
                progress(stage, done, int(total))
    return Randomised(
        layers=tuple(group.name for group in reversed(groups)), cascade=cascade, alone=alone,
        draw=draw, between=between_images(before),
    )  # fmt: skip


def _tensors(module: nn.Module) -> list[Tensor]:
    buffers = [b for b in module.buffers() if b.is_floating_point()]
    return [*module.parameters(), *buffers]


def _shuffle(module: nn.Module, generator: torch.Generator) -> None:
    channels: dict[int, Tensor] = {}
    for tensor in _tensors(module):
        if tensor.ndim == 1 and not any(p.ndim > 1 for p in module.parameters()):
            order = channels.setdefault(
                len(tensor), torch.randperm(len(tensor), generator=generator)
            )
        else:
            order = torch.randperm(tensor.numel(), generator=generator)
        flat = tensor.detach().flatten()
        tensor.copy_(flat[order.to(tensor.device)].reshape(tensor.shape))


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
