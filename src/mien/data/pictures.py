"""Encoded pictures to arrays: whatever a file holds becomes C×size×size uint8, or a RecordError.

Knows nothing of layouts. A picture is hostile until decoded: its pixels are counted before it is
decoded, only seven formats are tried, and every failure of a decoder is one RecordError.
"""

import io
import os
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mien.data.files import Files, reason, shown
from mien.data.reading import Draft, How, Problems, plural, text_array
from mien.errors import LayoutError, RecordError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
# About what a large camera makes; decoded as RGBA it takes 256 MB.
MAX_PIXELS = 64_000_000

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROGRESS_EVERY = 256
_HUSH = threading.Lock()
# Pictures from this size on are decoded one at a time: their memory would add up.
_LARGE = 4_000_000
_ONE_LARGE = threading.Lock()


@dataclass(frozen=True, slots=True)
class Listed:
    """One picture to be read: its file's name, its id, its label (-1: none) and its split."""

    name: str
    id: str
    label: int
    split: int


def is_picture(name: str) -> bool:
    """Whether the ending of ``name`` is a picture's."""
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in SUFFIXES


def decode(
    data: bytes, where: str, *, size: int = 48, colour: bool = False
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """One encoded picture as uint8 C×size×size (C 1 grey or 3 RGB), and what was done to it.

    EXIF orientation is honoured; transparency is laid on white; 16-bit values become 8-bit; the
    first frame or page is taken; grey is ITU-R 601 luma; another size is resampled with a filter
    as wide as the reduction, without regard to the sides' ratio.

    The second value holds words of ``resized squeezed greyed repeated deep transparent turned``.

    Raises:
        RecordError: ``where``, and why it cannot be decoded.
    """
    done: list[str] = []
    with _decoding(where):
        return _fitted(_opened(data, done), size, colour, done), tuple(done)


def upright(data: bytes, where: str) -> NDArray[np.uint8]:
    """One encoded picture in its own size, uint8 H×W×3 RGB, read by the rules of ``decode``.

    Raises:
        RecordError: as ``decode``.
    """
    with _decoding(where):
        image = _opened(data, [])
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def upright_image(image: Image.Image, where: str) -> NDArray[np.uint8]:
    """The same for a picture that Pillow has opened, of whatever format; it stays as it is.

    Raises:
        RecordError: as ``decode``.
    """
    with _decoding(where):
        plain = _plain(_turned(_bounded(image), []), [])
        return np.array(plain if plain.mode == "RGB" else plain.convert("RGB"))


class _Quiet:
    """No warnings while any thread decodes.

    Pillow warns of odd metadata and of pixels short of its own limit; ours is stricter. Filters of
    warnings belong to the whole process, so the first thread in sets them aside and the last one
    out puts them back; each for itself would put back what another had set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._kept = warnings.catch_warnings()
                self._kept.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *what: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._kept is not None:
                self._kept.__exit__(None, None, None)


_QUIET = _Quiet()


@contextmanager
def _decoding(where: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one RecordError."""
    try:
        with _QUIET:
            yield
    except UnidentifiedImageError as error:
        raise RecordError(f"{where}: no picture in any of {', '.join(FORMATS)}") from error
    except Exception as error:  # on damaged bytes Pillow's decoders raise a dozen kinds
        raise RecordError(f"{where}: cannot be decoded ({reason(error)})") from error


def _opened(data: bytes, done: list[str]) -> Image.Image:
    """The first frame, upright, in mode L or RGB."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _bounded(image)
        large = image.width * image.height >= _LARGE
        with _ONE_LARGE if large else nullcontext():
            with _hushed(image.format):
                image.load()
            return _plain(_turned(image, done), done)


def _bounded(image: Image.Image) -> Image.Image:
    if not image.width * image.height:
        raise ValueError(f"{image.width}×{image.height} pixels show nothing")
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width}×{image.height} pixels are over the {MAX_PIXELS:,} allowed")
    return image


@contextmanager
def _hushed(format: str | None) -> Iterator[None]:
    """Keep libtiff off the standard error stream, where it writes hundreds of lines on its own.

    It offers no other way from here. What other threads write there in these milliseconds is lost.
    """
    if format != "TIFF":
        yield
        return
    with _HUSH, open(os.devnull, "wb") as nowhere:  # noqa: PTH123  devnull is no file of ours
        try:
            kept = os.dup(2)
        except OSError:  # there is no such stream
            yield
            return
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _turned(image: Image.Image, done: list[str]) -> Image.Image:
    """``image`` upright. Metadata that cannot be read turn nothing; the pixels are still good."""
    try:
        method = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  as above; it is only metadata
        return image
    if method is None:
        return image
    done.append("turned")
    return image.transpose(method)


def _plain(image: Image.Image, done: list[str]) -> Image.Image:
    """``image`` in mode L or RGB."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        done.append("deep")
        image = _eight_bits(image)
    if image.mode in ("PA", "LA", "La", "RGBA", "RGBa") or image.has_transparency_data:
        done.append("transparent")
        grey = image.mode in ("LA", "La", "L")
        over = image.convert("RGBA")
        under = Image.new("RGBA", over.size, "white")
        image = Image.alpha_composite(under, over).convert("L" if grey else "RGB")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture of 16-bit values (modes I and I;16*) in mode L.

    Raises:
        ValueError: values beyond 16 bits, or floating-point ones, whose range nobody knows.
    """
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if image.mode == "F" or low < 0 or high > 65535:
        raise ValueError(f"mode {image.mode} with values {low:g} to {high:g}; save it as 8-bit")
    # Rounds v / 257, by which 65535 becomes 255.
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _fitted(image: Image.Image, size: int, colour: bool, done: list[str]) -> NDArray[np.uint8]:
    wanted = "RGB" if colour else "L"
    if image.mode != wanted:
        done.append("repeated" if colour else "greyed")
        image = image.convert(wanted)
    if image.size != (size, size):
        done.append("resized")
        if image.width != image.height:
            done.append("squeezed")
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    pixels: NDArray[np.uint8] = np.asarray(image)
    return pixels.transpose(2, 0, 1) if colour else pixels[np.newaxis]


def describe(done: Counter[str], how: How) -> tuple[str, ...]:
    """Sentences with the numbers of pictures that were converted."""
    size = f"{how.size}×{how.size}"
    squeezed = done["squeezed"]
    aside = f" ({squeezed:,} of them not square: squeezed)" if squeezed else ""
    sentences = {
        "resized": f"of other sizes resized to {size}{aside}",
        "greyed": "in colour made grey",
        "repeated": "in grey repeated in three channels",
        "deep": "of 16-bit values brought to 8 bits",
        "transparent": "with transparency laid on white",
        "turned": "turned upright by their EXIF orientation",
    }
    return tuple(f"{plural(done[key], 'picture')} {s}" for key, s in sentences.items() if done[key])


def read_listed(
    files: Files,
    listed: Sequence[Listed],
    how: How,
    problems: Problems,
    *,
    classes: tuple[str, ...],
    notes: tuple[str, ...] = (),
) -> Draft:
    """Read and decode the pictures of ``listed``; the result keeps their order.

    Raises:
        RecordError: a picture that cannot be read, unless bad ones are skipped.
        LayoutError: nothing to read, or nothing of it readable.
        ArchiveError: the archive is broken.
    """
    if not listed:
        raise LayoutError(f"{files.path}: no pictures in it")
    images = np.empty((len(listed), how.channels, how.size, how.size), np.uint8)
    good = np.zeros(len(listed), np.bool_)
    places = {entry.name: place for place, entry in enumerate(listed)}
    done: Counter[str] = Counter()
    for count, (name, data) in enumerate(files.read_each(places)):
        if count % _PROGRESS_EVERY == 0:
            how.progress("reading pictures", count, len(listed))
        try:
            if isinstance(data, RecordError):
                raise RecordError(f"{shown(name)}: {data}")
            pixels, words = decode(data, shown(name), size=how.size, colour=how.colour)
        except RecordError as error:
            problems.add(shown(name), str(error).removeprefix(f"{shown(name)}: "))
            continue
        images[places[name]] = pixels
        good[places[name]] = True
        done.update(words)
    how.progress("reading pictures", len(listed), len(listed))
    kept = np.flatnonzero(good)
    if not len(kept):
        raise LayoutError(f"{files.path}: no picture in it can be read ({problems.found[0]})")
    return Draft(
        images=_compacted(images, kept),
        labels=np.array([entry.label for entry in listed], np.int64)[kept],
        splits=np.array([entry.split for entry in listed], np.int8)[kept],
        ids=_ids(listed, kept),
        classes=classes,
        problems=tuple(problems.found),
        notes=files.notes + notes + describe(done, how) + problems.notes(),
    )


def _ids(listed: Sequence[Listed], kept: NDArray[np.int64]) -> NDArray[Any]:
    return text_array([listed[place].id for place in kept.tolist()])


def _compacted(images: NDArray[np.uint8], kept: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The pictures at the ascending ``kept``, moved together in place: a copy could be too big."""
    if len(kept) < len(images):
        for start in range(0, len(kept), 4096):
            part = kept[start : start + 4096]
            images[start : start + len(part)] = images[part]
    return images[: len(kept)]
