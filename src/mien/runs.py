"""The run folder: created once, written atomically, locked while a process works on it.

Knows its own files' names and how to write them so that a reader never sees half of one; knows
nothing of what stands in them. Imports no torch.
"""

import contextlib
import errno
import json
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mien.errors import RunError
from mien.system import cores, lock, memory_gib, open_to_all, processor, sync_folder

_REPORTED = ("mien", "torch", "lightning-fabric", "numpy", "pillow", "opencv-python-headless")
# What a killed process may leave in a folder before there is a run in it.
TRAINING_HASHES = "training_hashes.npy"
_LEFT_OVER = {"run.lock", "state", TRAINING_HASHES}


@dataclass(frozen=True)
class Run:
    """A run folder and the paths of what lies in it."""

    path: Path

    @property
    def record(self) -> Path:
        """``run.json``: recipe, seed, versions, data fingerprint, hardware."""
        return self.path / "run.json"

    @property
    def history(self) -> Path:
        """``history.csv``: one row an epoch."""
        return self.path / "history.csv"

    @property
    def model(self) -> Path:
        """``model.safetensors``: the resulting weights with their metadata."""
        return self.path / "model.safetensors"

    @property
    def state(self) -> Path:
        """``state/``: what resuming needs."""
        return self.path / "state"

    @property
    def predictions(self) -> Path:
        """``predictions.parquet``: what evaluation recomputes from."""
        return self.path / "predictions.parquet"

    @property
    def evaluation(self) -> Path:
        """``evaluation.json``: the numbers computed from the predictions."""
        return self.path / "evaluation.json"

    @property
    def figures(self) -> Path:
        """``figures/``: SVG and PNG."""
        return self.path / "figures"

    @classmethod
    def create(cls, path: Path | str) -> "Run":
        """A new run folder; an empty or missing folder is taken.

        Raises:
            RunError: the folder holds something, or cannot be made.
        """
        run = cls(Path(path))
        run.check_free()
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run.state.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{path}: cannot be made ({error.strerror}); name another folder with --out"
            ) from error
        return run

    def check_free(self) -> None:
        """Refuse a folder that holds something.

        What a process leaves that is killed before it wrote ``run.json`` does not count: there is
        nothing in it to go on from.

        Raises:
            RunError: the folder holds something, or is a file.
        """
        try:
            begun = self.record.is_file()
            there = {child.name for child in self.path.iterdir()}
            there |= {child.name for child in self.state.iterdir()} if "state" in there else set()
        except FileNotFoundError:
            return
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be a run folder ({error.strerror}); name another with --out"
            ) from error
        if begun:
            raise RunError(
                f"{self.path}: not empty, a run is in it; name another folder with --out, "
                f"or go on with 'mien train --resume {self.path}'"
            )
        if {name for name in there if not name.endswith(".tmp")} - _LEFT_OVER:
            raise RunError(f"{self.path}: not empty; name another folder with --out")

    @classmethod
    def open(cls, path: Path | str) -> "Run":
        """A run folder that exists.

        Raises:
            RunError: there is no run in it.
        """
        run = cls(Path(path))
        if not run.record.is_file():
            raise RunError(f"{path}: no run here (run.json is missing)")
        return run

    @classmethod
    def fresh_name(cls, parent: Path, stem: str) -> Path:
        """``parent/stem-1``, or the first number that is free."""
        number = 1
        while (parent / f"{stem}-{number}").exists():
            number += 1
        return parent / f"{stem}-{number}"

    def read_record(self) -> dict[str, Any]:
        """The content of ``run.json``.

        Raises:
            RunError: it is missing or not JSON.
        """
        return read_json(self.record)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; released at the end, and by the system on a crash.

        The lock is the system's own, so that of a dead process is free; what stands in
        ``run.lock`` only says whose it is.

        Raises:
            RunError: another process holds it (its pid is named), or the folder is read-only.
        """
        path = self.path / "run.lock"
        try:
            file = path.open("a+")
        except OSError as error:
            raise RunError(f"{path}: cannot be opened ({error.strerror}); {mend(error)}") from error
        with file:
            try:
                lock(file)
            except BlockingIOError as error:
                file.seek(0)
                raise RunError(
                    f"{self.path}: {_owner(file.read())} is working on it; wait for it or end it"
                ) from error
            except OSError as error:
                raise RunError(f"{path}: cannot be locked ({error.strerror})") from error
            with _named(path):
                file.seek(0)
                file.truncate()
                file.write(f"{os.getpid()} {socket.gethostname()}")
                file.flush()
            yield

    def tidy(self) -> None:
        """Remove what a killed process left half-written; for the holder of the lock."""
        for name in (self.record.name, self.history.name, self.model.name, TRAINING_HASHES):
            for left_over in self.path.glob(f".{name}.*.tmp"):
                left_over.unlink(missing_ok=True)


def _owner(text: str) -> str:
    """Whose lock it is, from what stands in it; the host where it is another one."""
    pid, _, host = text.strip().partition(" ")
    elsewhere = f" on {host}" if host.isprintable() and host != socket.gethostname() else ""
    return f"process {pid}{elsewhere if host else ''}" if pid.isdecimal() else "another process"


def mend(error: OSError) -> str:
    """What to do about a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "make room on the disk"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make its folder writable"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "put its folder back"
    return "see to the disk"


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let an OSError say which file it is about; a failing write by itself does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write ``path`` so that a reader, or a crash at any moment, sees the old or the new content.

    Temporary file in the same folder, fsync, rename, fsync of the folder.

    Raises:
        OSError: it cannot be written; ``path`` is named, and holds what it held before.
    """
    data = content.encode() if isinstance(content, str) else content
    with _named(path):
        check_place(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=temporary(path.name), suffix=".tmp")
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                _write_all(file.fileno(), data)
                os.fsync(file.fileno())
            open_to_all(name)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        sync_folder(path.parent)


def temporary(name: str) -> str:
    """How the name of a temporary file begins that becomes ``name``; fits beside long names."""
    # A name has at most 255 bytes; 30 are for what follows here.
    return "." + os.fsencode(name)[:220].decode(errors="ignore") + "."


def check_place(path: Path) -> None:
    """Refuse a place for a file where a folder, a device or a pipe lies, ``/dev/stdout`` as well.

    A rename would put a plain file there, and with root's rights nothing would stop it.

    Raises:
        OSError: it is none.
    """
    folder = os.path.realpath(path.parent)
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if folder == "/dev" or (folder + "/").startswith("/proc/"):
        raise OSError(errno.EINVAL, "a place of devices, not of files", str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "a device or a pipe, no plain file", str(path))


def _write_all(handle: int, data: bytes) -> None:
    # Not through a buffered file: where the disk is full, that would try once more on closing.
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def write_json(path: Path, data: Any) -> None:
    """``data`` as indented JSON, atomically."""
    write_atomic(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        RunError: missing, unreadable or not an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: cannot be read ({error})") from error
    if not isinstance(data, dict):
        raise RunError(f"{path}: not a JSON object")
    return data


def provenance() -> dict[str, Any]:
    """Command, time, versions and hardware of this process, JSON-able."""
    versions = {"python": platform.python_version()}
    for name in _REPORTED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "command": ["mien", *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions,
        "hardware": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": processor(),
            "cores": cores(),
            "memory_gib": memory_gib(),
        },
    }
