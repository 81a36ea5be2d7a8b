"""What differs from one operating system to another: cores, locks, durable and plain files.

Linux is where mien is made and tested. macOS has no list of the cores that a process may use;
Windows has neither that, nor ``flock``, nor folders that can be opened.
"""

import contextlib
import errno
import os
import platform
from pathlib import Path
from typing import IO, Any

from mien.errors import OptionError

_LOCKED_BYTE = 2**31 - 1024  # Windows locks bytes and keeps others from reading them


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: int) -> None:
    """Refuse more threads than cores: they wait for each other, and slow the whole machine down.

    Raises:
        OptionError: there are fewer cores.
    """
    if threads > cores():
        raise OptionError(f"--threads {threads}: this process may use {cores()} cores")


def processor() -> str:
    """The name of the processor."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """The machine's memory in GiB; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return None


def keep_freed_memory() -> bool:
    """Have the allocator keep what is freed for the next request; whether it can.

    glibc gives large blocks back to the system at once, and each step of training asks for as many
    again, every page of which the system clears anew: a sixth of a step's time. For processes that
    do one large job and end: what lies below a block that lives stays with the process.
    """
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, TypeError, AttributeError):
        return False
    trim_threshold, mmap_max = -1, -4  # as in malloc.h
    return bool(mallopt(trim_threshold, 2**31 - 1) and mallopt(mmap_max, 0))


def lock(file: IO[Any]) -> None:
    """Lock an open file for this process, until it is closed; the system frees it on a crash.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file system has no locks.
    """
    try:
        import fcntl
    except ImportError:
        _lock_byte(file)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_byte(file: IO[Any]) -> None:
    import msvcrt  # Windows alone has it

    handle = file.fileno()
    place = os.lseek(handle, 0, os.SEEK_CUR)
    os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    finally:
        os.lseek(handle, place, os.SEEK_SET)


def sync_folder(path: Path) -> None:
    """Make renames in ``path`` durable, where folders can be opened."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def mute(stream: IO[Any]) -> None:
    """Let what is written to ``stream`` from here on go nowhere: its reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def open_to_all(path: Path | str) -> None:
    """Give a temporary file, which is private, the rights that ``open()`` would have given it."""
    mask = os.umask(0o077)
    os.umask(mask)
    Path(path).chmod(0o666 & ~mask)
