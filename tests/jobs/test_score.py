"""``mien score``: every picture once, a rerun does what is left, engines agree to the byte."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

import mien
from mien.errors import DataError, OptionError, RunError
from mien.jobs.score import cut, local, score
from mien.jobs.score_part import Part, ScoreOptions, Scorer
from mien.predict.stores import Stored, open_store


def draw(folder, count, start=0):
    dice = np.random.default_rng(start)
    for number in range(start, start + count):
        place = folder / f"d{number % 3}" / f"{number:04d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dice.integers(0, 256, (24, 24), dtype=np.uint8)).save(place)


@pytest.fixture
def folder(tmp_path):
    draw(tmp_path / "pictures", 20)
    (tmp_path / "pictures" / "d0" / "bad.png").write_bytes(b"no picture")
    (tmp_path / "pictures" / "d1" / "notes.txt").write_bytes(b"left out")
    return tmp_path


def options(folder, **more):
    plain = {"source": str(folder / "pictures"), "out": str(folder / "out"), "detector": "none",
             "part": 4, **more}  # fmt: skip
    return ScoreOptions(**plain)


def parts(folder, out="out"):
    return {path.name: path.read_bytes() for path in sorted((folder / out).glob("part-*"))}


def rows(folder):
    return parquet.read_table(folder / "out").to_pylist()


def test_rows_are_what_predict_says_and_each_picture_has_one(folder):
    found = score(options(folder))
    assert (found.pictures, found.faces, found.problems, found.others) == (21, 20, 1, 1)
    table = rows(folder)
    names = sorted(p.relative_to(folder / "pictures").as_posix()
                   for p in (folder / "pictures").rglob("*.png"))  # fmt: skip
    assert [row["path"] for row in table] == names
    predictor = mien.load(detector="none", threads=1)
    for row in table:
        if row["path"] == "d0/bad.png":
            assert row["problem"]
            assert row["face"] is row["answer"] is None
            continue
        (face,) = predictor.predict(folder / "pictures" / row["path"])
        assert (row["face"], row["answer"], row["label"]) == (0, face.answer, face.label)
        assert row["confidence"] == pytest.approx(face.confidence, abs=2e-5)
        for name, chance in face.probabilities.items():
            assert row[f"p_{name}"] == pytest.approx(chance, abs=2e-5)


def test_faces_have_boxes_and_a_picture_without_one_a_row(folder):
    score(options(folder, detector="haar"))
    answers = [row["answer"] for row in rows(folder) if row["path"] != "d0/bad.png"]
    assert len(answers) == 20
    assert set(answers) == {"no face"}  # noise


def test_the_detectors_size_reaches_the_workers(folder):
    about = {}
    for size in (None, 1280):
        scorer = Scorer(options(folder, detector="haar", detector_size=size))
        assert scorer.predictor.detector.settings["working"] == (size or 640)
        about[size] = scorer.about
    assert about[None] != about[1280]


def test_a_rerun_does_what_is_left_and_ends_with_the_same_bytes(folder):
    def stopping(wanted, about, left):
        for number, done in enumerate(local(wanted, about, left)):
            if number == 2:
                raise KeyboardInterrupt
            yield done

    whole = options(folder, out=str(folder / "whole"))
    score(whole)
    with pytest.raises(KeyboardInterrupt):
        score(options(folder), engine=stopping)
    begun = parts(folder)
    assert 0 < len(begun) < len(parts(folder, "whole"))
    assert not (folder / "out" / "_score.json").exists()
    found = score(options(folder))
    assert found.kept > 0
    assert parts(folder) == parts(folder, "whole")
    assert score(options(folder)).kept == found.pictures
    stamps = {path: path.stat().st_mtime_ns for path in (folder / "out").glob("part-*")}
    score(options(folder))
    assert stamps == {path: path.stat().st_mtime_ns for path in (folder / "out").glob("part-*")}


def test_what_is_new_changed_or_gone_is_seen_and_the_rest_is_kept(folder):
    score(options(folder, part=1))
    draw(folder / "pictures", 2, start=50)
    (folder / "pictures" / "d2" / "0002.png").unlink()
    os.utime(folder / "pictures" / "d0" / "0000.png", ns=(1, 1))
    found = score(options(folder, part=1))
    assert 0 < found.kept < found.pictures == 22
    names = [row["path"] for row in rows(folder)]
    assert names == sorted(set(names))
    assert len(names) == 22
    # Another error rate is another result: nothing of the old one stays.
    assert score(options(folder, unsure_error=0.05)).kept == 0
    assert len(rows(folder)) == 22


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 3000), min_size=1, max_size=120), st.integers(0, 3000),
       st.integers(1, 20))  # fmt: skip
def test_parts_hold_each_file_once_and_one_more_changes_few(numbers, more, size):
    def files(those):
        return [Stored(f"{number:05d}.jpg", 1, 1) for number in sorted(those)]

    before, after = cut(files(numbers), "", size), cut(files(numbers | {more}), "", size)
    assert [path for part in before for path in part.files] == [f.path for f in files(numbers)]
    assert max(len(part.files) for part in before) <= 4 * size
    # What lies before the new file is cut as it was.
    keys = {part.key for part in after}
    last = f"{more:05d}.jpg"
    kept = [part for part in before if part.files[-1] < last]
    assert sum(part.key not in keys for part in kept) <= 1
    assert all(one.number == place for place, one in enumerate(after))
    assert keys.isdisjoint(part.key for part in cut(files(numbers), "another model", size))


def test_stores_of_fsspec_work_like_folders(folder):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(folder / "pictures"), "/pictures", recursive=True)
    try:
        score(options(folder))
        found = score(options(folder, source="memory://pictures", out="memory://out"))
        assert found.pictures == 21
        assert rows(folder)
        stored = open_store("memory://out")
        there = [name for name in stored.names() if name.startswith("part-")]
        tables = [parquet.read_table(memory.open(f"/out/{name}")) for name in there]
        assert sum(len(one) for one in tables) == 21
        assert score(options(folder, source="memory://pictures", out="memory://out")).kept == 21
    finally:
        memory.rm("/", recursive=True)


def test_what_cannot_be_used_is_refused(folder):
    with pytest.raises(DataError, match="no such folder"):
        score(options(folder, source=str(folder / "nowhere")))
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="no picture in it"):
        score(options(folder, source=str(folder / "empty")))
    with pytest.raises(OptionError, match="nothing-knows-this"):
        score(options(folder, source="nothing-knows-this://here"))
    with pytest.raises(RunError, match="another model or another version"):
        Scorer(options(folder)).check("{}")
    (folder / "file").write_bytes(b"")
    with pytest.raises(RunError, match="cannot be used"):
        score(options(folder, out=str(folder / "file")))


def test_a_picture_that_vanishes_is_told_in_its_row(folder):
    scorer = Scorer(options(folder))
    scorer.out.names()
    done = scorer.score(Part(number=0, key="0" * 16, files=("d0/gone.png",)))
    assert (done.pictures, done.problems) == (1, 1)
    assert rows(folder)[0]["problem"] == "it is no longer there"


@pytest.mark.filterwarnings("ignore")  # Ray's own, of its next versions
def test_ray_writes_the_same_bytes_though_a_worker_is_killed(folder):
    pytest.importorskip("ray.data")
    from mien.jobs.score_ray import with_ray

    draw(folder / "pictures", 60, start=100)
    score(options(folder, out=str(folder / "whole")))
    killed = []

    def kill():
        while not killed and time.monotonic() < end:
            for pid in _models(os.getpid()):
                if parts(folder):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    break
            time.sleep(0.01)

    end = time.monotonic() + 120
    watcher = threading.Thread(target=kill)
    watcher.start()
    try:
        found = score(options(folder), engine=with_ray(1))
    finally:
        end = 0
        watcher.join()
    assert killed
    assert found.pictures == 81
    assert parts(folder) == parts(folder, "whole")
    assert score(options(folder), engine=with_ray(1)).kept == 81


def _models(root):
    """Ray's workers that hold a model, among what this process started."""
    from pathlib import Path

    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(place.name)] = parent, (place / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue

    def below(pid):
        while pid in found and pid != root:
            pid = found[pid][0]
        return pid == root

    return [pid for pid, (_, name) in found.items() if b"MapWorker" in name and below(pid)]
