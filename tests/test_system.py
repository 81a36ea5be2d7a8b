"""Locks, and mien as other systems than Linux would run it: without what they have not."""

import errno
import fcntl
import os
import platform
import struct
import subprocess
import sys
import types
from pathlib import Path

import pytest
from PIL import Image

from mien import system
from mien.data.synthetic import generate
from mien.errors import RunError
from mien.predict.record import Record

# Takes from this process what other systems have not, then runs mien on what follows.
_ELSEWHERE = """
import os, runpy, sys
sys.path.insert(0, sys.argv.pop(1))
from test_system import fake_msvcrt
missing = sys.argv.pop(1)
del os.sched_getaffinity
if missing == "windows":
    sys.modules["msvcrt"] = fake_msvcrt()
    sys.modules["fcntl"] = sys.modules["resource"] = None
    del os.killpg, os.sysconf
runpy.run_module("mien", run_name="__main__")
"""


def fake_msvcrt() -> types.ModuleType:
    """Windows' locks of bytes, made of Linux's: a lock belongs to the open file."""
    module = types.ModuleType("msvcrt")

    def locking(handle, mode, count):
        assert mode == "nonblocking"
        start = os.lseek(handle, 0, os.SEEK_CUR)
        # A lock of Windows keeps others from reading what it covers, so nothing may lie there.
        assert start >= os.fstat(handle).st_size
        wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, start, count, 0)
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, wanted)  # a BlockingIOError is an OSError

    module.locking, module.LK_NBLCK = locking, "nonblocking"
    return module


@pytest.fixture(params=["linux", "windows"])
def _kind(request, monkeypatch):
    if request.param == "windows":
        monkeypatch.setitem(sys.modules, "msvcrt", fake_msvcrt())
        monkeypatch.setitem(sys.modules, "fcntl", None)


@pytest.mark.usefixtures("_kind")
def test_a_lock_is_held_until_its_file_is_closed(tmp_path):
    place = tmp_path / "file"
    place.write_bytes(b"one\ntwo\n")
    with place.open("r+b") as first, place.open("r+b") as second:
        assert first.readline() == b"one\n"
        system.lock(first)
        assert first.readline() == b"two\n"  # read on from where it stood
        with pytest.raises(BlockingIOError):
            system.lock(second)
        assert second.readline() == b"one\n"
        first.close()
        system.lock(second)


@pytest.mark.parametrize("kind", ["linux", "windows"])
def test_a_file_system_without_locks_is_said_to_be_one(tmp_path, monkeypatch, kind):
    def without(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if kind == "windows":
        module = fake_msvcrt()
        module.locking = without
        monkeypatch.setitem(sys.modules, "msvcrt", module)
        monkeypatch.setitem(sys.modules, "fcntl", None)
    else:
        monkeypatch.setattr(fcntl, "flock", without)
    with pytest.raises(RunError, match=r"scored.jsonl: cannot be locked \(No locks available\)"):
        Record(tmp_path / "scored.jsonl", {})


def test_windows_folders_are_not_opened(tmp_path, monkeypatch):
    def refused(path, *_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError):
        system.sync_folder(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        system.sync_folder(tmp_path)


@pytest.mark.parametrize("other", ["macos", "windows"])
def test_pictures_are_read_on_other_systems(tmp_path, other):
    Image.fromarray(generate(1, seed=0).images[0, 0]).save(tmp_path / "face.png")
    done = _elsewhere(other, tmp_path, "predict", "face.png", "--detector", "none",
                      "--csv", "faces.csv", "--annotate", "marked")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    rows = (tmp_path / "faces.csv").read_text().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith("face.png,")
    assert (tmp_path / "marked" / "face.png").exists()


@pytest.mark.parametrize("other", ["macos", "windows"])
def test_networks_are_trained_on_other_systems(tmp_path, other):
    made = _elsewhere(other, tmp_path, "draw", "faces.zip", "--count", 140)
    assert made.returncode == 0, made.stderr
    done = _elsewhere(other, tmp_path, "train", "faces.zip", "--recipe", "tiny", "--epochs", 1,
                      "--out", "run", "--no-report", "--threads", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.safetensors").exists()


def _elsewhere(other, folder, *arguments):
    command = [sys.executable, "-c", _ELSEWHERE, Path(__file__).parent, other, *arguments]
    return subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True,
                          check=False, timeout=300)  # fmt: skip


_FAULTS = """
import resource, sys
import numpy as np
from mien.system import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
np.ones(4_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(4_000_000)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator can be told")
def test_freed_memory_is_kept_so_that_the_system_need_not_clear_it_again():
    def page_faults(word):
        command = [sys.executable, "-c", _FAULTS, word]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return tuple(map(int, done.stdout.split()))

    assert page_faults("as it is")[0] == 0
    kept, faults = page_faults("keep")
    assert kept == 1
    # 32 MB are 7,813 pages of 4 KiB, ten times over.
    assert faults < page_faults("as it is")[1] / 5


def test_where_the_allocator_cannot_be_told_nothing_happens(monkeypatch):
    def absent(name):
        raise TypeError(f"bad argument type: {name}")  # what Windows answers to CDLL(None)

    monkeypatch.setattr("ctypes.CDLL", absent)
    assert system.keep_freed_memory() is False
