"""The job over pictures and clips: outputs, going on after a stop, and what is scored again."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from predictors import predictor, square
from pyarrow import parquet

from mien.errors import DataError, OptionError, RunError
from mien.jobs.predict import PredictOptions, predict
from mien.predict.clips import ClipWriter
from mien.predict.copies import Copies
from mien.predict.video import VideoOptions


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for n, value in enumerate([150, 0, 200]):
        Image.fromarray(square(value)).save(folder / f"{n}.png")
    (folder / "broken.jpg").write_bytes(b"none")
    with ClipWriter(folder / "sub" / "clip.mp4", 160, 120, 25.0) as writer:
        for n in range(20):
            writer.write(n / 25, square(150, left=30 + n, side=60, height=120, width=160))
    return tmp_path


def run(place, *named, told=None, **options):
    options.setdefault("video", VideoOptions(every=0.0))
    return predict([str(n) for n in named] or [str(place / "in")], predictor(),
                   PredictOptions(**options), draw=lambda picture, faces, seconds: 255 - picture,
                   tell=None if told is None else told.append)  # fmt: skip


def test_tables_hold_every_file_face_and_frame(place):
    told = []
    done = run(place, csv=place / "f.csv", parquet=place / "f.parquet", told=told)
    assert (done.files, done.scored, done.kept, done.skipped) == (5, 5, 0, 1)
    assert (done.faces, done.clips, dict(done.answers)) == (2, 1, {"unsure": 1, "happy": 1})
    assert "broken.jpg" in done.problems[0]
    assert [t["file"].rsplit("/", 1)[1] for t in told] == [
        "0.png", "1.png", "2.png", "broken.jpg", "clip.mp4",
    ]  # fmt: skip
    rows = list(csv.DictReader((place / "f.csv").read_text().splitlines()))
    assert len(rows) == 4 + 20
    assert rows[0]["answer"] == "unsure"
    assert rows[0]["label"] == "happy"
    assert float(rows[0]["p_happy"]) == pytest.approx(150 / 255, abs=0.01)
    assert (rows[0]["second"], rows[0]["id"], rows[0]["time"]) == ("sad", "", "")
    assert rows[1]["answer"] == "no face"
    assert rows[3]["problem"]
    frames = rows[4:]
    assert {row["id"] for row in frames} == {"1"}
    assert [float(row["time"]) for row in frames] == pytest.approx([n / 25 for n in range(20)])
    assert float(frames[19]["left"]) == pytest.approx(49, abs=3)
    table = parquet.read_table(place / "f.parquet").to_pylist()
    assert len(table) == len(rows)
    assert table[0]["unsure"] is True
    assert table[1]["confidence"] is None
    clip = told[4]["clip"]
    assert clip["frames"] == 20
    assert [f["id"] for f in clip["faces"]] == [1]
    assert clip["faces"][0]["frames"] == 20


def test_what_did_not_change_is_not_scored_again(place):
    run(place, csv=place / "f.csv")
    before = (place / "f.csv").read_text()
    done = run(place, csv=place / "f.csv")
    assert (done.scored, done.kept, done.skipped) == (0, 5, 1)
    assert (place / "f.csv").read_text() == before
    Image.fromarray(square(90)).save(place / "in" / "1.png")
    (place / "in" / "2.png").unlink()
    done = run(place, csv=place / "f.csv")
    assert (done.files, done.scored, done.kept) == (4, 1, 3)
    rows = list(csv.DictReader((place / "f.csv").read_text().splitlines()))
    assert [row["label"] for row in rows[:3]] == ["happy", "sad", ""]


def test_what_the_system_refused_is_tried_again(place, monkeypatch):
    """Nothing of a file changes where only the right to read it was missing."""
    real, forbidden = Path.open, {"1.png", "clip.mp4"}

    def refuse(self, *args, **more):
        if self.name in forbidden:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *args, **more)

    monkeypatch.setattr(Path, "open", refuse)
    done = run(place, csv=place / "f.csv")
    assert (done.scored, done.skipped) == (5, 3)
    forbidden.clear()
    done = run(place, csv=place / "f.csv")
    assert (done.scored, done.kept, done.skipped) == (2, 3, 1)


def test_a_folder_that_cannot_be_read_is_told_of(place, monkeypatch):
    real = os.scandir

    def refuse(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    done = run(place)
    assert (done.files, done.skipped) == (5, 2)
    assert done.problems[-1] == f"{place}/in/sub: cannot be read (Permission denied)"


def test_a_stop_loses_the_file_in_hand_and_the_same_command_goes_on(place):
    stops = iter([False, False, True])

    class Stop(BaseException):
        pass

    def stop(entry):
        if next(stops):
            raise Stop

    options = PredictOptions(out=place / "out", video=VideoOptions(every=0.0))
    with pytest.raises(Stop):
        predict([place / "in"], predictor(), options, tell=stop)
    done = predict([place / "in"], predictor(), options)
    assert done.kept >= 3
    assert done.files == 5
    alone = place / "alone.csv"
    run(place, csv=alone)
    assert (place / "out" / "faces.csv").read_text() == alone.read_text()


def test_copies_drawn_otherwise_are_drawn_again(place):
    options = {"annotate": place / "marked"}
    assert run(place, **options, drawing="en").scored == 5
    assert run(place, **options, drawing="en").scored == 0
    done = run(place, **options, drawing="en explain")
    assert (done.scored, done.notes) == (4, [])  # all but the broken one
    assert run(place, **options, drawing="en explain").scored == 0


def test_each_of_two_pictures_of_one_name_has_a_copy_and_originals_stay(place):
    for name, value in (("a", 150), ("b", 200)):
        (place / name).mkdir()
        Image.fromarray(square(value)).save(place / name / "1.png")
    run(place, place / "a/1.png", place / "b/1.png", annotate=place / "b")
    assert np.array_equal(np.asarray(Image.open(place / "b/1.png")), square(200))
    assert np.array_equal(np.asarray(Image.open(place / "b/a/1.png")), 255 - square(150))
    assert np.array_equal(np.asarray(Image.open(place / "b/b/1.png")), 255 - square(200))


def test_names_may_be_as_long_as_the_system_lets_them(place):
    """Temporary files beside them have longer names."""
    picture, clip = "笑" * 83 + "aa.png", "笑" * 80 + ".mp4"
    (place / "in" / "0.png").rename(place / "in" / picture)
    (place / "in" / "sub" / "clip.mp4").rename(place / "in" / clip)
    long = "b" * 251 + ".bmp"
    Image.fromarray(square(150)).save(place / "in" / long)
    table = place / ("t" * 230 + ".csv")
    done = run(place, *(place / "in" / name for name in (picture, clip, long, "x" * 300 + ".png")),
               csv=table, annotate=place / "m")  # fmt: skip
    assert (done.files, done.skipped) == (4, 1)
    assert "File name too long" in done.problems[0]
    (marked,) = (place / "m").glob("bbb*.jpg")
    assert len(marked.name) == 255
    assert table.exists()
    assert (place / "m" / picture).exists()
    assert (place / "m" / clip).exists()


def test_names_that_are_no_text(place):
    """OpenCV ends the process on them."""
    folder = place / os.fsdecode(b"caf\xe9")
    (place / "in").rename(folder)
    clip = folder / "sub" / os.fsdecode(b"\xff.mp4")
    (folder / "sub" / "clip.mp4").rename(clip)
    done = run(place, folder, csv=folder / "f.csv", annotate=folder / "m")
    assert (done.files, done.clips, done.skipped) == (5, 1, 1)
    assert (folder / "m" / folder.name / "sub" / clip.name).exists()
    assert b"\xff.mp4,0.0,0,1" in (folder / "f.csv").read_bytes()


def test_a_picture_wider_than_a_jpeg_can_be_does_not_stop_the_rest(place):
    Image.new("RGB", (66_000, 4)).save(place / "in" / "0.bmp")
    done = run(place, annotate=place / "m")
    assert (done.files, done.skipped) == (6, 1)
    with Image.open(place / "m" / "in" / "0.bmp.jpg") as marked:
        assert marked.size == (65_500, 3)


def test_a_folder_is_not_marked_within_itself(place):
    with pytest.raises(OptionError, match="the pictures to read lie there"):
        run(place, annotate=place / "in")


@pytest.mark.parametrize("name", ["in", "pipe", "same.csv"])
def test_a_table_takes_no_place_of_a_device_a_folder_or_another_table(place, name):
    os.mkfifo(place / "pipe")
    other = {"parquet": place / "same.csv"} if name == "same.csv" else {}
    with pytest.raises(OptionError, match=f"{name}: ") as told:
        run(place, csv=place / name, **other)
    assert "\n" not in str(told.value)
    assert not list(place.glob("*.jsonl"))


def test_a_forgotten_name_of_a_table_costs_no_picture(place):
    """A shell makes of ``--csv in/*.png`` that the first picture is the table."""
    before = (place / "in" / "0.png").read_bytes()
    for kind in ("csv", "parquet"):
        with pytest.raises(OptionError, match=r"0.png: a table would be written over"):
            run(place, place / "in" / "1.png", **{kind: place / "in" / "0.png"})
    assert (place / "in" / "0.png").read_bytes() == before


def test_no_result_takes_the_place_of_another_or_of_what_is_read(place):
    (place / "in" / "raw.NEF").write_bytes(b"a year's work")
    (place / "scan").write_bytes((place / "in" / "0.png").read_bytes())
    (place / "theirs").mkdir()
    (place / "theirs" / "faces.csv").write_bytes(b"a year's work")
    out = place / "out"
    refused = [
        ({"csv": place / "in" / "raw.NEF"}, "over a picture or clip"),
        ({"csv": place / "scan"}, "is to be read"),
        ({"out": out, "parquet": out / "faces.csv"}, "two results would be written there"),
        ({"out": out, "csv": out / "scored.jsonl"}, "two results would be written there"),
        ({"out": place / "theirs"}, "was there before"),
    ]
    for options, why in refused:
        with pytest.raises(OptionError, match=why):
            run(place, place / "scan", place / "in" / "1.png", **options)
    assert (place / "in" / "raw.NEF").read_bytes() == b"a year's work"
    assert (place / "theirs" / "faces.csv").read_bytes() == b"a year's work"
    (out / "faces.csv").mkdir(parents=True)
    with pytest.raises(OptionError, match=r"faces.csv: Is a directory"):
        run(place, out=out)


def test_a_problem_is_one_line_whatever_the_name(place):
    (place / "in" / "a\nb.jpg").write_bytes(b"none")
    problems = run(place).problems
    assert len(problems) == 2
    assert problems[0].count("nb.jpg") == 1
    assert not any("\n" in one for one in problems)


def test_a_stop_in_a_clip_leaves_no_half_of_it(place):
    class Stop(BaseException):
        pass

    def stop(picture, faces, seconds):
        if seconds and seconds > 0.4:
            raise Stop
        return picture

    options = PredictOptions(annotate=place / "marked", video=VideoOptions(every=0.0))
    with pytest.raises(Stop):
        predict([place / "in"], predictor(), options, draw=stop)
    lines = (place / "marked" / "scored.jsonl").read_text().splitlines()
    assert [("key" in json.loads(line)) for line in lines] == [False] + [True] * 4
    assert [p.name for p in (place / "marked").rglob("*clip*")] == []  # not even what it was to be
    left = place / "marked" / "in" / "sub" / ".clip.abcd_123.tmp.mp4"
    left.touch()  # by a kill, after which nobody could tidy up
    run(place, annotate=place / "marked")
    assert [p.name for p in left.parent.iterdir()] == ["clip.mp4"]


def test_marked_copies_and_what_is_missing_of_them(place):
    options = {"annotate": place / "marked", "out": place / "out"}
    run(place, **options)
    marked = place / "marked" / "in"
    assert sorted(p.name for p in marked.rglob("*.*")) == ["0.png", "1.png", "2.png", "clip.mp4"]
    assert np.array_equal(np.asarray(Image.open(marked / "0.png")), 255 - square(150))
    (marked / "2.png").unlink()
    done = run(place, **options)
    assert done.scored == 1  # the one without a copy; of the broken one there can be none
    assert (marked / "2.png").exists()
    # Copies lie in a folder that is read, and are no input.
    assert run(place, place / "in", csv=place / "f.csv", annotate=place / "in" / "m").files == 5
    assert run(place, place / "in", csv=place / "f.csv", annotate=place / "in" / "m").files == 5


def test_pictures_are_never_written_over(place):
    before = (place / "in" / "0.png").read_bytes()
    with pytest.raises(OptionError, match="lies there itself"):
        run(place, place / "in" / "0.png", annotate=place / "in")
    assert (place / "in" / "0.png").read_bytes() == before


def test_somebody_elses_file_is_not_taken_for_a_copy(place):
    theirs = place / "m" / "in" / "1.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"a year's work")
    for options in ({}, {"csv": place / "f.csv"}):
        for _ in range(2):  # nothing of the refused call makes the file its own
            with pytest.raises(OptionError, match=r"1.png is there already, and copies.jsonl"):
                run(place, annotate=place / "m", **options)
    run(place, csv=place / "g.csv")  # scored before it is marked
    with pytest.raises(OptionError, match=r"1.png is there already"):
        run(place, csv=place / "g.csv", annotate=place / "m")
    assert theirs.read_bytes() == b"a year's work"
    theirs.unlink()
    run(place, place / "in" / "2.png", annotate=place / "m")
    theirs.write_bytes(b"a year's work")
    with pytest.raises(OptionError, match=r"1.png is there already"):  # of other files' copies
        run(place, annotate=place / "m")
    assert theirs.read_bytes() == b"a year's work"


def test_the_same_copies_may_be_made_again_with_any_record(place):
    copy = place / "m" / "in" / "0.png"
    for options in ({}, {"csv": place / "f.csv"}, {"csv": place / "g.csv"}):
        run(place, annotate=place / "m", **options)
        assert np.array_equal(np.asarray(Image.open(copy)), 255 - square(150))
        copy.write_bytes(b"spoilt")  # so that it can be seen to be drawn again
    assert run(place, annotate=place / "m", csv=place / "f.csv").scored == 0


def test_files_whose_copies_would_lie_in_one_place(place):
    for name, value in (("a.bmp", 150), ("a.bmp.png", 200)):
        Image.fromarray(square(value)).save(place / "in" / name)
    Image.fromarray(square(80)).save(place / "in" / "a.bmp.jpg", quality=100)
    done = run(place, annotate=place / "m")
    assert sorted(p.name for p in (place / "m" / "in").glob("a.*")) == [
        "a.bmp.jpg", "a.bmp.jpg.jpg", "a.bmp.png",
    ]  # fmt: skip
    assert done.files == 8
    assert run(place, annotate=place / "m").scored == 0


def test_a_copy_that_another_files_has_taken_the_place_of_is_made_again(place):
    for name, value in (("a", 150), ("b", 200)):
        (place / name).mkdir()
        Image.fromarray(square(value)).save(place / name / "1.png")
    for name in ("a", "b"):
        assert run(place, place / name / "1.png", annotate=place / "m").scored == 1
    assert run(place, place / "a" / "1.png", annotate=place / "m").scored == 1
    assert np.array_equal(np.asarray(Image.open(place / "m" / "1.png")), 255 - square(150))


def test_one_process_marks_copies_in_a_folder(place):
    (place / "m").mkdir()
    with Copies(place / "m", ".mp4"), pytest.raises(RunError, match="another mien is writing"):
        run(place, annotate=place / "m", csv=place / "f.csv")
    assert run(place, annotate=place / "m", csv=place / "f.csv").files == 5


def test_cameras_write_their_clips_names_large(place):
    (place / "in" / "sub" / "clip.mp4").rename(place / "in" / "sub" / "GOPR0001.MP4")
    done = run(place, annotate=place / "m")
    assert (done.clips, done.skipped) == (1, 1)
    assert (place / "m" / "in" / "sub" / "GOPR0001.MP4").stat().st_size > 1000


def test_nothing_to_read_and_missing_files(place):
    (place / "empty").mkdir()
    with pytest.raises(DataError, match="no picture or clip"):
        run(place, place / "empty")
    done = run(place, place / "in" / "0.png", place / "gone.jpg", place / "gone.mp4")
    assert (done.files, done.skipped) == (3, 2)
    with pytest.raises(OptionError, match="there is no folder"):
        run(place, csv=place / "nowhere" / "f.csv")
