"""The cache saves time and nothing else: it can never make a reading fail or differ."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from mien.data import cache, sources
from mien.data.sources import read, read_pictures
from mien.errors import LayoutError
from mien.types import ImageSet
from picture_files import packed, png

FIELDS = ("images", "labels", "splits", "ids", "hashes")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    files = {f"{c}/{n}.png": png(n) for n, c in enumerate(("happy", "sad", "fear"))}
    return packed("zip", tmp_path, files | {"sad/bad.png": b"?", "sad/x.heic": b""})


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows whenever a source is really read."""
    calls: list[str] = []
    really = sources.open_files

    def counted(path: Path) -> object:
        calls.append(str(path))
        return really(path)

    monkeypatch.setattr(sources, "open_files", counted)
    return calls


def get(path: Path, **options: object) -> ImageSet:
    return read(path, skip_bad=True, **options)  # type: ignore[arg-type]


def same(a: ImageSet, b: ImageSet) -> bool:
    arrays = all(
        getattr(a, f).dtype == getattr(b, f).dtype and np.array_equal(getattr(a, f), getattr(b, f))
        for f in FIELDS
    )
    rest = ("classes", "fingerprint", "layout", "has_validation", "problems", "notes")
    return arrays and all(getattr(a, f) == getattr(b, f) for f in rest)


def entries() -> list[Path]:
    root = cache.folder()
    assert root is not None
    return sorted(root.iterdir()) if root.is_dir() else []


def test_a_hit_is_the_same_set_mapped_from_disk(source: Path, readings: list[str]) -> None:
    plain = get(source, cache=False)
    assert entries() == []
    first, second = get(source), get(source)
    assert len(readings) == 2
    assert same(plain, first)
    assert same(plain, second)
    assert second.problems
    assert not second.images.flags.writeable
    assert isinstance(second.images.base, np.memmap)


def test_every_option_and_every_change_is_another_entry(source: Path, tmp_path: Path) -> None:
    get(source)
    get(source, size=32)
    get(source, colour=True)
    get(source, classes="found")
    get(source, label_map={"sad": "fear"})
    get(source, format="folders")
    read_pictures(source, skip_bad=True)
    assert len(entries()) == 7
    before = get(source).fingerprint
    packed("zip", tmp_path, {"happy/0.png": png(7)})
    assert get(source).fingerprint != before
    assert len(entries()) == 8


def test_skip_bad_does_not_hide_errors_later(source: Path) -> None:
    get(source)
    with pytest.raises(Exception, match="bad"):
        read(source)


def test_a_changed_folder_is_read_again(tmp_path: Path, readings: list[str]) -> None:
    folder = packed("folder", tmp_path, {"happy/1.png": png(0)})
    first = read(folder)
    assert same(first, read(folder))
    assert len(readings) == 1
    packed("folder", tmp_path, {"happy/1.png": png(1)})
    os.utime(folder / "happy/1.png", ns=(5, 5))
    changed = read(folder)
    assert changed.fingerprint != first.fingerprint
    assert len(readings) == 2


@pytest.mark.parametrize("name", [*(f"{field}.npy" for field in FIELDS), "set.json"])
@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "gone", "folder"])
def test_a_damaged_entry_is_read_again_and_mended(
    name: str, harm: str, source: Path, readings: list[str]
) -> None:
    plain = get(source)
    (entry,) = entries()
    path = entry / name
    data = path.read_bytes()
    path.unlink()
    if harm == "cut":
        path.write_bytes(data[:-7])
    elif harm == "flip" and name == "set.json":
        path.write_text(json.dumps(json.loads(data) | {"version": 0}))
    elif harm == "flip":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "folder":
        path.mkdir()
    assert same(plain, get(source))
    assert len(readings) == 2
    assert same(plain, get(source))
    assert len(readings) == 2


def test_a_cache_that_cannot_be_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "file"))
    assert len(get(source)) == 3
    monkeypatch.delenv("MIEN_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert cache.folder() is None
    assert len(get(source)) == 3


def test_a_full_disk_leaves_nothing_behind(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert len(get(source)) == 3
    assert entries() == []


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    monkeypatch.setenv("HOME", "/c")
    assert cache.folder() == Path("/a/sources")
    monkeypatch.delenv("MIEN_CACHE")
    assert cache.folder() == Path("/b/mien/sources")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == Path("/c/.cache/mien/sources")


def test_what_was_used_longest_ago_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readings: list[str]
) -> None:
    paths = []
    for n in range(3):
        (tmp_path / str(n)).mkdir()
        paths.append(packed("zip", tmp_path / str(n), {"happy/1.png": png(n)}))
    read(paths[0])
    (oldest,) = entries()
    size = sum(f.stat().st_size for f in oldest.iterdir())
    monkeypatch.setattr(cache, "MAX_BYTES", 2 * size + size // 2)
    read(paths[1])
    for age, entry in enumerate(entries()):
        os.utime(entry, (time.time() - 100 - age,) * 2)
    read(paths[0])  # which makes it the newest
    read(paths[2])
    assert len(entries()) == 2
    assert oldest in entries()
    assert len(readings) == 3
    read(paths[0])
    read(paths[2])
    assert len(readings) == 3
    monkeypatch.setattr(cache, "MAX_BYTES", 10)
    assert len(read(packed("zip", tmp_path, {"sad/1.png": png(5)}))) == 1
    assert len(entries()) == 2


def test_what_a_crash_left_is_swept(source: Path) -> None:
    root = cache.folder()
    assert root is not None
    for name, age in ((".new-old", 2 * 24 * 3600), (".new-young", 60)):
        (root / name).mkdir(parents=True)
        os.utime(root / name, (time.time() - age,) * 2)
    get(source)
    names = [entry.name for entry in entries()]
    assert ".new-old" not in names
    assert ".new-young" in names


def test_errors_are_not_kept(tmp_path: Path) -> None:
    path = packed("zip", tmp_path, {"happy/1.png": b"?"})
    for _ in range(2):
        with pytest.raises(LayoutError):
            read(path, skip_bad=True)
    assert entries() == []
