"""Fits a classifier to pictures in memory, briefly and without a run folder: a tool of other jobs.

For networks that are a means to an end: the one that learns shuffled labels, the ones for faces
whose label one region carries. No augmentation, dropout, label smoothing or weight decay.
N images, C channels, H W size, K classes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import NetworkError
from mien.train.hardware import choose_hardware
from mien.types import Progress, silent


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """epochs: at most. until: ends once this share of the pictures is known. seed: of the order.

    learning_rate: Adam's (Kingma and Ba 2014), falling along a cosine to a tenth.
    """

    epochs: int = 60
    until: float = 1.0
    batch_size: int = 64
    learning_rate: float = 1e-3
    seed: int = 0
    stage: str = "fitting"


def fit(
    network: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    options: FitOptions,
    *,
    as_input: Callable[[Tensor], Tensor] = lambda pixels: pixels,
    progress: Progress = silent,
) -> float:
    """Train ``network`` in place; gives the share of ``images`` that it knows, 0..1.

    The share is measured in evaluation mode after an epoch. The network ends in evaluation mode;
    torch's random state is as before.

    Raises:
        NetworkError: the loss is no longer a finite number.
    """
    still = [(m, m.p) for m in network.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        try:
            for module, _ in still:
                module.p = 0.0
            return _fit(network, images, labels, options, as_input, progress)
        finally:
            for module, rate in still:
                module.p = rate
            network.eval()


def _fit(
    network: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    options: FitOptions,
    as_input: Callable[[Tensor], Tensor],
    progress: Progress,
) -> float:
    goal = torch.from_numpy(np.array(labels))
    network.requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate, foreach=True)
    generator = torch.Generator().manual_seed(options.seed)
    steps = max(1, len(goal) // options.batch_size)
    total, done, known = options.epochs * steps, 0, 0.0
    for epoch in range(options.epochs):
        network.train()
        right = 0
        for batch in torch.tensor_split(torch.randperm(len(goal), generator=generator), steps):
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * _cosine(done / total)
            loss, hits = _step(network, as_input(_pixels(images, batch)), goal[batch])
            optimizer.step()
            optimizer.zero_grad()
            right, done = right + hits, done + 1
            progress(options.stage, done, total)
        if not math.isfinite(loss):
            raise NetworkError(f"{options.stage}: the loss is no longer a finite number")
        # Measuring costs a third of an epoch, and is of no use before the batches say it is near.
        if right >= 0.9 * options.until * len(goal) or epoch == options.epochs - 1:
            known = accuracy(network, images, labels, as_input=as_input)
            if known >= options.until:
                break
    progress(options.stage, total, total)
    return known


def _step(network: nn.Module, x: Tensor, goal: Tensor) -> tuple[float, int]:
    bf16 = choose_hardware(accelerator="cpu", precision="auto").precision == "bf16"
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        logits_NK = network(x)
    loss = functional.cross_entropy(logits_NK.float(), goal)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach()), int((logits_NK.argmax(1) == goal).sum())


def accuracy(
    network: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    as_input: Callable[[Tensor], Tensor] = lambda pixels: pixels,
) -> float:
    """The share 0..1 of pictures that the network has right, in evaluation mode and float32."""
    network.eval()
    right = 0
    with torch.no_grad():
        for batch in torch.split(torch.arange(len(labels)), 512):
            scores = network(as_input(_pixels(images, batch)))
            right += int((scores.argmax(1).numpy() == labels[batch.numpy()]).sum())
    return right / len(labels)


def _pixels(images: NDArray[np.uint8], index: Tensor) -> Tensor:
    return torch.from_numpy(np.array(images[index.numpy()])).contiguous(
        memory_format=torch.channels_last
    )


def _cosine(position: float) -> float:
    return 0.1 + 0.45 * (1 + math.cos(math.pi * position))
