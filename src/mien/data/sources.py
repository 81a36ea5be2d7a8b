"""Any source of labelled faces to one ``ImageSet``: recognise its layout, read it, cache it.

A layout is a file ``layout_*.py`` and a line of ``FORMATS``. Knows nothing of models.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.data import cache as disk
from mien.data import layout_course, layout_csv, layout_folders, layout_synthetic
from mien.data.archives import open_files, source_key
from mien.data.files import Files
from mien.data.pictures import Listed, is_picture, read_listed
from mien.data.reading import TEST, VALIDATION, Draft, How, Layout, Problems
from mien.errors import LayoutError, OptionError
from mien.labels import CLASSES
from mien.types import ImageSet, Progress, silent

# In the order in which they are tried.
FORMATS: dict[str, Layout] = {
    "fer2013-csv": layout_csv.LAYOUT,
    "course": layout_course.LAYOUT,
    "folders": layout_folders.LAYOUT,
}
_SIZES = range(8, 1025)
_PROGRESS_EVERY = 4096


def read(
    source: str | Path,
    *,
    format: str | None = None,
    size: int = 48,
    colour: bool = False,
    label_map: Mapping[str, str] | None = None,
    classes: Literal["seven", "found"] = "seven",
    skip_bad: bool = False,
    cache: bool = True,
    progress: Progress = silent,
) -> ImageSet:
    """The labelled faces of a source, as uint8 N×C×size×size.

    Args:
        source: a folder, a .zip, a .tar(.gz) or a .csv, or ``synthetic:N[:seed=S]``. An archive is
            read in place. What is hidden or no picture (README.txt, __MACOSX, Thumbs.db) is passed
            over.
        format: a name of ``FORMATS``; None recognises it.
        size: height and width; pictures of other sizes are resampled, and ``notes`` counts them.
        colour: three channels (RGB) instead of one (grey).
        label_map: names of classes as found, to names of the seven; goes before the known aliases.
        classes: ``seven`` gives FER2013's classes in its order and refuses unknown ones; ``found``
            gives those that are there.
        skip_bad: leave bad records out and list them in ``problems``, instead of failing.
        cache: keep what was read on disk, and look there first; ``images`` is then read-only.
        progress: told ``("reading pictures", done, total)`` now and then.

    Of text files: UTF-8 with a byte-order mark is read, and a note says so; UTF-16, NUL bytes and
    bytes that are no UTF-8 are errors with row and column.

    Raises:
        LayoutError: no such source, an unknown layout or class, a missing column, no pictures.
        RecordError: a bad row (named with row and column; the header is row 1) or picture.
        ArchiveError: an archive that is broken or hostile.
        OptionError: a format, size or synthetic source that does not exist.
    """
    if format is not None and format not in FORMATS:
        raise OptionError(f"--format {format}: there are {', '.join(FORMATS)}")
    if classes not in ("seven", "found"):
        raise OptionError(f"--classes {classes}: there are seven, found")
    how = How(
        size=_checked(size),
        colour=colour,
        label_map=dict(label_map or {}),
        classes=classes,
        skip_bad=skip_bad,
        progress=progress,
    )
    if str(source).startswith(layout_synthetic.PREFIX):
        return _finished(layout_synthetic.read(str(source), how), "synthetic", how)
    return _read(Path(source), format, how, cache)


def read_pictures(
    source: str | Path,
    *,
    size: int = 48,
    colour: bool = False,
    skip_bad: bool = False,
    cache: bool = True,
    progress: Progress = silent,
) -> ImageSet:
    """All pictures of a folder or an archive, whatever lies where, without labels.

    Labels are -1, the split is test, the classes the seven. Ids are the files' names without
    endings (paths where two would be equal), in natural order. The arguments are those of ``read``.

    Raises:
        LayoutError: no such source, or no pictures in it.
        RecordError: a picture that cannot be read, unless ``skip_bad``.
        ArchiveError: an archive that is broken or hostile.
    """
    how = How(size=_checked(size), colour=colour, skip_bad=skip_bad, progress=progress)
    return _read(Path(source), _UNLABELLED, how, cache)


def _unlabelled(files: Files, how: How) -> Draft:
    pictures = [name for name in files.names if is_picture(name)]
    listed = [Listed(name, id, -1, TEST) for id, name in layout_course.name_ids(pictures)]
    return read_listed(files, listed, how, Problems(files, how), classes=CLASSES)


_UNLABELLED = "pictures"
_LAYOUTS = FORMATS | {_UNLABELLED: Layout("pictures", lambda _: False, _unlabelled)}


def _checked(size: int) -> int:
    if size not in _SIZES:
        raise OptionError(f"--size {size}: it is from {_SIZES.start} to {_SIZES.stop - 1}")
    return size


def _read(path: Path, format: str | None, how: How, cache: bool) -> ImageSet:
    key = _cache_key(path, format, how) if cache else ""
    if cache and (kept := disk.load(key)) is not None:
        how.progress("reading from the cache", len(kept), len(kept))
        return kept
    with open_files(path) as files:
        name = format or _recognised(files)
        images = _finished(_LAYOUTS[name].read(files, how), name, how)
    if cache:
        # The mapped set takes the place of the one in memory.
        images = disk.store(key, images) or images
    return images


def _recognised(files: Files) -> str:
    for name, layout in FORMATS.items():
        if layout.recognises(files):
            return name
    if not files.names:
        raise LayoutError(f"{files.path}: nothing in it")
    pictures = sum(map(is_picture, files.names))
    known = "; ".join(f"{name}: {layout.looks_like}" for name, layout in FORMATS.items())
    raise LayoutError(
        f"{files.path}: no known layout ({len(files.names):,} files, {pictures:,} of them "
        f"pictures); known are {known}"
    )


def _cache_key(path: Path, format: str | None, how: How) -> str:
    """Hex SHA-256 of the source, of how it is read, and of what reads it."""
    reader = (__version__, metadata.version("pillow"), np.__version__)
    source = (source_key(path), path.suffix)
    text = json.dumps([source, format, _options(how), how.skip_bad, reader])
    return hashlib.sha256(text.encode()).hexdigest()


def _options(how: How) -> list[object]:
    return [how.size, how.colour, sorted((how.label_map or {}).items()), how.classes]


def _finished(draft: Draft, layout: str, how: How) -> ImageSet:
    hashes = _hashes(draft.images, how.progress)
    return ImageSet(
        images=draft.images,
        labels=draft.labels,
        splits=draft.splits,
        ids=draft.ids,
        hashes=hashes,
        classes=draft.classes,
        fingerprint=_fingerprint(draft, hashes, how),
        layout=layout,
        has_validation=bool((draft.splits == VALIDATION).any()),
        problems=draft.problems,
        notes=draft.notes,
    )


def _hashes(images: NDArray[np.uint8], progress: Progress) -> NDArray[np.bytes_]:
    """The 128-bit BLAKE2b of each picture's C×H×W bytes, ``S32`` N."""
    out = np.empty(len(images), "S32")
    for place, image in enumerate(images):
        if place % _PROGRESS_EVERY == 0:
            progress("hashing pictures", place, len(images))
        out[place] = hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest().encode()
    return out


def _fingerprint(draft: Draft, hashes: NDArray[np.bytes_], how: How) -> str:
    """Of the content as it was read: equal for a folder and a zip of it, wherever they lie."""
    digest = hashlib.sha256()
    digest.update(json.dumps([draft.images.shape, draft.classes, _options(how)]).encode())
    for array in (hashes, draft.labels.astype("<i8"), draft.splits):
        digest.update(np.ascontiguousarray(array).tobytes())
    for start in range(0, len(draft.ids), _PROGRESS_EVERY):
        digest.update("\0".join(draft.ids[start : start + _PROGRESS_EVERY].tolist()).encode())
    return digest.hexdigest()
