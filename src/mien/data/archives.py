"""One view on a folder, a .zip, a .tar(.gz) or a single file: names, and bytes by name.

Nothing is ever unpacked to disk. An archive is hostile until shown otherwise: entries whose names
lead outside, links, devices, encryption and bombs are refused, and the limits are enforced on the
bytes that really come out, not on what a header claims. Knows nothing of pictures.
"""

import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self, cast

from mien.data.files import MIB, Files, Folder, Limits, OneFile, is_unsafe, reason, shown
from mien.errors import ArchiveError, DataError, LayoutError, RecordError

# What tarfile may read beyond a member's own bytes before the next header is known; a longer
# extended header has no honest use.
_TAR_HEADERS = 2 * MIB
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


def open_files(path: Path, limits: Limits | None = None) -> Files:
    """The view that fits ``path``; what kind it is shows in its first bytes, not in its name.

    Raises:
        LayoutError: no such file, or neither folder, csv, zip nor tar.
        ArchiveError: an archive that is broken or refused.
        DataError: it cannot be read.
    """
    limits = limits or Limits()
    with _reachable(path):
        if path.is_dir():
            return Folder(path, limits)
        with path.open("rb") as file:
            head = file.read(512)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06") or path.suffix.lower() == ".zip":
        return Zip(path, limits)
    if head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar" or _is_tar_name(path.name):
        return Tar(path, limits, packed=head[:2] == b"\x1f\x8b")
    if path.suffix.lower() == ".csv":
        return OneFile(path, limits)
    raise LayoutError(f"{path}: neither a folder, a .csv, a .zip nor a .tar.gz")


def source_key(path: Path) -> str:
    """Hex SHA-256 that changes when the source does: of a file's bytes, or see ``Folder.key``.

    Raises:
        LayoutError: no such file. DataError: it cannot be read.
    """
    with _reachable(path):
        files = Folder(path, Limits()) if path.is_dir() else OneFile(path, Limits())
        return files.key()


@contextmanager
def _reachable(path: Path) -> Iterator[None]:
    """Turn what the system says of ``path`` into errors of ours; refuse devices and pipes."""
    try:
        if path.exists() and not (path.is_dir() or path.is_file()):
            raise LayoutError(f"{path}: neither a folder nor a plain file")
        yield
    except FileNotFoundError as error:
        raise LayoutError(f"{path}: no such file or folder") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({reason(error)})") from error


def _is_tar_name(name: str) -> bool:
    return name.lower().endswith((".tar", ".tar.gz", ".tgz"))


class _Meter:
    """Counts the bytes that come out of an archive and stops a bomb."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._packed = files.path.stat().st_size
        self._spent = 0

    def add(self, number: int) -> None:
        self._spent += number
        limits = self._files.limits
        too_dense = self._spent > max(limits.slack, limits.ratio * self._packed)
        if too_dense or self._spent > limits.total:
            raise ArchiveError(
                f"{self._files.path}: unfolds from {self._packed:,} to more than "
                f"{self._spent:,} bytes, which is refused as a bomb; unpack it and give the folder"
            )


class _Guarded(io.RawIOBase):
    """A stream that counts, and that turns whatever the unpacking raises into ArchiveError.

    allowance: bytes that may still be read; None for no such bound.
    """

    def __init__(self, source: BinaryIO, files: Files, meter: _Meter) -> None:
        self._source = source
        self._files = files
        self._meter = meter
        self.allowance: int | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with broken_archive(self._files.path):
            data = self._source.read(len(buffer))
        self._meter.add(len(data))
        if self.allowance is not None:
            self.allowance -= len(data)
            if self.allowance < 0:
                raise ArchiveError(f"{self._files.path}: an entry's header is absurdly long")
        buffer[: len(data)] = data
        return len(data)


def _buffered(source: BinaryIO, files: Files) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Guarded(source, files, _Meter(files)), MIB))


def _tidy(name: str) -> str:
    """An entry's name with ``/`` (Windows writes ``\\``) and without ``./``."""
    return str(PurePosixPath(name.replace("\\", "/")))


@contextmanager
def broken_archive(path: Path) -> Iterator[None]:
    """Turn what unpacking raises on broken bytes into one ArchiveError."""
    try:
        yield
    except DataError:
        raise
    except _BROKEN as error:
        raise ArchiveError(
            f"{path}: the archive is truncated or broken ({reason(error)}); fetch it again"
        ) from error


