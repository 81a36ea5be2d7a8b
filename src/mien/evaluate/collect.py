"""Run a classifier over pictures in memory and hand back its logits; the one file with torch.

Takes any ``nn.Module`` that eats ``uint8`` N×C×H×W and gives N×K scores; for one that wants
floats, put its preprocessing in front of it (``nn.Sequential(preprocess, model)``). Leaves the
model as it found it: training flags, buffers, ``.grad``, hooks, device, and torch's random
state (of the processor and of CUDA), on an error too. Knows nothing of data sets, files or scores.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from mien.errors import DataError, ModelFileError, OptionError
from mien.theory.parts import five_parts
from mien.theory.untouched import as_found
from mien.types import Progress, silent

PRECISIONS = ("fp32", "bf16")
RESAMPLINGS = ("bicubic", "bilinear")


def collect(
    model: nn.Module,
    images: NDArray[np.uint8] | torch.Tensor,
    *,
    device: torch.device | str,
    precision: str = "fp32",
    batch_size: int = 512,
    flip: bool = False,
    zooms: Sequence[float] = (1.0,),
    resampling: str = "bicubic",
    crops: int = 0,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """The model's logits in evaluation mode and without gradients: float32 N×K.

    Args:
        images: uint8 N×C×H×W, 0..255; an array may be read-only or memory-mapped.
        device: where to run; a model that is elsewhere is taken there and back.
        precision: ``fp32``, or ``bf16`` for autocast (weights stay float32).
        flip: average the softmax probabilities of each picture and its mirror image. The result
            is the logarithm of that mean, which is as good as logits: softmax of it gives the
            mean probabilities back.
        zooms: average over the picture at each of these scales (above 1: larger, its border cut
            off), of each its mirror image too where ``flip`` says so.
        resampling: of zoomed pictures, ``bicubic`` or ``bilinear``; that of training reads best.
        crops: average over five parts of this side instead, the middle and the four corners, for
            models that take pictures of any size; 0 for the whole picture.
        progress: told ``("logits", done, N)`` after each batch.

    Raises:
        DataError: no pictures.
        OptionError: a precision, batch size, zoom or crop that there is not.
        ModelFileError: the model gives something other than N×K finite scores.
        TypeError: the images are not uint8 N×C×H×W.
    """
    device = torch.device(device)
    _check_arguments(images, precision, batch_size)
    if not zooms or min(zooms) <= 0:
        raise OptionError(f"zooms {tuple(zooms)}: one or more, each above 0")
    if resampling not in RESAMPLINGS:
        raise OptionError(f"resampling {resampling!r}: there are {', '.join(RESAMPLINGS)}")
    if crops and not 0 < crops < min(images.shape[2:]):
        raise OptionError(f"crops of {crops} pixels: smaller than the pictures")
    N, parts = len(images), []
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
    with as_found(model), _on(model, device), torch.no_grad(), autocast:
        model.eval()
        for start in range(0, N, batch_size):
            batch = _tensor(images[start : start + batch_size]).to(device)
            seen = _views((batch if zoom == 1 else _zoomed(batch, zoom, resampling)
                           for zoom in zooms), flip, crops)  # fmt: skip
            scores = [_scores(model, view) for view in seen]
            logits = scores[0]
            if len(scores) > 1:
                logits = torch.stack(scores).log_softmax(dim=-1).logsumexp(dim=0)
                logits -= math.log(len(scores))
            parts.append(logits.cpu().numpy())
            progress("logits", min(start + batch_size, N), N)
    result = np.concatenate(parts)
    bad = np.flatnonzero(~np.isfinite(result).all(axis=1))
    if len(bad):
        raise ModelFileError(
            f"the model's scores are not finite for {len(bad)} of {N} images (first: number "
            f"{bad[0]}); it diverged: train it again with a lower learning rate"
        )
    return result


def _check_arguments(images: Any, precision: str, batch_size: int) -> None:
    if images.ndim != 4 or images.dtype not in (np.uint8, torch.uint8):
        raise TypeError(f"images are {images.dtype} {tuple(images.shape)}, not uint8 N×C×H×W")
    if len(images) == 0:
        raise DataError("there are no images to evaluate; choose a split that has some")
    if precision not in PRECISIONS:
        raise OptionError(f"precision {precision!r}: there are {', '.join(PRECISIONS)}")
    if batch_size < 1:
        raise OptionError(f"batch size {batch_size}: must be at least 1")


def _tensor(batch: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
    # Copied, since torch warns of arrays that may not be written to.
    return batch if isinstance(batch, torch.Tensor) else torch.from_numpy(np.array(batch))


def _views(wholes: Iterable[torch.Tensor], flip: bool, crops: int) -> Iterator[torch.Tensor]:
    """The pictures as they are looked at."""
    for whole in wholes:
        for view in five_parts(whole, crops) if crops else (whole,):
            yield view
            if flip:
                yield view.flip(-1)


def _zoomed(batch: torch.Tensor, zoom: float, resampling: str) -> torch.Tensor:
    """Enlarged (or, below 1, shrunk) about the centre; what lies outside repeats the border."""
    scale = torch.tensor([[1 / zoom, 0.0, 0.0], [0.0, 1 / zoom, 0.0]], device=batch.device)
    size = list(batch.shape)
    with torch.autocast(batch.device.type, enabled=False):
        grid = functional.affine_grid(scale.expand(len(batch), 2, 3), size, align_corners=False)
        pixels = functional.grid_sample(
            batch.float(), grid, mode=resampling, padding_mode="border", align_corners=False
        )
    return pixels.round().clamp(0, 255).to(torch.uint8)


def _scores(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    found = model(batch)
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(batch):
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise ModelFileError(
            f"the model gives {shape} for {len(batch)} images, not one row of scores for each; "
            "it is no classifier"
        )
    return found.float()


@contextlib.contextmanager
def _on(model: nn.Module, device: torch.device) -> Iterator[None]:
    """The model on ``device``; afterwards where it was."""
    home = _home(model, device)
    try:
        if home is not None:
            model.to(device)
        yield
    finally:
        if home is not None:
            model.to(home)


def _home(model: nn.Module, device: torch.device) -> torch.device | None:
    """Where the model is, if that is not ``device``."""
    homes = {tensor.device for tensor in chain(model.parameters(), model.buffers())}
    if all(h.type == device.type and device.index in (None, h.index) for h in homes):
        return None
    if len(homes) > 1:
        raise OptionError(f"the model is spread over {len(homes)} devices; gather it on one")
    return homes.pop()
