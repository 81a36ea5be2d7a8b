"""What hiding a region does to a probability, beside hiding as much at a random place.

N images, R regions, H W height and width. A region is hidden by the blurred picture (a Gaussian
of a tenth of the side): its features go, its brightness stays, and no hard-edged patch appears
that no training picture had. The control hides the same shape, moved to a random place of the
picture (round its edges), so that size alone cannot make a region look important.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.explain.regions.template import Masks
from mien.theory.untouched import untouched
from mien.types import Progress, silent

BLUR = 0.1  # of the picture's side


@dataclass(frozen=True, kw_only=True, eq=False)
class Hidden:
    """change, elsewhere: float64 N×R, what hiding the region, or as much at a random place, adds
    to the probability of the class (less its rival's, where there is one): -1..1, -2..2 with
    rivals; nan where the region is empty.
    """

    change: NDArray[np.float64]
    elsewhere: NDArray[np.float64]


def hide(
    network: nn.Module,
    images: NDArray[np.uint8],
    regions: Masks,
    targets: NDArray[np.int64],
    *,
    rivals: NDArray[np.int64] | None = None,
    as_input: Callable[[Tensor], Tensor] = torch.Tensor.float,
    draws: int = 1,
    seed: int = 0,
    batch_size: int = 128,
    device: str = "cpu",
    progress: Progress = silent,
) -> Hidden:
    """Run ``images`` (uint8 N×C×H×W) with each region hidden in turn.

    Args:
        regions: bool R×H×W, or N×R×H×W.
        targets, rivals: int64 N, whose probability counts, and whose is taken off.
        draws: random places for each image and region; their mean is ``elsewhere``.
        progress: told ("hiding regions", done, N) after each batch.
    """
    N, R = len(images), regions.shape[-3]
    change, elsewhere = np.full((N, R), np.nan), np.full((N, R), np.nan)
    rng = np.random.default_rng(seed)
    # Drawn for all at once, so that the batch size changes nothing.
    moves = rng.integers(images.shape[-2:], size=(N, R, draws, 2))
    with untouched(network), torch.no_grad():
        for begin in range(0, N, batch_size):
            piece = slice(begin, begin + batch_size)
            pixels = torch.from_numpy(np.array(images[piece])).to(device)
            soft = blurred(pixels)
            masks = np.broadcast_to(regions, (N, *regions.shape[-3:]))[piece]

            def score(mask_NHW: Masks | None, piece: slice = piece, pixels: Tensor = pixels,
                      soft: Tensor = soft) -> NDArray[np.float64]:  # fmt: skip
                if mask_NHW is not None:
                    inside = torch.from_numpy(np.array(mask_NHW))[:, None].to(device)
                    pixels = torch.where(inside, soft, pixels)
                chances = network(as_input(pixels)).double().softmax(dim=1).cpu().numpy()
                rows = np.arange(len(chances))
                own = chances[rows, targets[piece]]
                return np.asarray(own if rivals is None else own - chances[rows, rivals[piece]])

            whole = score(None)
            for r in range(R):
                there = masks[:, r].any(axis=(1, 2))
                gone = score(masks[:, r]) - whole
                away = [score(rolled(masks[:, r], moves[piece, r, d])) for d in range(draws)]
                change[piece, r] = np.where(there, gone, np.nan)
                elsewhere[piece, r] = np.where(there, np.mean(away, axis=0) - whole, np.nan)
            progress("hiding regions", min(begin + batch_size, N), N)
    return Hidden(change=change, elsewhere=elsewhere)


def rolled(masks_NHW: Masks, moves_N2: NDArray[np.int64]) -> Masks:
    """Each mask moved by its (dy, dx), round the edges of the picture."""
    N, H, W = masks_NHW.shape
    y = (np.arange(H)[None, :, None] - moves_N2[:, 0, None, None]) % H
    x = (np.arange(W)[None, None, :] - moves_N2[:, 1, None, None]) % W
    return np.asarray(masks_NHW[np.arange(N)[:, None, None], y, x])


def blurred(pixels_NCHW: Tensor, share: float = BLUR) -> Tensor:
    """uint8 pictures after a Gaussian whose deviation is ``share`` of the shorter side."""
    sigma = share * min(pixels_NCHW.shape[-2:])
    reach = min(int(3 * sigma + 0.5), min(pixels_NCHW.shape[-2:]) - 1)
    steps = torch.arange(-reach, reach + 1, device=pixels_NCHW.device)
    weights = torch.exp(-(steps**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    N, C, H, W = pixels_NCHW.shape
    x = pixels_NCHW.float().reshape(N * C, 1, H, W)
    x = nn.functional.pad(x, (reach, reach, reach, reach), mode="reflect")
    x = nn.functional.conv2d(x, weights[None, None, :, None])
    x = nn.functional.conv2d(x, weights[None, None, None, :])
    return x.round().clamp(0, 255).to(torch.uint8).reshape(N, C, H, W)
