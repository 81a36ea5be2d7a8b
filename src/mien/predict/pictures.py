"""Whatever shows a picture becomes uint8 H×W×3 RGB, upright; or one DataError says why not.

Paths and bytes are read by the rules of ``data.pictures``: seven formats, 64 megapixels at most
(counted before decoding), the first frame of several, EXIF orientation honoured, transparency laid
on white as in training, 16 bits made 8. Decoded at full size a picture takes three bytes a pixel,
and up to four times that while it is being read. Any number of threads may read at once; pictures
of 4 megapixels and more wait for each other.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.data.files import MIB, reason, shown
from mien.data.pictures import MAX_PIXELS, upright, upright_image
from mien.errors import DataError, OptionError

Picture = str | Path | bytes | Image.Image | NDArray[np.uint8]

_MAX_BYTES = 64 * MIB


def is_one(images: Any) -> bool:
    """Whether ``images`` is one picture, not several; an open file is one thing, of no use."""
    if hasattr(images, "read"):
        return True
    if isinstance(images, np.ndarray):
        return images.ndim != 4
    return isinstance(images, str | Path | bytes | bytearray | memoryview | Image.Image)


def read_picture(image: Picture, *, where: str | None = None) -> NDArray[np.uint8]:
    """One picture as uint8 H×W×3 RGB.

    Args:
        image: a path; the bytes of a picture file; an image of Pillow; or an array, uint8 H×W
            (grey) or H×W×3 (RGB), 0..255, which is taken as upright and not copied if it fits.
        where: what a message calls it; else the path, or "the picture".

    Raises:
        DataError: it cannot be read, or is no picture; the message names it and the cause.
        OptionError: none of the kinds above, or an array of another shape or type.
    """
    if isinstance(image, str | Path):
        return upright(_bytes(Path(image)), where or shown(str(image)))
    where = where or "the picture"
    if isinstance(image, bytes | bytearray | memoryview):
        return upright(bytes(image), where)
    if isinstance(image, Image.Image):
        return upright_image(image, where)
    if isinstance(image, np.ndarray):
        return _array(image, where)
    raise OptionError(f"{where}: {type(image).__name__}; give a path, bytes, a PIL image or uint8 "
                      "pixels H×W or H×W×3 RGB")  # fmt: skip


def several(images: Iterable[Any]) -> Iterable[tuple[Any, str | None]]:
    """Each of many pictures with what a message calls it; those with a path have their name."""
    for number, image in enumerate(images):
        yield image, None if isinstance(image, str | Path) else f"picture {number}"


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            os.scandir(path).close()  # where it is one that cannot be read, that is the cause
        if path.exists() and not path.is_file():
            raise DataError(f"{shown(str(path))}: not a plain file; give a picture")
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(str(path))}: cannot be read ({reason(error)})") from error
    if not data:
        raise DataError(f"{shown(str(path))}: an empty file")
    if len(data) > _MAX_BYTES:
        raise DataError(f"{shown(str(path))}: over {_MAX_BYTES // MIB} MiB; save it smaller")
    return data


def _array(pixels: NDArray[Any], where: str) -> NDArray[np.uint8]:
    shape = "×".join(map(str, pixels.shape)) or "a single number"
    if pixels.dtype != np.uint8:
        raise OptionError(f"{where}: an array of {pixels.dtype}; give uint8 values 0 to 255")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise OptionError(f"{where}: an array of {shape}; give H×W or H×W×3, channels last, in RGB")
    if 0 in pixels.shape:
        raise DataError(f"{where}: an array of {shape} has no pixels")
    if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        raise DataError(f"{where}: {shape} pixels are over the {MAX_PIXELS:,} allowed")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    return np.ascontiguousarray(pixels)
