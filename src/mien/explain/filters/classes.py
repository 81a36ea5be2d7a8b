"""What the logits lose without a filter: which classes it speaks for, and how loudly.

The effect of a filter on an image is the change of the logits when its map is replaced by its mean
over the data, position by position: logits with it less logits without it, centred to zero mean
over the classes, since softmax does not see what all logits share. A filter that fires for open
mouths also helps the quiet faces by being silent; to say what its firing speaks for, effects are
averaged over the tenth of the images in which it fires most.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.explain.filters.layer import AsInput, FilterLayer, as_batch, replaced
from mien.theory.untouched import untouched
from mien.types import Interval, Progress, silent

FIRING = 0.1  # the share of images that count as those in which a filter fires
FEWEST = 10
REPLICATES = 1000
_DIRECTIONS = 16
_COPIES = 1024  # pictures at once behind the layer


@dataclass(frozen=True, kw_only=True, eq=False)
class Screening:
    """influence: float64 F, root mean square over images of the first-order effect's length.

    heard: bool F, whether any logit of any image changes at all with the filter.
    """

    influence: NDArray[np.float64]
    heard: NDArray[np.bool_]


def screen(
    network: nn.Module,
    layer: FilterLayer,
    images: NDArray[np.uint8],
    mean_map: NDArray[np.float32],
    *,
    as_input: AsInput,
    seed: int = 0,
    batch_size: int = 128,
    device: str = "cpu",
    progress: Progress = silent,
) -> Screening:
    """All filters by gradient times (activation - mean), the first order of the ablation.

    With up to 16 classes exact in every logit; else along 16 random directions, whose mean square
    is the same.
    """
    mean = torch.from_numpy(mean_map).to(device)
    total = torch.zeros(layer.filters, dtype=torch.float64, device=device)
    heard = torch.zeros(layer.filters, dtype=torch.bool, device=device)
    with untouched(network):
        for begin in range(0, len(images), batch_size):
            x = as_input(as_batch(images[begin : begin + batch_size], device))
            kept: list[Tensor] = []

            def leaf(out: Tensor, kept: list[Tensor] = kept) -> Tensor:
                kept.append(out.detach().requires_grad_())
                return kept[0].clone()

            with replaced(layer, leaf):
                logits = network(x).float()
            for direction in _directions(logits.shape[1], seed).to(device):
                (slope,) = torch.autograd.grad(logits @ direction, kept, torch.ones_like(
                    logits[:, 0]), retain_graph=True)  # fmt: skip
                heard |= slope.abs().amax(dim=(0, 2, 3)) > 0
                effect = (slope * (kept[0] - mean)).sum(dim=(2, 3))
                total += effect.detach().double().square().sum(dim=0)
            progress("weighing the filters", min(begin + batch_size, len(images)), len(images))
    influence = (total / len(images)).sqrt().detach().cpu().numpy()
    return Screening(influence=influence, heard=heard.cpu().numpy())


def effects(
    network: nn.Module,
    layer: FilterLayer,
    images: NDArray[np.uint8],
    filters: NDArray[np.int64],
    firing: NDArray[np.bool_],
    mean_map: NDArray[np.float32],
    *,
    as_input: AsInput,
    batch_size: int = 128,
    device: str = "cpu",
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Ablation effects, float32 N×D×K, of the ``filters`` (int64 D) on the images' logits.

    Only where ``firing`` (bool N×D) says so; nan elsewhere. What lies before the layer runs once
    a batch: behind it go as many copies of an image as filters are silenced in it. A network with
    a path around the layer cannot take that; it runs once a filter.
    """
    mean = torch.from_numpy(mean_map).to(device)
    found: list[NDArray[np.float32]] = []
    wide: bool | None = None
    with untouched(network), torch.no_grad():
        for begin in range(0, len(images), batch_size):
            x = as_input(as_batch(images[begin : begin + batch_size], device))
            plain = network(x).float()
            if wide is None:
                wide = _can_widen(network, layer, x, plain)
            part = firing[begin : begin + batch_size]
            effect = np.full((*part.shape, plain.shape[1]), np.nan, dtype=np.float32)
            for rows, columns in _groups(part, _COPIES if wide else 0):
                row, number = torch.from_numpy(rows), torch.from_numpy(filters[columns])
                row, number = row.to(device), number.to(device)
                without = _without(network, layer, x, row, number, mean, wide=wide)
                lost = plain[row] - without
                lost = lost - lost.mean(dim=1, keepdim=True)
                effect[rows, columns] = lost.cpu().numpy()
            found.append(effect)
            done = min(begin + batch_size, len(images))
            progress("switching filters off", done, len(images))
    return np.concatenate(found)


