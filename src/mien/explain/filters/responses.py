"""What the best line reaches: the answers of filters to Gabors, bars and edges."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.explain.filters.evidence import Evidence
from mien.explain.filters.layer import AsInput, FilterLayer, activations
from mien.explain.filters.shapes import bank
from mien.theory.untouched import untouched
from mien.types import Progress, silent

_SHIFT = 4


def silence(
    network: nn.Module, layer: FilterLayer, evidence: Evidence, *, as_input: AsInput,
    device: str = "cpu",
) -> NDArray[np.float32]:  # fmt: skip
    """The layer's output for a picture of the data's mean grey, float32 F×h×w."""
    C = evidence.mean_picture.shape[0]
    grey = torch.full((1, C, *layer.picture), float(evidence.mean_picture.mean()), device=device)
    with untouched(network), torch.no_grad():
        return np.asarray(activations(network, layer, as_input(grey))[0].float().cpu().numpy())


def best_line(
    network: nn.Module,
    layer: FilterLayer,
    evidence: Evidence,
    *,
    as_input: AsInput,
    batch_size: int = 256,
    device: str = "cpu",
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """The largest activation of each filter, float32 F, over the bank of shapes.

    Every shape stands in the field of ``layer.unit`` on the data's mean grey, at four places up
    to 4 pixels apart, and any unit may answer. Its extreme is twice the data's contrast, cut off
    at black and white.
    """
    unit, picture = layer.unit, layer.picture
    part = layer.window(*unit).clipped(*picture)
    shapes = torch.from_numpy(bank(part.height, part.width))
    places = [(dy, dx) for dy in (0, _SHIFT) for dx in (0, _SHIFT)]
    if layer.fields is not None and max(field.jump for field in layer.fields) <= _SHIFT:
        places = places[:1]
    level, swing = float(evidence.mean_picture.mean()), 2 * max(evidence.contrast, 1.0)
    C = evidence.mean_picture.shape[0]
    best = torch.full((layer.filters,), -torch.inf)
    rows, columns = part.slices
    done, total = 0, len(shapes) * len(places)
    with untouched(network), torch.no_grad():
        for dy, dx in places:
            for piece in torch.split(shapes, batch_size):
                canvas = torch.zeros(len(piece), 1, *picture)
                canvas[:, 0, rows, columns] = piece
                canvas = torch.roll(canvas, (dy, dx), dims=(2, 3))
                pixels = (level + swing * canvas).clamp(0, 255).expand(-1, C, -1, -1)
                out = activations(network, layer, as_input(pixels.to(device)))
                best = torch.maximum(best, out.float().amax(dim=(0, 2, 3)).cpu())
                done += len(piece)
                progress("showing lines to the filters", done, total)
    return np.asarray(best.numpy())
