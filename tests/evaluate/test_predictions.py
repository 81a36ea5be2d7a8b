import json
import pickle
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.errors import RunError
from mien.evaluate.predictions import read_predictions, write_predictions
from mien.types import Outputs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "predictions.parquet"


def _same(a: Outputs, b: Outputs) -> None:
    for name in ("ids", "splits", "labels", "logits", "hashes", "copied"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.classes, a.about) == (b.classes, b.about)


def test_what_is_written_is_read(path: Path, random_outputs: Outputs) -> None:
    about = {"model": "模型", "flip": True, "temperature": 1.25, "nested": {"a": [1, None]}}
    outputs = replace(random_outputs, about=about)
    outputs.ids[3] = "測試/café 3.jpg"
    write_predictions(path, outputs)
    found = read_predictions(path)
    _same(found, outputs)
    assert (found.labels.dtype, found.logits.dtype) == (np.int64, np.float32)
    assert found.copied.dtype == np.bool_
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_the_columns_are_what_the_issue_names(path: Path, random_outputs: Outputs) -> None:
    write_predictions(path, random_outputs)
    table = pq.read_table(path)
    assert table.column_names == ["id", "split", "label", "logits", "hash", "copied"]
    assert table.schema.field("logits").type.list_size == 3
    about = json.loads(table.schema.metadata[b"mien"])
    assert about["classes"] == ["angry", "disgust", "fear"]
    assert about["format"] == 1


def _rewritten(path: Path, outputs: Outputs, **columns: Any) -> None:
    """The file of ``outputs`` with columns replaced; texts in dictionaries, as a bomb has them."""
    write_predictions(path, outputs)
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), table.schema.field(name), [values])
    pq.write_table(table, path, compression="zstd", use_dictionary=True)


def test_more_rows_than_a_file_can_hold_are_refused(path: Path, random_outputs: Outputs) -> None:
    N = 3_000_000
    same = replace(
        random_outputs, ids=np.full(N, "a"), splits=np.full(N, "test"), labels=np.zeros(N, int),
        logits=np.zeros((N, 3), np.float32), hashes=np.full(N, "0" * 32), copied=np.zeros(N, bool),
    )  # fmt: skip
    table = pa.table({
        "id": pa.array(same.ids), "split": pa.array(same.splits), "label": pa.array(same.labels),
        "logits": pa.FixedSizeListArray.from_arrays(pa.array(same.logits.ravel()), 3),
        "hash": pa.array(same.hashes), "copied": pa.array(same.copied),
    }, metadata={b"mien": json.dumps(
        {"format": 1, "classes": ["a", "b", "c"], "about": {}}
    ).encode()})  # fmt: skip
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 500_000
    with pytest.raises(RunError, match="claims 3,000,000 rows, which so small a file"):
        read_predictions(path)


@pytest.mark.parametrize(("name", "most"), [("id", 1000), ("split", 100), ("hash", 32)])
def test_a_long_text_is_refused(name: str, most: int, path: Path, random_outputs: Outputs) -> None:
    values = pq_column(path, random_outputs, name)
    _rewritten(path, random_outputs, **{name: pa.array(["x" * (most + 1), *values[1:]])})
    with pytest.raises(RunError, match=f"a text of column '{name}' is too long"):
        read_predictions(path)


def pq_column(path: Path, outputs: Outputs, name: str) -> list[Any]:
    write_predictions(path, outputs)
    return list(pq.read_table(path)[name].to_pylist())


@pytest.mark.parametrize("names", [["a", "b", "c\x1b[2J"], ["a", "b", "c" * 101], ["a", "b", ""]])
def test_classes_are_printable_and_short(
    names: list[str], path: Path, random_outputs: Outputs
) -> None:
    write_predictions(path, replace(random_outputs, classes=tuple(names)))
    with pytest.raises(RunError, match="'classes' of its description is no list of names"):
        read_predictions(path)


def test_a_name_that_stands_twice_is_shown_harmlessly(path: Path, random_outputs: Outputs) -> None:
    ids = pq_column(path, random_outputs, "id")
    _rewritten(path, random_outputs, id=pa.array(["\x1b[2J\n", "\x1b[2J\n", *ids[2:]]))
    with pytest.raises(RunError, match="'id' stands twice") as caught:
        read_predictions(path)
    assert str(caught.value).isprintable()


def test_names_may_be_bytes_or_objects(path: Path, random_outputs: Outputs) -> None:
    odd = replace(
        random_outputs,
        hashes=random_outputs.hashes.astype("S32"),
        ids=random_outputs.ids.astype(object),
        labels=random_outputs.labels.astype(np.int32),
    )
    write_predictions(path, odd)
    _same(read_predictions(path), random_outputs)


def test_no_images_and_no_labels_can_be_kept(path: Path, random_outputs: Outputs) -> None:
    nothing = random_outputs.take(np.array([], dtype=np.int64))
    write_predictions(path, nothing)
    assert read_predictions(path).logits.shape == (0, 3)
    unlabelled = replace(random_outputs, labels=np.full(300, -1))
    write_predictions(path, unlabelled)
    _same(read_predictions(path), unlabelled)


