"""Read sources, kept on disk: ``.npy`` files mapped into memory, and a small JSON beside them.

In ``$MIEN_CACHE``, else ``$XDG_CACHE_HOME/mien``, else ``~/.cache/mien``. The cache is a
convenience: one that is damaged or cannot be written is passed over without a word. An entry is a
folder, written under another name and renamed, so nobody sees half of one. No pickles.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.types import ImageSet, Problem

MAX_BYTES = 4 * 2**30
_VERSION = 1
_ARRAYS = ("images", "labels", "splits", "ids", "hashes")
_RECORD = "set.json"
_TEMPORARY = ".new-"
_STALE_SECONDS = 24 * 3600


def folder() -> Path | None:
    """Where the cache is; None where there is no home to put it into."""
    if own := os.environ.get("MIEN_CACHE"):
        return Path(own) / "sources"
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "mien" / "sources"
    try:
        return Path.home() / ".cache" / "mien" / "sources"
    except RuntimeError:
        return None


def load(key: str) -> ImageSet | None:
    """The set stored under ``key``, its images mapped from the file; None where there is none."""
    root = folder()
    if root is None:
        return None
    entry = root / key
    try:
        record = json.loads((entry / _RECORD).read_text(encoding="utf-8"))
        if record["version"] != _VERSION:
            return None
        arrays = {name: _load_array(entry, name, record["arrays"][name]) for name in _ARRAYS}
        found = ImageSet(
            **arrays,
            classes=tuple(record["classes"]),
            fingerprint=record["fingerprint"],
            layout=record["layout"],
            has_validation=record["has_validation"],
            problems=tuple(Problem(**problem) for problem in record["problems"]),
            notes=tuple(record["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    with contextlib.suppress(OSError):
        os.utime(entry)  # what was used last is dropped last
    return found


def store(key: str, images: ImageSet) -> ImageSet | None:
    """Keep ``images`` under ``key``; the stored set, mapped, or None where it was not stored."""
    root = folder()
    needed = sum(getattr(images, name).nbytes for name in _ARRAYS)
    if root is None or needed > MAX_BYTES:
        return None
    temporary: Path | None = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        _make_room(root, needed)
        temporary = Path(tempfile.mkdtemp(dir=root, prefix=_TEMPORARY))
        _write(temporary, images)
        shutil.rmtree(root / key, ignore_errors=True)  # a damaged one, or it would have been used
        temporary.rename(root / key)
    except OSError:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        return None
    return load(key)


@contextlib.contextmanager
def watch(images: ImageSet) -> Iterator[Callable[[], None]]:
    """A question to be asked now and then while ``images`` are in use: are they what they were?

    Pictures from the cache are mapped from a file, so whoever writes into that file changes them.
    The question raises DataError then. That the file is gone from its folder does not matter.
    """
    base: Any = images.images
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    with contextlib.ExitStack() as opened:
        file: BinaryIO | None = None
        if base is not None and base.filename is not None:
            with contextlib.suppress(OSError):  # another process may have dropped it since
                file = opened.enter_context(Path(base.filename).open("rb"))
        before = _state(file)

        def ask() -> None:
            if file is not None and _state(file) != before:
                raise DataError(f"{file.name}: the kept pictures changed while they were in use")

        yield ask


def _state(file: BinaryIO | None) -> tuple[int, int]:
    if file is None:
        return 0, 0
    info = os.fstat(file.fileno())
    return info.st_size, info.st_mtime_ns


def _write(entry: Path, images: ImageSet) -> None:
    checksums: dict[str, int] = {}
    for name in _ARRAYS:
        path = entry / f"{name}.npy"
        with path.open("wb") as file:
            np.save(file, getattr(images, name), allow_pickle=False)
        checksums[name] = _checksum(path)
        path.chmod(0o444)  # it is mapped where it is used: nobody should write into it
    record = {
        "version": _VERSION,
        "arrays": checksums,
        "classes": images.classes,
        "fingerprint": images.fingerprint,
        "layout": images.layout,
        "has_validation": images.has_validation,
        "problems": [asdict(problem) for problem in images.problems],
        "notes": images.notes,
    }
    (entry / _RECORD).write_text(json.dumps(record), encoding="utf-8")


def _load_array(entry: Path, name: str, checksum: int) -> NDArray[Any]:
    """Raises ValueError for a file that is not, to the bit, what was written."""
    path = entry / f"{name}.npy"
    if _checksum(path) != checksum:
        raise ValueError(name)
    mapped = np.load(path, mmap_mode="r" if name == "images" else None, allow_pickle=False)
    return np.asarray(mapped)


def _checksum(path: Path) -> int:
    """CRC-32: the guard is against accidents, and it runs at gigabytes a second."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(2**22):
            value = zlib.crc32(chunk, value)
    return value


def _make_room(root: Path, needed: int) -> None:
    """Drop what was used longest ago until ``needed`` bytes fit, and what a crash left behind."""
    entries: list[tuple[float, int, Path]] = []
    for entry in root.iterdir():
        changed = entry.stat().st_mtime
        if entry.name.startswith(_TEMPORARY):
            if time.time() - changed > _STALE_SECONDS:
                shutil.rmtree(entry, ignore_errors=True)
            continue
        entries.append((changed, sum(f.stat().st_size for f in entry.iterdir()), entry))
    total = needed + sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries):
        if total <= MAX_BYTES:
            break
        shutil.rmtree(entry, ignore_errors=True)
        total -= size
