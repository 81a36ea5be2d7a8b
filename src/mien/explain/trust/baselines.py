"""Maps that know nothing of the network: what an attribution method must beat.

Each is a function of the pictures alone: uint8 N×C×H×W to float32 N×H×W, not negative. Lengths
are shares of the picture's side, so they fit any size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]
Images = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """run: pictures and a seed to maps. title: for figures."""

    run: Callable[[Images, int], Maps]
    title: str


def centre(images: Images, seed: int = 0) -> Maps:
    """A Gaussian about the middle, of a deviation of a quarter of the side."""
    _, H, W = _grey(images).shape
    y = np.exp(-(((np.arange(H) - (H - 1) / 2) / (H / 4)) ** 2) / 2)
    x = np.exp(-(((np.arange(W) - (W - 1) / 2) / (W / 4)) ** 2) / 2)
    bump: Maps = (y[:, None] * x[None]).astype(np.float32)
    return np.repeat(bump[None], len(images), axis=0)


def edges(images: Images, seed: int = 0) -> Maps:
    """The magnitude of Sobel's gradient of each picture."""
    return np.stack([_sobel(picture) for picture in _grey(images)])


def mean_face(images: Images, seed: int = 0) -> Maps:
    """Where the mean of the pictures differs from its own blur: eyes, brows, mouth; for all alike.

    The blur's deviation is an eighth of the side, about as wide as an eye.
    """
    mean = _grey(images).mean(axis=0, dtype=np.float64).astype(np.float32)
    there = np.abs(mean - _blurred(mean, mean.shape[0] / 8))
    return np.repeat(there[None], len(images), axis=0)


def blurred_noise(images: Images, seed: int = 0) -> Maps:
    """White noise blurred with a deviation of a sixteenth of the side, another for each picture."""
    _, H, W = _grey(images).shape
    margin = H // 4  # cut off, since a blur is uneven at the border
    shape = (len(images), H + 2 * margin, W + 2 * margin)
    white = np.random.default_rng((seed, 1)).standard_normal(shape, np.float32)
    inner = slice(margin, margin + H), slice(margin, margin + W)
    smooth = np.stack([_blurred(one, H / 16)[inner] for one in white])
    return np.asarray(smooth - smooth.min(axis=(1, 2), keepdims=True), np.float32)


def noise(images: Images, seed: int = 0) -> Maps:
    """Uniform noise, another for each picture: a random order of pixels."""
    _, H, W = _grey(images).shape
    return np.random.default_rng((seed, 2)).random((len(images), H, W), np.float32)


BASELINES: Mapping[str, Baseline] = {
    "centre": Baseline(run=centre, title="centre Gaussian"),
    "edges": Baseline(run=edges, title="edge detector"),
    "mean_face": Baseline(run=mean_face, title="mean face"),
    "blurred_noise": Baseline(run=blurred_noise, title="blurred noise"),
    "random": Baseline(run=noise, title="random order"),
}


def _grey(images: Images) -> Maps:
    return np.asarray(np.asarray(images, dtype=np.float32).mean(axis=1), np.float32)


def _blurred(picture: Maps, deviation: float) -> Maps:
    return np.asarray(
        cv2.GaussianBlur(picture, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE), np.float32
    )


def _sobel(picture: Maps) -> Maps:
    x = cv2.Sobel(picture, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    y = cv2.Sobel(picture, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.hypot(x, y), np.float32)
