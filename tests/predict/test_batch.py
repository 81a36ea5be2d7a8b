"""What is found in folders and patterns, and pictures read in threads and batches."""

from pathlib import Path

import pytest
from PIL import Image
from predictors import predictor, square

from mien.predict import batch
from mien.predict.batch import find, read_pictures


def names(*named, **more):
    return [item.name for item in find([str(n) for n in named], **more)]


@pytest.fixture
def place(tmp_path):
    for name in ("a/2.jpg", "a/1.PNG", "a/b/3.mp4", "a/b/notes.txt", "a/.hidden/4.jpg",
                 "a/.5.jpg", "out/6.jpg", "7.jpg"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a/loop").symlink_to(tmp_path / "a")
    return tmp_path


def test_folders_files_and_patterns(place, monkeypatch):
    assert names(place / "a") == ["a/1.PNG", "a/2.jpg", "a/b/3.mp4"]
    assert names(place / "a" / "b" / "notes.txt") == ["notes.txt"]  # named, so it is tried
    assert names(place / "*.jpg") == ["7.jpg"]
    assert names(place / "**/*.jpg")[0] == "7.jpg"
    assert names(place / "missing*") == ["missing*"]  # told as a problem later
    assert names(place, without=[place / "out"])[-1].endswith("a/b/3.mp4")
    monkeypatch.chdir(place / "a")
    assert names(".") == ["a/1.PNG", "a/2.jpg", "a/b/3.mp4"]


def test_no_two_have_one_name(place, monkeypatch):
    """Marked copies bear these names: one would be written over the other."""
    for name in ("a/9.jpg", "b/9.jpg", "b/pics/8.jpg", "c/pics/8.jpg"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    assert names(place / "a/9.jpg", place / "b/9.jpg", place / "7.jpg") == [
        "a/9.jpg", "b/9.jpg", "7.jpg",
    ]  # fmt: skip
    assert names(place / "[ab]/*.jpg") == ["a/2.jpg", "a/9.jpg", "b/9.jpg"]
    assert names(place / "b/pics", place / "c/pics") == ["b/pics/8.jpg", "c/pics/8.jpg"]
    assert names(place / "b/*/8.jpg", place / "c/pics") == ["pics/8.jpg", "c/pics/8.jpg"]
    monkeypatch.chdir(place / "b" / "pics")
    assert names("..") == ["b/9.jpg", "b/pics/8.jpg"]
    assert names("../*.jpg", "*.jpg") == ["9.jpg", "8.jpg"]


def test_a_pattern_passes_by_what_was_written_below_it(place):
    written = [place / "out"]
    assert "out/6.jpg" in names(place / "**/*.jpg")
    assert names(place / "**/*.jpg", without=written)[:2] == ["7.jpg", "a/2.jpg"]
    assert "out/6.jpg" not in names(place / "**/*.jpg", without=written)
    assert names(place / "*", without=written) == ["7.jpg", "a/1.PNG", "a/2.jpg", "a/b/3.mp4"]
    assert names(place / "out/*", without=written) == ["6.jpg"]  # what is named itself is meant
    assert names(place / "out/6.jpg", without=written) == ["6.jpg"]


def test_pictures_of_kinds_that_are_not_read_are_told_of_and_timelines_are_no_pictures(tmp_path):
    for name in ("1.HEIC", "2.jpg", "3.avif", "4.txt", "clip.mp4.timeline.png"):
        (tmp_path / name).touch()
    assert [Path(name).name for name in names(tmp_path)] == ["1.HEIC", "2.jpg", "3.avif"]
    told = list(read_pictures(find([tmp_path / "1.HEIC"]), predictor()))
    assert told[0].problem == "an empty file"


def test_what_is_named_twice_comes_once(place):
    assert len(names(place, place / "a", place / "7.jpg", place / "a" / "2.jpg")) == 5


def test_clips_are_told_from_pictures(place):
    assert [item.clip for item in find([place / "a"])] == [False, False, True]


def save(folder, values):
    for n, value in enumerate(values):
        Image.fromarray(square(value)).save(folder / f"{n:03}.png")


def test_pictures_come_in_order_with_problems_among_them(tmp_path):
    save(tmp_path, [150, 0, 200, 250, 60])
    (tmp_path / "002.png").write_bytes(b"no picture")
    model = predictor()
    read = list(read_pictures(find([tmp_path]), model, workers=3))
    assert [Path(r.item.path).name for r in read] == [f"{n:03}.png" for n in range(5)]
    assert [len(r.faces) for r in read] == [1, 0, 0, 0, 1]  # 250 is too bright to be a face
    assert read[0].faces[0].probabilities["happy"] == pytest.approx(150 / 255, abs=0.01)
    assert read[0].faces[0].box.left == pytest.approx(20)
    assert read[0].faces[0].score == 9.0
    assert (read[0].width, read[0].height) == (80, 60)
    assert read[2].problem is not None
    assert "002.png" not in read[2].problem
    assert [r.problem for n, r in enumerate(read) if n != 2] == [None] * 4
    assert sum(model.classifier.batches) == 3
    assert len(model.classifier.batches) == 1


def test_a_problem_does_not_name_its_file_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a\nb.jpg", "x" * 130 + ".jpg"):
        (tmp_path / name).write_bytes(b"none")
    problems = [read.problem for read in read_pictures(find(["."]), predictor())]
    assert [p[:21] for p in problems] == ["no picture in any of "] * 2


def test_what_is_found_does_not_wait_for_a_full_batch(tmp_path, monkeypatch):
    """A kill loses what waits: with a slow search that would be half a minute of work."""
    monkeypatch.setattr(batch, "_SECONDS", 0.0)
    save(tmp_path, [100] * 10)
    model = predictor()
    read = read_pictures(find([tmp_path]), model, workers=1)
    next(read)
    assert model.classifier.batches == [1]
    assert sum(1 for _ in read) == 9


def test_batches_are_bounded_and_nothing_is_read_far_ahead(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_SECONDS", 60.0)
    save(tmp_path, [100] * 80)
    taken = 0

    def counted():
        nonlocal taken
        for item in find([tmp_path]):
            taken += 1
            yield item

    model = predictor()
    read = read_pictures(counted(), model, workers=2)
    next(read)
    assert taken <= 32 + 2 * 2 + 1
    assert 1 + sum(1 for _ in read) == 80
    assert max(model.classifier.batches) <= 64
    assert len(model.classifier.batches) == 3


def test_a_folder_of_many_is_walked_lazily(tmp_path):
    for n in range(300):
        (tmp_path / f"{n:04}.jpg").touch()
    walk = find([tmp_path])
    assert next(walk).name == f"{tmp_path.name}/0000.jpg"
    assert sum(1 for _ in walk) == 299
