"""One view on the files of a source: names, and bytes by name. Here folders and single files.

``archives.py`` adds zip and tar and chooses the view. Knows nothing of pictures.
"""

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from mien.errors import ArchiveError, DataError, RecordError, printable

MIB = 2**20
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a source may unfold to.

    picture: bytes of one file read whole. member: bytes of one entry. total: bytes of all.
    entries: how many there may be. ratio: unpacked over packed bytes, looked at once more than
    ``slack`` bytes came out (deflate reaches 1032; pictures and tables stay below 10).
    """

    picture: int = 64 * MIB
    member: int = 8 * 1024 * MIB
    total: int = 64 * 1024 * MIB
    entries: int = 2_000_000
    ratio: int = 200
    slack: int = 32 * MIB


class Files(ABC):
    """The files of a source.

    path: the source. names: ``/``-separated names relative to it, sorted, without clutter such as
    ``.DS_Store`` or ``__MACOSX``. notes: sentences on what was left out.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self.names: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()

    @abstractmethod
    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The bytes of ``name`` as a stream, read once from its beginning.

        Raises:
            DataError: it cannot be opened; reading may raise ArchiveError.
        """

    @abstractmethod
    def read_each(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | RecordError]]:
        """Each of ``names`` with its bytes, in the order in which the source stores them.

        A file which by itself cannot be read comes with a RecordError instead of bytes.

        Raises:
            ArchiveError: the archive is broken or unfolds to too much.
        """

    def key(self) -> str:
        """Hex SHA-256 that changes whenever the source does: of its bytes."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while chunk := file.read(MIB):
                digest.update(chunk)
        return digest.hexdigest()

    def close(self) -> None:  # noqa: B027  most sources hold nothing open
        """Let go of the source."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check_names(self, names: list[str]) -> tuple[str, ...]:
        """``names`` sorted and without clutter; refuses unsafe ones and doubles."""
        for name in names:
            if is_unsafe(name):
                raise ArchiveError(
                    f"{self.path}: the entry {shown(name)} leads out of the archive; "
                    "pack it again with relative names"
                )
        if len(set(names)) < len(names):
            seen: set[str] = set()
            double = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise ArchiveError(f"{self.path}: two entries are called {shown(double)}; keep one")
        return tuple(sorted(name for name in names if not is_clutter(name)))

    def check_count(self, number: int) -> None:
        """Refuse more files than the limit."""
        if number > self.limits.entries:
            raise ArchiveError(
                f"{self.path}: more than {self.limits.entries:,} files; split it into parts"
            )


def is_unsafe(name: str) -> bool:
    """Whether an entry's name is absolute, climbs with ``..`` or holds a NUL."""
    plain = name.replace("\\", "/")
    climbs = ".." in plain.split("/")
    return plain.startswith("/") or climbs or "\0" in name or bool(re.match("[A-Za-z]:/", plain))


def is_clutter(name: str) -> bool:
    """Whether ``name`` is a hidden file or one that an operating system leaves behind."""
    parts = name.split("/")
    return any(part.startswith(".") or part.casefold() in _CLUTTER for part in parts)


def shown(name: str) -> str:
    """``name`` fit for one line of a message: control characters escaped, at most 120 long."""
    text = printable(name)
    return text if len(text) <= 120 else f"{text[:60]}…{text[-59:]}"


def reason(error: BaseException) -> str:
    """What ``error`` says, in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shown(" ".join(text.split())) or type(error).__name__


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason(error)})") from error


class Folder(Files):
    """A folder and all below it. Links are followed only to files inside it."""

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(path, limits)
        self._root = path.resolve()
        self._stats: dict[str, tuple[int, int]] = {}
        left = self._walk()
        self.names = tuple(sorted(self._stats))
        if left:
            self.notes = (f"{left:,} links to folders, or out of the source, were not followed",)

    def _walk(self) -> int:
        """Fill ``_stats``; the number of links that were not followed."""
        left = 0
        pending = [""]
        while pending:
            prefix = pending.pop()
            try:
                entries = list(os.scandir(self._root / prefix))
            except OSError as error:
                raise DataError(
                    f"{self.path}: {shown(prefix)}: cannot be read ({reason(error)})"
                ) from error
            for entry in entries:
                name = prefix + entry.name
                if is_clutter(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                elif self._is_ours(entry):
                    info = entry.stat()
                    self._stats[name] = (info.st_size, info.st_mtime_ns)
                else:
                    left += entry.is_symlink()
            self.check_count(len(self._stats))
        return left

    def _is_ours(self, entry: os.DirEntry[str]) -> bool:
        if not entry.is_symlink():
            return entry.is_file()
        target = Path(entry.path).resolve()
        return target.is_relative_to(self._root) and target.is_file()

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """See ``Files.open``."""
        return _opened(self._root / name)

    def read_each(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | RecordError]]:
        """See ``Files.read_each``."""
        limit = self.limits.picture
        for name in names:
            try:
                with (self._root / name).open("rb") as file:
                    data = file.read(limit + 1)
            except OSError as error:
                yield name, RecordError(reason(error))
                continue
            yield name, data if len(data) <= limit else RecordError(f"over {limit:,} bytes")

    def key(self) -> str:
        """Hex SHA-256 of names, sizes and times of change.

        Hashing what the files hold would cost as much as reading them, which the key is there to
        save. A file replaced by one of equal size and equal time to the nanosecond goes unseen.
        """
        digest = hashlib.sha256()
        for name in self.names:
            digest.update(f"{name}\0{self._stats[name]}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


class OneFile(Files):
    """A single file, such as a csv."""

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(path, limits)
        self.names = (path.name,)

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """See ``Files.open``."""
        return _opened(self.path)

    def read_each(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | RecordError]]:
        """See ``Files.read_each``."""
        with self.open(self.path.name) as file:
            yield self.path.name, file.read(self.limits.picture)
