"""Pictures and attribution maps as data URIs.

A map is drawn in two colours, vermillion where it speaks for the class and blue where it speaks
against it, the stronger the more opaque. One scale serves all maps of a figure: full colour stands
for the 99.5th percentile of the absolute values of all of them.
"""

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from mien.app.figures.style import BLUE, VERMILLION

_FOR, _AGAINST = (np.array(to_rgb(c)) * 255 for c in (VERMILLION, BLUE))
_PERCENTILE = 99.5


def picture(image: NDArray[np.uint8]) -> str:
    """``uint8`` C×H×W, C 1 or 3, as a JPEG's data URI."""
    shown = image[0] if len(image) == 1 else image.transpose(1, 2, 0)[..., ::-1]
    done, content = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    return _uri(np.asarray(content), "jpeg")


def common_scale(maps: Sequence[NDArray[np.floating]]) -> float:
    """The absolute value that is drawn in full colour; 1 where all maps are 0 or there are none."""
    if not len(maps):
        return 1.0
    every = np.concatenate([np.abs(np.asarray(m, dtype=np.float32)).ravel() for m in maps])
    return float(np.percentile(every, _PERCENTILE)) or 1.0


def heat(values: NDArray[np.floating], scale: float) -> str:
    """A map H×W on white."""
    return overlay(np.full(values.shape, 255, np.uint8), values, scale)


def overlay(grey: NDArray[np.number], values: NDArray[np.floating], scale: float) -> str:
    """A map H×W over a grey picture H×W, 0..255."""
    strength = np.clip(np.asarray(values, dtype=np.float64) / scale, -1, 1)[..., None]
    colour = np.where(strength > 0, _FOR, _AGAINST)
    alpha = 0.88 * np.abs(strength) ** 0.8
    base = np.repeat(np.asarray(grey, dtype=np.float64)[..., None], 3, axis=2)
    mixed = np.clip(base * (1 - alpha) + colour * alpha, 0, 255).astype(np.uint8)
    done, content = cv2.imencode(".png", mixed[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    return _uri(np.asarray(content), "png")


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``uint8`` C×H×W as H×W."""
    return np.asarray(image.mean(axis=0), dtype=np.uint8)


def pattern(values: NDArray[np.floating]) -> str:
    """A synthetic pattern H×W, its own range stretched over black to white."""
    low, high = float(np.min(values)), float(np.max(values))
    stretched = (np.asarray(values, dtype=np.float64) - low) / ((high - low) or 1) * 255
    return picture(stretched.astype(np.uint8)[None])


def _uri(content: NDArray[np.uint8], kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content.tobytes()).decode()}"
