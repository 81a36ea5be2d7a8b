"""Attribution maps of many images in batches, by any method, for any classifier.

N images, C channels, H W height and width, K classes. A map is float32 H×W with its sign: where
brightening a pixel (gradients) or its presence (the others) speaks for the class, it is positive.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import OptionError
from mien.explain.aim import Aim
from mien.explain.methods.gradient import gradient
from mien.explain.options import Options
from mien.explain.untouched import untouched
from mien.types import Progress, silent


@dataclass(frozen=True, kw_only=True)
class Method:
    """run: network in evaluation mode, float N×C×H×W inputs, aim, options to float N×H×W maps.

    title: for figures. paper: where it comes from. passes: ``single`` where one forward and
    backward pass is enough, else ``many``.
    """

    run: Callable[[nn.Module, Tensor, Aim, Options], Tensor]
    title: str
    paper: str
    passes: str = "single"


METHODS: Mapping[str, Method] = {
    "gradient": Method(run=gradient, title="gradient", paper="Simonyan et al. 2013"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Attributions:
    """maps: float32 N×H×W, signed. targets: int64 N, the classes explained.

    rivals: int64 N or None. logits: float32 N×K. method: its name. notes: sentences a person
    should see.
    """

    maps: NDArray[np.float32]
    targets: NDArray[np.int64]
    logits: NDArray[np.float32]
    method: str
    rivals: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()


def as_float(pixels_NCHW: Tensor) -> Tensor:
    """``uint8`` pixels as floats 0..255, which mien's own networks take as they take bytes."""
    return pixels_NCHW.float()


def attribute(
    network: nn.Module,
    images: NDArray[np.uint8],
    *,
    method: str,
    targets: NDArray[np.int64] | None = None,
    rivals: NDArray[np.int64] | None = None,
    options: Options | None = None,
    as_input: Callable[[Tensor], Tensor] = as_float,
    batch_size: int = 128,
    device: str = "cpu",
    progress: Progress = silent,
) -> Attributions:
    """Maps of ``images`` (uint8 N×C×H×W) for ``targets``, by default the predicted classes.

    Args:
        as_input: makes the network's float input of uint8 pixels.
        progress: told (method, done, N) after each batch.

    Raises:
        OptionError: no such method.
    """
    if method not in METHODS:
        raise OptionError(f"--method {method}: one of {', '.join(METHODS)}")
    chosen, options = METHODS[method], options or Options()
    maps, logits, aims = [], [], []
    with untouched(network):
        for begin in range(0, len(images), batch_size):
            piece = slice(begin, begin + batch_size)
            x = as_input(torch.from_numpy(np.array(images[piece])).to(device))
            with torch.no_grad():
                scores = network(x).float()
            aim = _aim(scores, piece, targets, rivals).to(device)
            maps.append(chosen.run(network, x, aim, options).detach().float().cpu().numpy())
            logits.append(scores.cpu().numpy())
            aims.append(aim.targets.cpu().numpy())
            progress(chosen.title, min(begin + batch_size, len(images)), len(images))
    return Attributions(
        maps=np.concatenate(maps), logits=np.concatenate(logits), targets=np.concatenate(aims),
        rivals=rivals, method=method,
    )  # fmt: skip


def _aim(scores: Tensor, piece: slice, targets: Any, rivals: Any) -> Aim:
    own = scores.argmax(dim=1) if targets is None else torch.from_numpy(np.array(targets[piece]))
    against = None if rivals is None else torch.from_numpy(np.array(rivals[piece]))
    return Aim(own, against)
