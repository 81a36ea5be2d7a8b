"""Pictures and attribution maps as data URIs; maps in the colours of ``explain.display``."""

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.explain.display import colours, overlay, scaled


def picture(image: NDArray[np.uint8]) -> str:
    """``uint8`` C×H×W, C 1 or 3, as a JPEG's data URI."""
    shown = image[0] if len(image) == 1 else image.transpose(1, 2, 0)[..., ::-1]
    done, content = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    return _uri(np.asarray(content), "jpeg")


def heat(values: NDArray[np.floating], limit: float) -> str:
    """A map H×W on white; ``limit``: what is drawn in full colour."""
    return _png(colours(scaled(values, limit)))


def over(under: NDArray[np.number], values: NDArray[np.floating], limit: float) -> str:
    """A map H×W over a grey picture H×W or a coloured one H×W×3, 0..255."""
    return _png(overlay(scaled(values, limit), np.nan_to_num(np.asarray(under, np.float64))))


def _png(rgb: NDArray[np.uint8]) -> str:
    done, content = cv2.imencode(".png", rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    return _uri(np.asarray(content), "png")


def pattern(values: NDArray[np.floating]) -> str:
    """A synthetic pattern H×W or C×H×W, its own range stretched over black to white."""
    values = np.asarray(values, dtype=np.float64)
    values = values[None] if values.ndim == 2 else values
    low, high = float(np.min(values)), float(np.max(values))
    return picture(((values - low) / ((high - low) or 1) * 255).astype(np.uint8))


def _uri(content: NDArray[np.uint8], kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content.tobytes()).decode()}"
