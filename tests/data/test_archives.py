"""Archives that mean harm, or are broken: refused before any picture of them is believed."""

import gzip
import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from mien.data.archives import open_files
from mien.data.files import Folder, Limits, is_clutter, is_unsafe, shown
from mien.data.sources import read, read_pictures
from mien.errors import ArchiveError, DataError, LayoutError
from picture_files import packed, png

UNSAFE = ["/etc/passwd.png", "../out.png", "happy/../../out.png", "C:/x.png", "..\\out.png",
          "\\\\host\\x.png"]  # fmt: skip


def tar_of(path: Path, *members: tarfile.TarInfo | tuple[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
    return path


def refused(path: Path, message: str) -> None:
    """Both ways in refuse ``path`` with one line, skip_bad or not, and leave nothing behind."""
    before = sorted(path.parent.rglob("*"))
    for attempt in (read, read_pictures):
        for skip_bad in (False, True):
            with pytest.raises(ArchiveError, match=message) as caught:
                attempt(path, skip_bad=skip_bad, cache=False)
            assert "\n" not in str(caught.value)
            assert str(path) in str(caught.value)
    assert sorted(path.parent.rglob("*")) == before


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_lead_out(name: str, tmp_path: Path) -> None:
    refused(zip_of(tmp_path / "a.zip", ("happy/1.png", png(0)), (name, png(1))), "leads out")
    refused(tar_of(tmp_path / "a.tar.gz", ("happy/1.png", png(0)), (name, png(1))), "leads out")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("happy/2.png")
    info.type, info.linkname = kind, "/etc/passwd"
    path = tar_of(tmp_path / "a.tar", ("happy/1.png", png(0)), info, mode="w")
    refused(path, "happy/2.png: is a link, a device")


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("happy/2.png")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    refused(zip_of(tmp_path / "a.zip", ("happy/1.png", png(0)), (info, b"/etc/passwd")), "a link")


def test_an_entry_without_a_name(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("happy/1.png", png(0)), ("nothing.png", png(1)))
    path.write_bytes(path.read_bytes().replace(b"nothing.png", b"\0othing.png"))
    refused(path, "an entry has no name")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("happy/1.png", png(0)))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(mark) + offset
        data[place] |= 1
    path.write_bytes(data)
    refused(path, "happy/1.png: is encrypted")


def test_two_entries_of_one_name(tmp_path: Path) -> None:
    refused(tar_of(tmp_path / "a.tgz", ("a/1.png", png(0)), ("./a/1.png", png(1))), "two entries")


def test_a_bomb_in_a_zip(tmp_path: Path) -> None:
    bomb = bytes(64 * 2**20)
    refused(zip_of(tmp_path / "a.zip", ("happy/1.png", bomb)), "refused as a bomb")


def test_a_bomb_in_a_tar(tmp_path: Path) -> None:
    refused(tar_of(tmp_path / "a.tar.gz", ("happy/1.png", bytes(64 * 2**20))), "as a bomb")


def test_many_small_bombs_are_one(tmp_path: Path) -> None:
    """Each entry is below the bound by itself; what comes out of the archive is counted."""
    limits = Limits(slack=2**20, ratio=100)
    members = [(f"happy/{n}.png", bytes(2**19)) for n in range(20)]
    path = zip_of(tmp_path / "a.zip", *members)
    with open_files(path, limits) as files, pytest.raises(ArchiveError, match="bomb"):
        list(files.read_each(files.names))
    with pytest.raises(ArchiveError, match="bomb"):
        open_files(tar_of(tmp_path / "a.tgz", *members), limits)


def test_entries_that_share_their_bytes(tmp_path: Path) -> None:
    """Fifield's bomb: many names in the directory point to one compressed file."""
    path = zip_of(tmp_path / "a.zip", ("happy/0.png", bytes(2**20)))
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    copies = b"".join(entry.replace(b"happy/0.png", b"happy/%c.png" % c) for c in range(97, 123))
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 26, 26, len(copies))
    path.write_bytes(data[:start] + copies + tail)
    with open_files(path, Limits(slack=2**21, ratio=1000)) as files:
        assert len(files.names) == 26
        with pytest.raises(ArchiveError):
            list(files.read_each(files.names))


def test_a_table_is_counted_while_it_is_read(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("big.csv", bytes(2**21)))
    with open_files(path, Limits(slack=2**21, ratio=1)) as files:
        with files.open("big.csv") as stream:
            stream.read(2**20)
        files.limits = Limits(slack=2**20, ratio=1)
        with files.open("big.csv") as stream, pytest.raises(ArchiveError, match="bomb"):
            stream.read()


def test_an_endless_header_in_a_tar(tmp_path: Path) -> None:
    info = tarfile.TarInfo("happy/1.png")
    info.pax_headers = {"comment": "x" * 5_000_000}
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    refused(path, "header is absurdly long")