def speaks(effects_MK: NDArray[np.float32], *, seed: int = 0) -> list[Interval]:
    """One filter's K mean effects on the logits, with 95 % bootstrap intervals over the images.

    Args:
        effects_MK: of ``effects``, of the M images in which it fires.
    """
    values = effects_MK.astype(np.float64)
    m = len(values)
    draws = np.random.default_rng(seed).multinomial(m, np.full(m, 1 / m), size=REPLICATES) / m
    low, high = np.quantile(draws @ values, [0.025, 0.975], axis=0)
    return [Interval(*map(float, row)) for row in zip(values.mean(axis=0), low, high, strict=True)]


def firing(peaks_ND: NDArray[np.float32]) -> NDArray[np.bool_]:
    """For each filter the tenth of the images with its largest peaks, but at least ten.

    bool N×D; of equal peaks the earlier image counts first.
    """
    N = len(peaks_ND)
    count = min(N, max(FEWEST, int(np.ceil(FIRING * N))))
    chosen = np.zeros(peaks_ND.shape, dtype=np.bool_)
    order = np.argsort(-peaks_ND, axis=0, kind="stable")[:count]
    np.put_along_axis(chosen, order, True, axis=0)
    return chosen


def _groups(
    firing_ND: NDArray[np.bool_], copies: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of image and filter, ``copies`` at a time; 0: filter by filter."""
    columns, rows = np.nonzero(firing_ND.T)
    if copies:
        for begin in range(0, len(rows), copies):
            yield rows[begin : begin + copies], columns[begin : begin + copies]
    else:
        for column in np.unique(columns):
            yield rows[columns == column], columns[columns == column]


def _directions(K: int, seed: int) -> Tensor:
    """Rows along which centred logits are read; their squares add up to the squared length."""
    centre = torch.eye(K) - 1 / K
    if K <= _DIRECTIONS:
        return centre
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (_DIRECTIONS, K), generator=generator) * 2.0 - 1
    rows: Tensor = signs @ centre / _DIRECTIONS**0.5
    return rows


def _without(
    network: nn.Module, layer: FilterLayer, x: Tensor, rows: Tensor, numbers: Tensor,
    mean: Tensor, *, wide: bool,
) -> Tensor:  # fmt: skip
    """M×K logits of the images ``rows`` with the filters ``numbers`` silenced, one in each."""

    def silence(out: Tensor) -> Tensor:
        many = out[rows] if wide else out.clone()
        many[torch.arange(len(many), device=many.device), numbers] = mean[numbers].to(many.dtype)
        return many

    with replaced(layer, silence):
        logits: Tensor = network(x if wide else x[rows]).float()
    return logits


def _can_widen(network: nn.Module, layer: FilterLayer, x: Tensor, plain: Tensor) -> bool:
    """Whether twice the batch behind the layer gives twice the logits, in the same order."""
    if len(x) < 2:
        return False  # a batch of one would broadcast over a path around the layer
    try:
        with replaced(layer, lambda out: out.repeat(2, 1, 1, 1)):
            twice = network(x).float()
    except RuntimeError:
        return False
    return twice.shape == (2 * len(plain), plain.shape[1]) and torch.allclose(
        twice, plain.repeat(2, 1), rtol=1e-3, atol=1e-4
    )
