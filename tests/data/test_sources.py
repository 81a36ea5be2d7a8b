"""Each layout, wherever it is packed, and what all layouts share."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data import sources
from mien.data.sources import FORMATS, read, read_pictures
from mien.errors import DataError, LayoutError, OptionError, RecordError
from mien.labels import CLASSES
from mien.types import SPLITS, ImageSet
from picture_files import KINDS, encoded, face, packed, png


def splits_of(images: ImageSet) -> list[str]:
    return [SPLITS[s] for s in images.splits]


def named(images: ImageSet) -> dict[str, tuple[str, str]]:
    """Id to split and class."""
    labels = [images.classes[k] if k >= 0 else "" for k in images.labels]
    return dict(zip(images.ids.tolist(), zip(splits_of(images), labels, strict=True), strict=True))


def csv_of(rows: list[tuple[str, str, str]], header: str = "emotion,pixels,Usage") -> bytes:
    return "\n".join([header, *(",".join(row) for row in rows)]).encode()


def pixels(seed: int, side: int = 48) -> str:
    return " ".join(map(str, face(seed, side).ravel().tolist()))


FER_ROWS = [("3", pixels(0), "Training"), ("0", pixels(1), "PublicTest"),
            ("6", pixels(2), "PrivateTest")]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_class_folders(kind: str, tmp_path: Path) -> None:
    files = {
        "fer/train/happy/1.png": png(0),
        "fer/train/Anger/deeper/2.png": png(1),
        "fer/test/sad/3.png": png(2),
        "fer/test/sad/PublicTest_4.png": png(3),
        "fer/train/sad/PrivateTest_5.png": png(4),
        "fer/README.txt": b"words",
        "fer/train/happy/.DS_Store": b"junk",
        "__MACOSX/fer/train/happy/._1.png": b"junk",
        "fer/train/happy/Thumbs.db": b"junk",
    }
    images = read(packed(kind, tmp_path, files))
    assert images.layout == "folders"
    assert images.classes == CLASSES
    assert images.has_validation
    assert images.notes == ()
    assert named(images) == {
        "fer/train/happy/1.png": ("train", "happy"),
        "fer/train/Anger/deeper/2.png": ("train", "angry"),
        "fer/test/sad/3.png": ("test", "sad"),
        "fer/test/sad/PublicTest_4.png": ("validation", "sad"),
        "fer/train/sad/PrivateTest_5.png": ("test", "sad"),
    }
    place = images.ids.tolist().index("fer/test/sad/3.png")
    np.testing.assert_array_equal(images.images[place, 0], face(2))
    assert images.images.dtype == np.uint8
    assert images.labels.dtype == np.int64


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spaced", [False, True])
def test_fer2013_csv(kind: str, spaced: bool, tmp_path: Path) -> None:
    if spaced:
        rows = [(label, usage, values) for label, values, usage in FER_ROWS]
        files = {"icml_face_data.csv": csv_of(rows, "emotion, Usage, pixels")}
    else:
        files = {"fer2013/fer2013.csv": csv_of(FER_ROWS), "fer2013/README": b"words"}
    images = read(packed(kind, tmp_path, files))
    assert images.layout == "fer2013-csv"
    assert named(images) == {
        "row 2": ("train", "happy"),
        "row 3": ("validation", "angry"),
        "row 4": ("test", "neutral"),
    }
    np.testing.assert_array_equal(images.images[:, 0], [face(0), face(1), face(2)])


def test_a_csv_by_itself_and_without_usage(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(csv_of([(label, p) for label, p, _ in FER_ROWS], "emotion,pixels"))  # type: ignore[misc]
    assert splits_of(read(path)) == ["train"] * 3
    (tmp_path / "test.csv").write_bytes(b"pixels\n" + pixels(5).encode())
    assert splits_of(read(tmp_path)) == ["train"] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_course(kind: str, tmp_path: Path) -> None:
    files = {f"{n:05}.jpg": png(n) for n in (1, 2, 3, 10)}
    files |= {"train.csv": b"id,label\n00001,3\n2,sad\n00010.jpg,0\n"}
    images = read(packed(kind, tmp_path, files))
    assert images.layout == "course"
    assert not images.has_validation
    assert named(images) == {
        "00001": ("train", "happy"),
        "00002": ("train", "sad"),
        "00003": ("test", ""),
        "00010": ("train", "angry"),
    }
    assert images.labels.tolist() == [3, 4, -1, 0]


def test_course_pictures_in_a_test_folder_are_not_listed(tmp_path: Path) -> None:
    files = {"train/1.png": png(1), "test/1.png": png(2), "train.csv": b"label,id\n5,1\n"}
    images = read(packed("folder", tmp_path, files))
    assert named(images) == {"train/1": ("train", "surprise"), "test/1": ("test", "")}


def test_a_single_file_cannot_be_a_course(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"id,label\n1,3\n")
    with pytest.raises(LayoutError, match="give the folder"):
        read(tmp_path / "train.csv")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["happy/a.png", "sad/b.png"], ["train", "train"]),
        (["x/y/happy/a.png", "x/y/sad/b.png"], ["train", "train"]),
        (["d/Validation/happy/a.png", "d/test/happy/b.png"], ["validation", "test"]),
        (["val/happy/a.png", "valid/happy/b.png"], ["validation", "validation"]),
        (["happy/a.png"], ["train"]),
        (["top/happy/a.png"], ["train"]),
        (["test/happy/a.png"], ["test"]),
        (["happy/subject1/a.png", "happy/subject2/b.png"], ["train", "train"]),
    ],
)
def test_where_splits_and_classes_may_lie(
    names: list[str], expected: list[str], tmp_path: Path
) -> None:
    images = read(packed("folder", tmp_path, {name: png(n) for n, name in enumerate(names)}))
    assert named(images).keys() == set(names)
    assert [named(images)[name][0] for name in names] == expected
    assert {named(images)[name][1] for name in names} <= {"happy", "sad"}


def test_pictures_outside_class_folders_are_noted(tmp_path: Path) -> None:
    files = {"happy/a.png": png(0), "banner.png": png(1), "happy/b.heic": b"?"}
    images = read(packed("zip", tmp_path, files))
    assert images.ids.tolist() == ["happy/a.png"]
    assert images.notes == (
        "1 picture outside any class folder left out",
        "files that are no pictures were left out (.heic 1)",
    )


def test_unknown_classes_are_one_error_that_names_them_and_the_mend(tmp_path: Path) -> None:
    files = {f"train/{c}/1.png": png(n) for n, c in enumerate(("happy", "contempt", "bored"))}
    path = packed("zip", tmp_path, files)
    with pytest.raises(LayoutError) as caught:
        read(path)
    message = str(caught.value)
    assert "bored, contempt" in message
    assert "beside happy" in message
    assert "--map contempt=disgust" in message
    assert "--classes found" in message
    assert "\n" not in message
    mapped = read(path, label_map={"contempt": "disgust", "bored": "neutral"})
    assert {c for _, c in named(mapped).values()} == {"happy", "disgust", "neutral"}
    found = read(path, classes="found")
    assert found.classes == ("bored", "contempt", "happy")
    assert named(found)["train/contempt/1.png"] == ("train", "contempt")
    both = read(path, classes="found", label_map={"contempt": "disgust"})
    assert both.classes == ("bored", "disgust", "happy")


def test_found_classes_keep_fer2013s_names_and_order(tmp_path: Path) -> None:
    files = {f"{c}/1.png": png(n) for n, c in enumerate(("Sadness", "joy", "anger"))}
    images = read(packed("folder", tmp_path, files), classes="found")
    assert images.classes == ("angry", "happy", "sad")
    assert named(images)["joy/1.png"] == ("train", "happy")


def test_format_overrules(tmp_path: Path) -> None:
    files = {"happy/1.png": png(0), "fer2013.csv": csv_of(FER_ROWS)}
    path = packed("zip", tmp_path, files)
    assert read(path).layout == "fer2013-csv"
    assert read(path, format="folders").ids.tolist() == ["happy/1.png"]
    with pytest.raises(OptionError, match="fer2013-csv, course, folders"):
        read(path, format="yaml")
    for format in FORMATS:
        with pytest.raises(LayoutError):
            read(packed("folder", tmp_path, {"notes.txt": b""}), format=format)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "nothing in it"),
        ({"a.txt": b""}, "no known layout"),
        ({"1.png": b""}, r"no known layout .*1 of them pictures"),
    ],
)
def test_no_layout(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(LayoutError, match=message):
        read(packed("folder", tmp_path, files))


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    for cache in (True, False):
        with pytest.raises(LayoutError, match="no such file"):
            read(tmp_path / "nowhere", cache=cache)
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(LayoutError, match="neither a folder"):
        read(tmp_path / "note.txt")
    with pytest.raises(DataError):
        read("nul\0byte")
    with pytest.raises(DataError):
        read(tmp_path / "note.txt/inside")
    os.mkfifo(tmp_path / "pipe.csv")
    for cache in (True, False):
        with pytest.raises(LayoutError, match="neither a folder nor a plain file"):
            read(tmp_path / "pipe.csv", cache=cache)


@pytest.mark.parametrize("size", [0, 7, 1025])
def test_sizes_that_make_no_sense(size: int, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--size"):
        read(tmp_path, size=size)


def test_conversions_are_counted_in_the_notes(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    files = {
        "happy/1.png": png(0),
        "happy/2.png": png(1, 96),
        "happy/3.png": encoded(Image.new("L", (30, 60), 9)),
        "happy/4.png": encoded(colour),
    }
    path = packed("zip", tmp_path, files)
    images = read(path)
    assert images.notes == (
        "2 pictures of other sizes resized to 48×48 (1 of them not square: squeezed)",
        "1 picture in colour made grey",
    )
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    np.testing.assert_array_equal(images.images[3, 0], grey)
    big = read(path, size=64, colour=True)
    assert big.images.shape == (4, 3, 64, 64)
    assert "3 pictures in grey repeated in three channels" in big.notes
    assert not np.array_equal(big.images[3, 0], big.images[3, 1])
    assert read(path, colour=True).images[3].tobytes() == colour.transpose(2, 0, 1).tobytes()


def test_a_broken_picture_is_an_error_or_is_skipped_and_listed(tmp_path: Path) -> None:
    files = {
        "happy/1.png": png(0),
        "happy/2.jpg": b"no picture",
        "sad/3.png": png(1)[:600],
        "sad/4.png": png(2),
    }
    path = packed("tar.gz", tmp_path, files)
    with pytest.raises(RecordError, match=r"happy/2.jpg: no picture in any of .*--skip-bad"):
        read(path)
    images = read(path, skip_bad=True)
    assert images.ids.tolist() == ["happy/1.png", "sad/4.png"]
    np.testing.assert_array_equal(images.images[:, 0], [face(0), face(2)])
    assert [problem.where for problem in images.problems] == ["happy/2.jpg", "sad/3.png"]
    assert "2 bad records left out" in images.notes
    with pytest.raises(LayoutError, match="no picture in it can be read"):
        read(packed("zip", tmp_path, {"happy/1.png": b""}), skip_bad=True)


def test_many_skipped_pictures_leave_the_others_where_they_belong(tmp_path: Path) -> None:
    files = {f"happy/{n}.png": png(n, 8) if n % 3 else b"bad" for n in range(40)}
    images = read(packed("zip", tmp_path, files), size=8, skip_bad=True)
    good = [n for n in range(40) if n % 3]
    assert images.ids.tolist() == [f"happy/{n}.png" for n in good]
    np.testing.assert_array_equal(images.images[:, 0], [face(n, 8) for n in good])


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_without_labels(kind: str, tmp_path: Path) -> None:
    files = {"10.png": png(0), "9.png": png(1), "sub/100.png": png(2), "a.txt": b"x"}
    images = read_pictures(packed(kind, tmp_path, files))
    assert images.ids.tolist() == ["9", "10", "100"]
    assert set(images.labels.tolist()) == {-1}
    assert set(splits_of(images)) == {"test"}
    assert images.classes == CLASSES
    np.testing.assert_array_equal(images.images[0, 0], face(1))


def test_ids_stay_unique(tmp_path: Path) -> None:
    folder = packed("folder", tmp_path, {"a/1.png": png(0), "b/1.png": png(1)})
    assert read_pictures(folder).ids.tolist() == ["a/1", "b/1"]
    packed("folder", tmp_path, {"a/1.bmp": encoded(face(2), "BMP")})
    assert read_pictures(folder).ids.tolist() == ["a/1.bmp", "a/1.png", "b/1.png"]
    with pytest.raises(LayoutError, match="no pictures"):
        read_pictures(packed("zip", tmp_path, {"a.txt": b""}))


def test_equal_pixels_have_equal_hashes_whatever_the_file(tmp_path: Path) -> None:
    files = {
        "happy/1.png": png(0),
        "sad/2.bmp": encoded(face(0), "BMP"),
        "sad/3.png": png(1),
    }
    first, second, third = read(packed("zip", tmp_path, files)).hashes.tolist()
    assert first == second != third
    assert len(first) == 32


def test_the_fingerprint_is_of_content_and_reading_not_of_the_container(tmp_path: Path) -> None:
    files = {"happy/1.png": png(0), "sad/2.png": png(1)}
    prints = {read(packed(kind, tmp_path, files)).fingerprint for kind in KINDS}
    assert len(prints) == 1
    zipped = packed("zip", tmp_path, files)
    changed = packed("tar", tmp_path, files | {"sad/2.png": png(2)})
    relabelled = packed("tgz", tmp_path, {"happy/1.png": png(0), "happy/2.png": png(1)})
    prints |= {
        read(changed).fingerprint,
        read(relabelled).fingerprint,
        read(zipped, colour=True).fingerprint,
        read(zipped, size=32).fingerprint,
        read(zipped, classes="found").fingerprint,
    }
    assert len(prints) == 6


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    files = {f"happy/{n}.png": png(n, 8) for n in range(600)}
    read(packed("zip", tmp_path, files), progress=lambda *what: told.append(what))
    reading = [done for stage, done, total in told if stage == "reading pictures"]
    assert reading == [0, 256, 512, 600]
    assert {total for _, _, total in told} == {600}


def test_synthetic_faces_are_split_in_tenths_and_depend_on_the_seed() -> None:
    images = read("synthetic:200")
    assert images.layout == "synthetic"
    assert images.has_validation
    assert [len(images.where(s)) for s in SPLITS] == [160, 20, 20]
    assert images.images.shape == (200, 1, 48, 48)
    assert set(images.labels.tolist()) == set(range(7))
    assert read("synthetic:200").fingerprint == images.fingerprint
    other = read("synthetic:200:seed=3", colour=True, size=32)
    assert other.images.shape == (200, 3, 32, 32)
    assert other.fingerprint != images.fingerprint
    mouth = read("synthetic:200:region=mouth")
    assert not np.array_equal(mouth.images, images.images)


@pytest.mark.parametrize(
    "source",
    ["synthetic:", "synthetic:x", "synthetic:5", "synthetic:99999999", "synthetic:20:seed",
     "synthetic:20:sed=1", "synthetic:20:seed=-1", "synthetic:20:region=ear"],
)  # fmt: skip
def test_synthetic_sources_that_make_no_sense(source: str) -> None:
    with pytest.raises(OptionError):
        read(source)


def test_no_layout_needs_torch() -> None:
    import subprocess
    import sys

    code = (
        f"import sys; import {sources.__name__}, mien.data.audit, mien.data.splits; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
