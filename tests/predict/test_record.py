"""The record: what a kill may do to it, and what counts as scored."""

import os

import numpy as np
import pytest

from mien.errors import RunError
from mien.predict import record as record_module
from mien.predict.record import Record, key_of

ABOUT = {"model": "a"}


def fill(path, upto=3):
    with Record(path, ABOUT) as record:
        for n in range(upto):
            record.add(n + 1, {"file": f"{n}.jpg", "faces": []})
        record.add_frame({"time": 0.0, "faces": []})
        record.add_frame({"time": 0.5, "faces": []})
        record.add(99, {"file": "c.mp4", "clip": {}})


def test_everything_comes_back(tmp_path):
    fill(tmp_path / "r.jsonl")
    with Record(tmp_path / "r.jsonl", ABOUT) as record:
        assert not record.begun_anew
        assert record.known().tolist() == [1, 2, 3, 99]
        assert record.entry(2)["file"] == "1.jpg"
        assert record.entry(7) is None
        clip = record.entry(99)
        assert [f["time"] for f in record.frames(clip)] == [0.0, 0.5]
        assert list(record.frames(record.entry(1))) == []


def test_wherever_a_kill_tears_it_whole_files_stay_and_it_goes_on(tmp_path):
    fill(tmp_path / "r.jsonl")
    whole = (tmp_path / "r.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(lines[0]), len(whole), 7):
        path = tmp_path / "torn.jsonl"
        path.write_bytes(whole[:cut])
        complete = [n for n in range(len(lines)) if len(b"".join(lines[: n + 1])) <= cut]
        keys = [{1: 1, 2: 2, 3: 3, 6: 99}[n] for n in complete if n in (1, 2, 3, 6)]
        with Record(path, ABOUT) as record:
            assert record.known().tolist() == keys
            record.add(50, {"file": "new"})
        with Record(path, ABOUT) as record:
            assert record.known().tolist() == sorted([*keys, 50])
            assert record.entry(50)["file"] == "new"


def test_frames_of_a_clip_that_failed_are_gone(tmp_path):
    path = tmp_path / "r.jsonl"
    with Record(path, ABOUT) as record:
        record.add_frame({"time": 0.0})
        record.drop_frames()
        record.add(1, {"file": "c.mp4", "problem": "broken"})
        assert list(record.frames(record.entry(1))) == []
        record.add_frame({"time": 9.0})
    assert len(path.read_bytes().splitlines()) == 2


def test_another_model_begins_anew(tmp_path):
    fill(tmp_path / "r.jsonl")
    with Record(tmp_path / "r.jsonl", {"model": "b"}) as record:
        assert record.begun_anew
        assert len(record.known()) == 0


def test_a_file_of_somebody_else_stays_as_it_is(tmp_path):
    for text in ('{"score": 3}\n', "hello", "[1]\n"):
        (tmp_path / "r.jsonl").write_text(text)
        with pytest.raises(RunError, match=r"r\.jsonl: no record of mien's"):
            Record(tmp_path / "r.jsonl", ABOUT)
        assert (tmp_path / "r.jsonl").read_text() == text


def test_what_may_pass_is_known_until_the_record_is_read_again(tmp_path):
    with Record(tmp_path / "r.jsonl", ABOUT) as record:
        record.add(1, {"file": "a", "problem": "cannot be read", "again": True})
        record.add(2, {"file": "b"})
        assert record.entry(1)["file"] == "a"
    with Record(tmp_path / "r.jsonl", ABOUT) as record:
        assert record.known().tolist() == [2]
        assert record.entry(1) is None


def test_looking_up_between_additions_does_not_sort_each_time(tmp_path, monkeypatch):
    """A folder of a million in which every second file is new must not take days."""
    monkeypatch.setattr(record_module, "_RECENT", 10)
    sorts = []
    real = np.argsort
    monkeypatch.setattr(
        record_module.np, "argsort", lambda *a, **k: sorts.append(1) or real(*a, **k)
    )
    with Record(tmp_path / "r.jsonl", ABOUT) as record:
        for n in range(100):
            record.add(n, {"file": str(n)})
            assert record.entry(n // 2)["file"] == str(n // 2)
        assert record.known().tolist() == list(range(100))
    assert len(sorts) <= 13


def test_one_process_at_a_time(tmp_path):
    with (
        Record(tmp_path / "r.jsonl", ABOUT),
        pytest.raises(RunError, match="another mien"),
    ):
        Record(tmp_path / "r.jsonl", ABOUT)


def test_the_last_word_on_a_file_counts_and_nothing_is_needed_on_disk():
    with Record(None, ABOUT) as record:
        record.add(5, {"file": "a", "n": 1})
        record.add(2**64 - 1, {"file": "z"})
        record.add(5, {"file": "a", "n": 2})
        assert record.entry(5)["n"] == 2
        assert record.entry(2**64 - 1)["file"] == "z"
        assert record.known().dtype == np.uint64


def test_a_key_changes_with_size_time_and_path(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    keys = {key_of(path)}
    path.write_bytes(b"12")
    keys.add(key_of(path))
    os.utime(path, ns=(1, 1))
    keys.add(key_of(path))
    path.rename(tmp_path / "b")
    keys |= {key_of(tmp_path / "b"), key_of(path)}
    assert len(keys) == 5
    assert key_of(tmp_path / "b") == key_of(str(tmp_path / "b"))
