"""Files of a run folder from a stranger: refused in one short line, whatever stands in them."""

import io
import json
import pickle
import zipfile
from dataclasses import asdict

import numpy as np
import pytest

from mien.errors import RunError
from mien.jobs.hashes import read_training_hashes
from mien.jobs.train import TrainOptions, recorded
from mien.runs import Run
from mien.train.history import read_history
from mien.train.recipes import demo, recipe_to_json


def good():
    return {"options": asdict(TrainOptions(source="a")), "recipe": recipe_to_json(demo()),
            "data": {"fingerprint": "0"}}  # fmt: skip


def one_line(caught):
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_a_record_is_read(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(good()))
    options, recipe, record = recorded(Run(tmp_path))
    assert (options, recipe) == (TrainOptions(source="a"), demo())
    assert record["data"]["fingerprint"] == "0"


@pytest.mark.parametrize(
    "change",
    [
        {"options": []}, {"options": "x"}, {"data": "x"}, {"recipe": {}}, {"recipe": None},
        {"options": {"x\x1b[2J\n" * 1000: 1}}, {"options": {"source": 3}},
    ],
)  # fmt: skip
def test_a_strange_record(change, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(good() | change))
    with pytest.raises(RunError, match="not a run of this version") as caught:
        recorded(Run(tmp_path))
    one_line(caught)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\0", "9" * 5000, "[]", b"\xff"])
def test_a_record_that_is_no_json_object(text, tmp_path):
    (tmp_path / "run.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunError, match=r"cannot be read|not a JSON object") as caught:
        recorded(Run(tmp_path))
    one_line(caught)


def header(text):
    body = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def zipped():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("a.npy", b"")
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"PK", zipped(), pickle.dumps([1]), header("{"), header("[" * 300), header("{1: (}"),
        header("{'descr': '|S32', 'fortran_order': False, 'shape': (9223372036854775807,)}"),
        header("{'descr': '|S32', 'fortran_order': False, 'shape': (-1,)}"),
        header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + pickle.dumps([1]),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (0,)}"),
    ],
)  # fmt: skip
def test_strange_hashes(content, tmp_path):
    (tmp_path / "training_hashes.npy").write_bytes(content)
    with pytest.raises(RunError, match=r"training_hashes\.npy: (damaged|not a list)") as caught:
        read_training_hashes(tmp_path)
    one_line(caught)


def test_hashes_are_read(tmp_path):
    hashes = np.array([b"0" * 32, b"1" * 32])
    np.save(tmp_path / "training_hashes.npy", hashes)
    np.testing.assert_array_equal(read_training_hashes(tmp_path), hashes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "epoch\n1\n",
        "x" * 200_000,
        "a\rb,c\n1",
        "epoch,train_loss\n" + "9" * 90_000 + ",\x1b[2J",
    ],
)
def test_a_strange_history(text, tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(text)
    if not text:
        assert read_history(path) == []
        return
    with pytest.raises(RunError, match="no history of a run") as caught:
        read_history(path)
    one_line(caught)
