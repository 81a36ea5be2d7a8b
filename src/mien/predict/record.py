"""What was said of each file, in one file that only grows: a long call goes on after a kill.

``scored.jsonl``: the first line says with what it was made (model, detector, options); then one
line a file. The frames of a clip stand before the clip's line, so a clip that was not finished has
none and is read again. Lines are written whole; one that a kill tore is cut off. A file counts as
scored while its path, size and time of change are the same.

What may pass (a file that could not be opened) is written with ``again`` and does not count when
the record is read the next time.

In memory are sixteen bytes a file, and no content.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import RunError
from mien.runs import temporary
from mien.system import lock

NAME = "scored.jsonl"
OLD = ".old"  # ends the name of a record that was put aside
_RECENT = 20_000
_SYNC = 5.0  # seconds between calls of fsync; a kill loses nothing, a power cut this much


def key_of(path: Path | str) -> int:
    """64 bits that stand for a file as it is now; also for one that is missing."""
    try:
        status = os.stat(path)  # noqa: PTH116  a Path for each of a million files is slow
        facts = f"{status.st_size}\0{status.st_mtime_ns}"
    except (OSError, ValueError):
        facts = "missing"
    name = os.fsencode(os.path.abspath(path))  # noqa: PTH100
    digest = hashlib.blake2b(name + b"\0" + facts.encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


class Record:
    """Use it in a ``with`` block; one process at a time.

    path: where it lies; None keeps it in a temporary file that is gone at the end. about: with
    what results are made; a record made otherwise is begun anew, and ``begun_anew`` says so.

    Raises:
        RunError: it cannot be written, it is a file of somebody else's, or another process is
            writing to it.
    """

    def __init__(self, path: Path | None, about: Mapping[str, Any]) -> None:
        self.path, self.begun_anew = path, False
        self._keys, self._places = array("Q"), array("Q")
        # Said since those were last sorted: to sort a million after each file would take days.
        self._recent: dict[int, int] = {}
        self._sorted: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None
        self._synced = time.monotonic()
        try:
            self._file = tempfile.TemporaryFile("w+b") if path is None else _open(path)  # noqa: SIM115
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror})") from error
        try:
            self._begin(path, about)
        except BaseException:
            self._close()
            raise
        self._frames_from: int | None = None

    def _begin(self, path: Path | None, about: Mapping[str, Any]) -> None:
        try:
            lock(self._file)
        except BlockingIOError as error:
            raise RunError(f"{path}: another mien is writing to it; wait for it") from error
        except OSError as error:
            raise RunError(f"{path}: cannot be locked ({error.strerror}); name a place on another "
                           "file system") from error  # fmt: skip
        head = json.dumps({"mien": "scored", **about}, ensure_ascii=False).encode() + b"\n"
        first = self._file.readline()
        if first == head:
            self._read()
            return
        if first and not head.startswith(first) and (_parsed(first) or {}).get("mien") != "scored":
            raise RunError(f"{path}: no record of mien's; name another place for the results")
        if first and path is not None and self._put_aside(path, head):
            return
        self.begun_anew = bool(first)
        self._file.seek(0)
        self._file.truncate()
        with self._told():
            self._file.write(head)
            self._file.flush()

    def _put_aside(self, path: Path, head: bytes) -> bool:
        """Keep what was said with other options, hours of work, which a mistake shall not cost.

        Whether the record that was put aside before is the one that is wanted now; then both have
        changed places, and it is read. One that is larger is not replaced.
        """
        old = path.with_name(path.name + OLD)
        if not old.is_file():
            shutil.copyfile(path, old)
            return False
        with old.open("rb") as file:
            wanted = file.readline() == head
        if not wanted:
            if path.stat().st_size >= old.stat().st_size:
                shutil.copyfile(path, old)
            return False
        between = path.with_name(temporary(path.name) + "tmp")
        shutil.copyfile(path, between)
        with old.open("rb") as file, self._told():
            self._file.seek(0)
            self._file.truncate()
            shutil.copyfileobj(file, self._file)
            self._file.flush()
        between.replace(old)
        self._file.seek(len(head))
        self._read()
        return True

    def _read(self) -> None:
        """Where each file's line stands; what follows the last whole line of a file is cut off."""
        place = end = self._file.tell()
        for line in self._file:
            entry = _parsed(line)
            if entry is None:
                break
            place += len(line)
            if "key" in entry:
                if not entry.get("again"):
                    self._keys.append(int(entry["key"], 16))
                    self._places.append(place - len(line))
                end = place
        self._file.seek(end)
        self._file.truncate()

    def known(self) -> NDArray[np.uint64]:
        """The keys of all files that are scored, ascending."""
        self._sorted = None
        return self._index()[0]

    def _index(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        if self._sorted is None or len(self._recent) >= _RECENT:
            self._keys.extend(self._recent)
            self._places.extend(self._recent.values())
            self._recent = {}
            keys = np.array(self._keys, dtype=np.uint64)
            places = np.array(self._places, dtype=np.uint64)
            order = np.argsort(keys, kind="stable")
            self._sorted = keys[order], places[order]
        return self._sorted

    def add_frame(self, frame: Mapping[str, Any]) -> None:
        """One frame of the clip whose entry comes next."""
        if self._frames_from is None:
            self._frames_from = self._file.seek(0, os.SEEK_END)
        with self._told():
            self._file.write(_line(frame))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Names the file where the system says only what is wrong."""
        try:
            yield
        except OSError as error:
            place = self.path or tempfile.gettempdir()
            raise RunError(
                f"{place}: cannot be written ({error.strerror}); make room, and the same command "
                "goes on"
            ) from error

    def drop_frames(self) -> None:
        """The clip came to nothing: forget its frames."""
        if self._frames_from is not None:
            self._file.seek(self._frames_from)
            self._file.truncate()
            self._frames_from = None

    def add(self, key: int, entry: Mapping[str, Any]) -> None:
        """What was said of one file; it is out of this process's hands on return."""
        place = self._file.seek(0, os.SEEK_END)
        begun = {} if self._frames_from is None else {"frames_from": self._frames_from}
        self._frames_from = None
        with self._told():
            self._file.write(_line({"key": f"{key:016x}", **entry, **begun}))
            self._file.flush()
            if time.monotonic() - self._synced > _SYNC:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        self._recent[key] = place

    def entry(self, key: int) -> dict[str, Any] | None:
        """The last that was said of a file, or None."""
        keys, places = self._index()
        place = self._recent.get(key)
        if place is None:
            found = int(np.searchsorted(keys, np.uint64(key), side="right")) - 1
            if found < 0 or int(keys[found]) != key:
                return None
            place = int(places[found])
        self._file.seek(place)
        return _parsed(self._file.readline())

    def frames(self, entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The frames of a clip's entry."""
        place = entry.get("frames_from")
        while place is not None:
            self._file.seek(place)
            line = self._file.readline()
            frame = _parsed(line)
            if frame is None or "key" in frame:
                return
            place += len(line)
            yield frame

    def __enter__(self) -> "Record":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._told():
                self.drop_frames()
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._close()

    def _close(self) -> None:
        with contextlib.suppress(OSError):  # it tries once more to write what was told of already
            self._file.close()


def _open(path: Path) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.open("r+b")


def _line(data: Mapping[str, Any]) -> bytes:
    # Names of files may hold bytes that are no text; escaped they come back as they were.
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