def test_limits_on_number_total_and_one_file(tmp_path: Path) -> None:
    members = {f"happy/{n}.png": png(n) for n in range(5)}
    for kind in ("folder", "zip", "tar.gz"):
        path = packed(kind, tmp_path, members)
        with pytest.raises(ArchiveError, match="more than 4 files"):
            open_files(path, Limits(entries=4))
        with open_files(path, Limits(picture=100)) as files:
            assert all("over 100 bytes" in str(data) for _, data in files.read_each(files.names))
    for kind in ("zip", "tar"):
        with pytest.raises(ArchiveError):
            open_files(packed(kind, tmp_path, members), Limits(total=5000))
        with pytest.raises(ArchiveError, match="bomb"):
            open_files(packed(kind, tmp_path, members), Limits(member=1000))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_cut_off_anywhere(kind: str, tmp_path: Path) -> None:
    path = packed(kind, tmp_path, {f"happy/{n}.png": png(n, 16) for n in range(6)})
    whole = path.read_bytes()
    # A tar ends in 10 KB of zeros, of which only the first block is needed.
    end = len(whole.rstrip(b"\0")) if kind == "tar" else len(whole) - 1
    for length in range(1, end, max(1, end // 40)):
        path.write_bytes(whole[:length])
        with pytest.raises((ArchiveError, LayoutError)) as caught:
            read(path, cache=False, skip_bad=True)
        assert "\n" not in str(caught.value)
    for length in (512, end // 2, end):
        path.write_bytes(whole[:length])
        with pytest.raises(ArchiveError, match="truncated or broken"):
            read(path, cache=False, skip_bad=True)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_flipped_bytes_never_raise_anything_else(kind: str, tmp_path: Path) -> None:
    path = packed(kind, tmp_path, {f"happy/{n}.png": png(n, 16) for n in range(3)})
    whole = path.read_bytes()
    survived, messages = 0, list[str]()
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        try:
            survived += len(read(path, cache=False, skip_bad=True)) == 3
        except DataError as error:
            messages.append(str(error))
    assert messages
    assert not any("\n" in message for message in messages)
    if kind == "tar.gz":
        assert survived <= 12  # gzip's header has bytes that do not matter, its content none


def test_a_gzip_that_holds_no_tar(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"emotion,pixels\n" * 100))
    with pytest.raises(ArchiveError):
        read(tmp_path / "a.csv.gz")


def test_the_kind_shows_in_the_bytes_not_in_the_name(tmp_path: Path) -> None:
    for kind in ("zip", "tar", "tar.gz"):
        path = packed(kind, tmp_path, {"happy/1.png": png(0)})
        odd = path.rename(tmp_path / f"odd-{kind.replace('.', '')}.bin")
        assert len(read(odd)) == 1


def test_windows_separators_in_a_zip(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("train/happy/1.png", png(0)))
    path.write_bytes(path.read_bytes().replace(b"train/happy/1.png", b"train\\happy\\1.png"))
    assert read(path).ids.tolist() == ["train/happy/1.png"]


def test_links_in_a_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(png(9))
    folder = packed("folder", tmp_path, {"happy/1.png": png(0)})
    (folder / "happy/2.png").symlink_to(outside / "secret.png")
    (folder / "sad").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "happy/3.png").symlink_to(folder / "happy/1.png")
    os.mkfifo(folder / "happy/4.png")
    images = read(folder)
    assert images.ids.tolist() == ["happy/1.png", "happy/3.png"]
    assert images.notes == ("3 links to folders, or out of the source, were not followed",)


def test_a_tar_is_read_front_to_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many entries: a listing and one reading, in stored order, without seeking."""
    names = [f"happy/{n}.png" for n in (5, 3, 1, 4, 2)]
    path = packed("tar.gz", tmp_path, {name: png(n) for n, name in enumerate(names)})
    opened: list[int] = []
    unpack = gzip.GzipFile

    class Once(unpack):  # type: ignore[misc, valid-type]
        def __init__(self, fileobj: object) -> None:
            opened.append(1)
            super().__init__(fileobj=fileobj)

        def seek(self, *_: object) -> int:
            raise AssertionError("seeks")

    monkeypatch.setattr(gzip, "GzipFile", Once)
    with open_files(path) as files:
        assert [name for name, _ in files.read_each(files.names)] == names
    assert len(opened) == 2


def test_names() -> None:
    assert all(map(is_unsafe, UNSAFE))
    assert not any(map(is_unsafe, ["a/b..c.png", "...", "a:b"]))
    assert all(map(is_clutter, ["a/.DS_Store", "__MACOSX/a", "a/Thumbs.db", ".x/a.png"]))
    assert not is_clutter("a/b.png")
    assert shown("a\nb\x1b[0m\udcff") == "a\\nb\\x1b[0m\\udcff"
    assert len(shown("x" * 1000)) == 120


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    (tmp_path / os.fsdecode(b"happy/\xff.png")).write_bytes(png(0))
    (identity,) = read(tmp_path).ids.tolist()
    assert identity == "happy/\\udcff.png"
    assert identity.encode()


def test_a_folder_key_follows_change(tmp_path: Path) -> None:
    folder = packed("folder", tmp_path, {"happy/1.png": png(0)})
    keys = [Folder(folder, Limits()).key()]
    os.utime(folder / "happy/1.png", ns=(1, 1))
    keys.append(Folder(folder, Limits()).key())
    packed("folder", tmp_path, {"happy/2.png": png(1)})
    keys.append(Folder(folder, Limits()).key())
    assert len(set(keys)) == 3
