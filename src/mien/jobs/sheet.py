"""Contact sheets: rows of small pictures with a caption each, as one PNG."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import RunError
from mien.runs import write_atomic

_GAP, _CAPTION, _SCALE = 4, 22, 2
_PAPER, _INK = 255, 40


def contact_sheet(
    rows: Sequence[tuple[str, NDArray[np.uint8]]], *, columns: int = 12, scale: int = _SCALE
) -> NDArray[np.uint8]:
    """Captions above rows of at most ``columns`` pictures, each ``scale`` times as large.

    rows: captions (ASCII) and ``uint8`` N×C×H×W with C 1 or 3. Returns ``uint8`` height×width×3.
    """
    parts = [_row(caption, images[:columns], columns, scale) for caption, images in rows]
    return np.concatenate(parts) if parts else np.full((_CAPTION, 200, 3), _PAPER, np.uint8)


def _row(caption: str, images: NDArray[np.uint8], columns: int, scale: int) -> NDArray[np.uint8]:
    side_y, side_x = images.shape[2] * scale, images.shape[3] * scale
    strip = np.full(
        (_CAPTION + side_y + _GAP, columns * (side_x + _GAP) + _GAP, 3), _PAPER, np.uint8
    )
    cv2.putText(strip, caption, (_GAP, _CAPTION - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45,
                (_INK, _INK, _INK), 1, cv2.LINE_AA)  # fmt: skip
    for number, image in enumerate(images):
        large = image.transpose(1, 2, 0).repeat(scale, axis=0).repeat(scale, axis=1)
        left = _GAP + number * (side_x + _GAP)
        strip[_CAPTION : _CAPTION + side_y, left : left + side_x] = large
    return strip


def write_png(out: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB picture ``uint8`` height×width×3 atomically.

    Raises:
        RunError: the file cannot be written.
    """
    done, png = cv2.imencode(".png", image[..., ::-1])
    assert done
    try:
        write_atomic(out, np.asarray(png).tobytes())
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error.strerror})") from error