class Zip(Files):
    """A zip archive."""

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(path, limits)
        with broken_archive(path):
            self._zip = zipfile.ZipFile(path)
        try:
            infos = self._zip.infolist()
            self.check_count(len(infos))
            for info in infos:
                self._check(info)
            if sum(info.file_size for info in infos) > limits.total:
                raise ArchiveError(f"{path}: holds more than {limits.total:,} bytes; split it")
            plain = [info for info in infos if not info.is_dir()]
            names = [_tidy(info.filename) for info in plain]
            self.names = self.check_names(names)
            self._infos = dict(zip(names, plain, strict=True))
        except BaseException:
            self._zip.close()
            raise

    def _check(self, info: zipfile.ZipInfo) -> None:
        where = f"{self.path}: {shown(info.filename)}"
        if not info.filename:  # of which zipfile itself makes an IndexError
            raise ArchiveError(f"{self.path}: an entry has no name; pack the files again")
        if is_unsafe(info.filename):
            self.check_names([info.filename])
        if info.flag_bits & 0x1:
            raise ArchiveError(f"{where}: is encrypted; unpack it and give the folder")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveError(f"{where}: is a link or a device; pack plain files only")
        dense = info.file_size > max(self.limits.slack, self.limits.ratio * info.compress_size)
        if dense or info.file_size > self.limits.member:
            raise ArchiveError(
                f"{where}: unfolds from {info.compress_size:,} to {info.file_size:,} bytes, "
                "which is refused as a bomb; unpack it and give the folder"
            )

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """See ``Files.open``."""
        with broken_archive(self.path):
            source = cast(BinaryIO, self._zip.open(self._infos[name]))
        with source:
            yield _buffered(source, self)

    def read_each(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | RecordError]]:
        """See ``Files.read_each``."""
        meter = _Meter(self)
        limit = self.limits.picture
        for name in sorted(names, key=lambda name: self._infos[name].header_offset):
            info = self._infos[name]
            with broken_archive(self.path), self._zip.open(info) as file:
                data = file.read(limit + 1)
            meter.add(len(data))
            yield name, data if len(data) <= limit else RecordError(f"over {limit:,} bytes")

    def close(self) -> None:
        """See ``Files.close``."""
        self._zip.close()


class _StrictTarInfo(tarfile.TarInfo):
    """Headers of which a bad one is an error: tarfile takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"no end-of-archive mark: {error}") from error


class Tar(Files):
    """A tar archive, gzipped or not, read from front to back and never backwards.

    Listing it is one pass, reading from it another, however many entries there are.
    """

    def __init__(self, path: Path, limits: Limits, *, packed: bool) -> None:
        super().__init__(path, limits)
        self._packed = packed
        names: list[str] = []
        for name, _ in self._entries():
            names.append(name)
            self.check_count(len(names))
        self.names = self.check_names(names)

    def _entries(self) -> Generator[tuple[str, BinaryIO], None, None]:
        """Name and stream of each plain file, each stream good until the next is asked for."""
        with broken_archive(self.path), self.path.open("rb") as raw:
            source = cast(BinaryIO, gzip.GzipFile(fileobj=raw) if self._packed else raw)
            guarded = _Guarded(source, self, _Meter(self))
            guarded.allowance = _TAR_HEADERS
            with tarfile.open(fileobj=guarded, mode="r|", tarinfo=_StrictTarInfo) as archive:
                while (info := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined]  # it keeps all it met
                    self._check(info)
                    guarded.allowance = info.size + _TAR_HEADERS
                    if info.isreg():
                        file = archive.extractfile(info)
                        assert file is not None
                        yield _tidy(info.name), cast(BinaryIO, file)
            guarded.allowance = None
            while guarded.read(MIB):  # a damaged tail shows only in gzip's last checksum
                pass

    def _check(self, info: tarfile.TarInfo) -> None:
        where = f"{self.path}: {shown(info.name)}"
        if is_unsafe(info.name):
            self.check_names([info.name])
        if not (info.isreg() or info.isdir()) or info.issparse():
            raise ArchiveError(f"{where}: is a link, a device or sparse; pack plain files only")
        if info.size > self.limits.member:
            raise ArchiveError(f"{where}: {info.size:,} bytes are refused as a bomb")

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """See ``Files.open``."""
        with closing(self._entries()) as entries:
            for found, file in entries:
                if found == name:
                    yield _buffered(file, self)
                    return
        raise DataError(f"{self.path}: {shown(name)}: no such entry")

    def read_each(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | RecordError]]:
        """See ``Files.read_each``."""
        wanted = set(names)
        limit = self.limits.picture
        for name, file in self._entries():
            if name in wanted:
                with broken_archive(self.path):
                    data = file.read(limit + 1)
                yield name, data if len(data) <= limit else RecordError(f"over {limit:,} bytes")
