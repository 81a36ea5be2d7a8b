"""Folders on disk or in an object store, by one small interface.

A place is a path or a URI: ``s3://``, ``gs://`` and ``hdfs://`` by pyarrow, any other scheme by
fsspec where that is installed with the package for it. Credentials are those of these libraries:
environment variables and the files they read.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mien.errors import DataError, OptionError, RunError
from mien.runs import mend, write_atomic


class Stored(NamedTuple):
    """A file below a store's folder. path: from there, with ``/``. changed: mtime in ns, or 0."""

    path: str
    size: int
    changed: int


def open_store(place: str | Path) -> "Store":
    """The folder at ``place``; whether it exists is found out on use.

    Raises:
        OptionError: a scheme that neither pyarrow nor an installed fsspec knows.
    """
    text = str(place)
    if "://" not in text:
        return Store(text, None, os.path.abspath(text))  # noqa: PTH100  links are kept
    from pyarrow import fs

    try:
        system, base = fs.FileSystem.from_uri(text)
    except (OSError, ValueError) as error:
        system, base = _by_fsspec(text, str(error))
    if isinstance(system, fs.LocalFileSystem):
        return Store(text, None, base)
    return Store(text, system, base.rstrip("/"))


def _by_fsspec(text: str, said: str) -> tuple[Any, str]:
    from pyarrow import fs

    try:
        import fsspec.core

        system, base = fsspec.core.url_to_fs(text)
    except (ImportError, OSError, ValueError) as error:
        raise OptionError(
            f"{text}: neither pyarrow ({said.splitlines()[0][:120]}) nor fsspec ({error}) opens it"
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(system)), str(base)


@dataclass(frozen=True)
class Store:
    """A folder. name: as it was given. system: of pyarrow; None for this machine's disk."""

    name: str
    system: Any
    base: str

    def files(self) -> Iterator[Stored]:
        """All files below the folder in no order, hidden ones (``.name``) left out.

        Raises:
            DataError: there is no such folder, or it cannot be read.
        """
        try:
            yield from self._on_disk() if self.system is None else self._in_store()
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read ({_why(error)})") from error

    def _on_disk(self) -> Iterator[Stored]:
        if not Path(self.base).is_dir():
            raise DataError(f"{self.name}: no such folder")
        for folder, folders, names in os.walk(self.base):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                if not name.startswith(".") and path.is_file():
                    found = path.stat()
                    below = path.relative_to(self.base).as_posix()
                    yield Stored(below, found.st_size, found.st_mtime_ns)

    def _in_store(self) -> Iterator[Stored]:
        from pyarrow import fs

        for found in self.system.get_file_info(fs.FileSelector(self.base, recursive=True)):
            below = str(PurePosixPath("/", found.path).relative_to(PurePosixPath("/", self.base)))
            if found.is_file and not any(part.startswith(".") for part in below.split("/")):
                yield Stored(below, int(found.size or 0), int(found.mtime_ns or 0))

    def read(self, path: str, limit: int) -> bytes:
        """A file's content, ``limit`` + 1 bytes at most.

        Raises:
            OSError: it cannot be read.
        """
        if self.system is None:
            with Path(self.base, path).open("rb") as file:
                return file.read(limit + 1)
        with self.system.open_input_stream(f"{self.base}/{path}") as stream:
            return bytes(stream.read(limit + 1))

    def names(self) -> list[str]:
        """The files right in the folder, which is made if it is not there.

        Raises:
            RunError: it cannot be made or read.
        """
        try:
            if self.system is None:
                Path(self.base).mkdir(parents=True, exist_ok=True)
                return sorted(child.name for child in Path(self.base).iterdir())
            from pyarrow import fs

            self.system.create_dir(self.base, recursive=True)
            found = self.system.get_file_info(fs.FileSelector(self.base, allow_not_found=True))
            return sorted(one.base_name for one in found if one.is_file)
        except OSError as error:
            raise RunError(f"{self.name}: cannot be used ({_why(error)})") from error

    def write(self, name: str, content: bytes) -> None:
        """Put a file into the folder, whole or not at all.

        Raises:
            RunError: it cannot be written.
        """
        try:
            if self.system is None:
                write_atomic(Path(self.base, name), content)
                return
            # In an object store a file is there once the stream is closed, and then whole.
            with self.system.open_output_stream(f"{self.base}/{name}") as stream:
                stream.write(content)
        except OSError as error:
            where = f"{self.name}/{name}"
            raise RunError(f"{where}: cannot be written ({_why(error)}); {mend(error)}") from error

    def rename(self, name: str, to: str) -> None:
        """Rename a file of the folder."""
        try:
            if self.system is None:
                Path(self.base, name).replace(Path(self.base, to))
            else:
                self.system.move(f"{self.base}/{name}", f"{self.base}/{to}")
        except OSError as error:
            raise RunError(f"{self.name}/{name}: cannot be renamed ({_why(error)})") from error

    def remove(self, name: str) -> None:
        """Remove a file of the folder, if it is there."""
        try:
            if self.system is None:
                Path(self.base, name).unlink(missing_ok=True)
            elif name in self.names():
                self.system.delete_file(f"{self.base}/{name}")
        except OSError as error:
            raise RunError(f"{self.name}/{name}: cannot be removed ({_why(error)})") from error


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).splitlines()[0][:200]