def _change(outputs: Outputs, field: str, row: int, value: Any) -> Outputs:
    array = getattr(outputs, field).copy()
    array[row] = value
    return replace(outputs, **{field: array})


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("labels", 3, "'label' outside -1..2 in 1 rows, first in row 4"),
        ("labels", -2, "'label' outside -1..2"),
        ("logits", np.nan, "'logits' not finite in 1 rows, first in row 4"),
        ("logits", np.inf, "'logits' not finite"),
        ("ids", "test/0.jpg", "'id' stands twice in 1 rows, first in row 4 .test/0.jpg"),
        ("hashes", "g" * 32, "'hash' not 32 hex digits"),
        ("hashes", "abc", "'hash' not 32 hex digits"),
    ],
)
def test_bad_rows_are_neither_written_nor_read(
    path: Path, random_outputs: Outputs, field: str, value: Any, says: str
) -> None:
    bad = _change(random_outputs, field, 4, value)
    with pytest.raises(RunError, match=says):
        write_predictions(path, bad)
    assert not path.exists()
    # The same rows in a file that someone else wrote.
    write_predictions(path, random_outputs)
    table = pq.read_table(path)
    column = {"labels": "label", "logits": "logits", "ids": "id", "hashes": "hash"}[field]
    values = list(getattr(bad, field))
    place = table.column_names.index(column)
    changed = table.set_column(
        place, table.schema.field(column), pa.array(values, table.schema.field(column).type)
    )
    pq.write_table(changed, path)
    with pytest.raises(RunError, match=says) as error:
        read_predictions(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert "mien evaluate" in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classes": ("a", "a", "b")}, "named twice"),
        ({"classes": ("a", "b")}, "'logits' is float32 .300, 3., not float32 .300, 2."),
        ({"logits": np.zeros((300, 3))}, "'logits' is float64"),
        ({"copied": np.zeros(299, dtype=bool)}, "299 'copied' for 300 images"),
    ],
)
def test_outputs_that_do_not_fit_together(
    path: Path, random_outputs: Outputs, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(RunError, match=says):
        write_predictions(path, replace(random_outputs, **change))


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(RunError, match="no such file; write it again"):
        read_predictions(path)
    with pytest.raises(RunError, match="no such file"):
        read_predictions(path.parent)


def test_a_folder_that_is_not_there(path: Path, random_outputs: Outputs) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        write_predictions(path.parent / "nowhere" / "predictions.parquet", random_outputs)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"PAR1" * 30, b"\x00" * 500, pickle.dumps(_Bomb()), b"id,label\n1,2\n"],
)
def test_foreign_files(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(RunError, match="truncated, damaged or no parquet"):
        read_predictions(path)


def _rewrite(path: Path, outputs: Outputs, about: Any) -> None:
    write_predictions(path, outputs)
    table = pq.read_table(path)
    metadata = {b"mien": about} if about is not None else {}
    pq.write_table(table.replace_schema_metadata(metadata), path)


@pytest.mark.parametrize(
    ("about", "says"),
    [
        (None, "none of mien's predictions"),
        (b"{", "description is damaged"),
        (b"\xff\xfe", "description is damaged"),
        (b"[" * 100000, "description is damaged"),
        (b"[]", "format None where this mien reads 1"),
        (b'{"format": 2}', "format 2 where this mien reads 1"),
        (b'{"format": 1, "classes": [], "about": {}}', "'classes'"),
        (b'{"format": 1, "classes": [1, 2, 3], "about": {}}', "'classes'"),
        (b'{"format": 1, "classes": ["a", "b", "c"], "about": 3}', "'about'"),
        (b'{"format": 1, "classes": ["a", "b"], "about": {}}', "column 'logits' is fixed_size"),
        (b'{"format": 1, "classes": ["a", "b", "a"], "about": {}}', "named twice"),
    ],
)
def test_bad_descriptions(
    path: Path, random_outputs: Outputs, about: bytes | None, says: str
) -> None:
    _rewrite(path, random_outputs, about)
    with pytest.raises(RunError, match=says):
        read_predictions(path)


def test_wrong_columns(path: Path, random_outputs: Outputs) -> None:
    write_predictions(path, random_outputs)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["hash"]), path)
    with pytest.raises(RunError, match="needs one column 'hash'"):
        read_predictions(path)
    pq.write_table(table.set_column(2, "label", pa.array([1.0] * 300)), path)
    with pytest.raises(RunError, match="column 'label' is double, not int64"):
        read_predictions(path)
    pq.write_table(table.set_column(5, "copied", pa.array([None] * 300, pa.bool_())), path)
    with pytest.raises(RunError, match="column 'copied' has empty fields"):
        read_predictions(path)
    rows = [[0.0, None, 1.0]] * 300
    logits = pa.array(rows, table.schema.field("logits").type)
    pq.write_table(table.set_column(3, table.schema.field("logits"), logits), path)
    with pytest.raises(RunError, match="column 'logits' has empty fields"):
        read_predictions(path)


def test_a_file_in_several_row_groups_is_read_whole(path: Path, random_outputs: Outputs) -> None:
    write_predictions(path, random_outputs)
    pq.write_table(pq.read_table(path), path, row_group_size=37)
    _same(read_predictions(path), random_outputs)


def test_truncation_is_noticed_at_every_length(path: Path, random_outputs: Outputs) -> None:
    write_predictions(path, random_outputs)
    content = path.read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(RunError):
            read_predictions(path)


def test_a_flipped_byte_in_the_data_is_noticed(path: Path, random_outputs: Outputs) -> None:
    write_predictions(path, random_outputs)
    content = path.read_bytes()
    data_end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    noticed = 0
    for place in random.Random(0).sample(range(4, data_end), 150):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path.write_bytes(bytes(damaged))
        try:
            found = read_predictions(path)
        except RunError:
            noticed += 1
            continue
        # A byte of a page's header that means nothing to the reader.
        np.testing.assert_array_equal(found.logits, random_outputs.logits)
        np.testing.assert_array_equal(found.labels, random_outputs.labels)
    assert noticed > 120


def test_writing_keeps_the_old_file_when_it_fails(
    path: Path, random_outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_predictions(path, random_outputs)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match=r"cannot be written \(No space left on device"):
        write_predictions(path, random_outputs.take(np.arange(5)))
    assert path.read_bytes() == before
    assert [child.name for child in path.parent.iterdir()] == [path.name]
