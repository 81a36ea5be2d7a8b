"""Bad rows of csv files: each one line with row and column, or left out, counted and listed."""

import csv
import importlib.util
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data import tables
from mien.data.sources import read
from mien.errors import DataError, LayoutError, RecordError
from picture_files import face, packed, png

GOOD = " ".join(map(str, face(0).ravel().tolist()))
VALUES = GOOD.split()


def with_value(place: int, value: str) -> str:
    return " ".join([*VALUES[: place - 1], value, *VALUES[place:]])


def source(folder: Path, *rows: str, header: str = "emotion,pixels,Usage") -> Path:
    """A csv of a good row 2, then ``rows`` from row 3, then a good one."""
    path = folder / "faces.csv"
    text = "\n".join([header, f"3,{GOOD},Training", *rows, f"4,{GOOD},PublicTest"])
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


BAD = [
    (f"3,{' '.join(VALUES[:-1])},Training", "row 3, column 2 (pixels)", "2303 values where 2304"),
    (f"3,{GOOD} 1,Training", "row 3, column 2 (pixels)", "2305 values where 2304 (48×48)"),
    ("3,1 2 3 4,Training", "row 3, column 2 (pixels)", "4 values where 2304 (48×48)"),
    ("3,,Training", "row 3, column 2 (pixels)", "0 values where 2304"),
    (f"3,{with_value(7, '256')},Training", "row 3, column 2 (pixels)", "value 7 is 256, over 255"),
    (f"3,{with_value(9, '-1')},Training", "row 3, column 2 (pixels)", "value 9 is '-1'"),
    (f"3,{with_value(1, '1e2')},Training", "row 3, column 2 (pixels)", "value 1 is '1e2'"),
    (f"3,{with_value(1, '12.5')},Training", "row 3, column 2 (pixels)", "value 1 is '12.5'"),
    (f"3,{with_value(2, 'nan')},Training", "row 3, column 2 (pixels)", "value 2 is 'nan'"),
    (f"3,{with_value(2, '1_0')},Training", "row 3, column 2 (pixels)", "value 2 is '1_0'"),
    (f"3,{with_value(2, '٣')},Training", "row 3, column 2 (pixels)", "value 2 is '٣'"),
    (f"3,{with_value(3, '9' * 5000)},Training", "row 3, column 2 (pixels)", "over 255"),
    (f"3,{with_value(3, chr(0))},Training", "row 3, column 2 (pixels)", "NUL byte"),
    (f"3,{with_value(3, chr(0xDCFF))},Training", "row 3, column 2 (pixels)", "byte 0xFF"),
    (f"nan,{GOOD},Training", "row 3, column 1 (emotion)", "nan is no whole number"),
    (f"2.5,{GOOD},Training", "row 3, column 1 (emotion)", "2.5 is no whole number"),
    (f"3.0,{GOOD},Training", "row 3, column 1 (emotion)", "3.0 is no whole number"),
    (f"1e0,{GOOD},Training", "row 3, column 1 (emotion)", "1e0 is no whole number"),
    (f"-1,{GOOD},Training", "row 3, column 1 (emotion)", "-1 is no whole number"),
    (f"7,{GOOD},Training", "row 3, column 1 (emotion)", "7 is out of range"),
    (f",{GOOD},Training", "row 3, column 1 (emotion)", "empty"),
    (f"\0,{GOOD},Training", "row 3, column 1 (emotion)", "NUL byte"),
    (f"\udce9,{GOOD},Training", "row 3, column 1 (emotion)", "byte 0xE9 is no UTF-8"),
    (f"3,{GOOD},Trainig", "row 3, column 3 (Usage)", "'Trainig' is none of"),
    (f"3,{GOOD},", "row 3, column 3 (Usage)", "'' is none of"),
    (f"3,{GOOD}", "row 3, column 3 (Usage)", "2 fields where the header has 3"),
    ("3", "row 3, column 2 (pixels)", "1 fields where the header has 3"),
    (f"3,{GOOD},Training,more", "row 3, column 4", "4 fields where the header has 3"),
]


@pytest.mark.parametrize(("row", "where", "what"), BAD)
def test_a_bad_row_is_one_line_with_row_and_column(
    row: str, where: str, what: str, tmp_path: Path
) -> None:
    path = source(tmp_path, row)
    with pytest.raises(RecordError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {where}: ")
    assert what in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize(("row", "where", "what"), BAD)
def test_a_bad_row_is_left_out_counted_and_listed(
    row: str, where: str, what: str, tmp_path: Path
) -> None:
    images = read(source(tmp_path, row), skip_bad=True)
    assert images.ids.tolist() == ["row 2", "row 4"]
    (problem,) = images.problems
    assert problem.where == where
    assert what in problem.what
    assert "1 bad record left out" in images.notes


def test_all_bad_rows_are_listed(tmp_path: Path) -> None:
    images = read(source(tmp_path, *(row for row, _, _ in BAD)), skip_bad=True)
    assert len(images) == 2
    assert [p.where.split(",")[0] for p in images.problems] == [
        f"row {n}" for n in range(3, 3 + len(BAD))
    ]


def test_inside_an_archive_the_file_is_named(tmp_path: Path) -> None:
    text = f"emotion,pixels,Usage\n3,{GOOD},Training\n9,{GOOD},Training\n".encode()
    path = packed("tar.gz", tmp_path, {"fer/fer2013.csv": text})
    with pytest.raises(RecordError, match=re.escape(f"{path}: fer/fer2013.csv: row 3, column 1")):
        read(path)


def test_unusual_but_right_values_are_read(tmp_path: Path) -> None:
    path = source(tmp_path, f" 3 ,{with_value(1, '007')},training", "", f'happy,"{GOOD}",VAL')
    images = read(path)
    assert images.ids.tolist() == ["row 2", "row 3", "row 5", "row 6"]
    assert images.images[1, 0, 0, 0] == 7
    assert images.labels.tolist() == [3, 3, 3, 4]


def test_an_unknown_class_is_one_error_for_the_whole_file(tmp_path: Path) -> None:
    path = source(tmp_path, f"contempt,{GOOD},Training")
    with pytest.raises(
        LayoutError, match=r"contempt \(first in row 3, column 1;.*--map contempt=disgust"
    ):
        read(path)
    assert read(path, label_map={"contempt": "disgust"}).labels.tolist() == [3, 1, 4]
    numbers = source(tmp_path, f"7,{GOOD},Training")
    assert read(numbers, classes="found").classes == ("3", "4", "7")
    assert read(numbers, label_map={"7": "neutral"}).labels.tolist() == [3, 6, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"emotion,pixels,Usage\n", "no usable rows"),
        (b"emotion,pixels,Usage\n\n\n", "no usable rows"),
        (b"emotion,usage\n3,Training\n", "no column 'pixels'; found 'emotion', 'usage'"),
        (b"a;b\n", "no column 'emotion'; found 'a;b'"),
        (b"emotion,emotion,pixels\n", "two columns 'emotion'"),
        (b"emotion,pixels,Usage,usage\n", "two columns 'usage'"),
    ],
)
def test_a_table_without_rows_or_columns(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    for place in (path, tmp_path):
        with pytest.raises(LayoutError, match=message):
            read(place)


def test_a_header_of_many_columns_is_shortened(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(",".join(f"{'c' * 500}{n}" for n in range(5000)) + "\n")
    with pytest.raises(LayoutError) as caught:
        read(tmp_path / "x.csv")
    assert "and 4,990 more" in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_byte_order_mark_is_read_and_noted(tmp_path: Path) -> None:
    path = source(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    images = read(path)
    assert len(images) == 2
    assert images.notes == ("the csv begins with a byte-order mark",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_other_encodings_are_refused(encoding: str, tmp_path: Path) -> None:
    path = source(tmp_path)
    path.write_bytes(path.read_text().encode(encoding))
    with pytest.raises(DataError, match=r"row 1, column 1: (UTF-16|UTF-32|a NUL byte)"):
        read(path)


def test_hostile_cells_and_lines_end_in_an_error_and_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = csv.field_size_limit()
    monkeypatch.setattr(tables, "MAX_CELL", 20_000)
    monkeypatch.setattr(tables, "_MAX_LINE", 60_000)
    path = source(tmp_path, f"3,{'1 ' * 15_000},Training", "x," * 500_000, f'3,"{GOOD}')
    images = read(path, skip_bad=True)
    assert [p.where for p in images.problems] == [
        "row 3, column 2 (pixels)",
        "row 4, column 4",
        "row 5, column 3 (Usage)",
    ]
    assert "field larger" in images.problems[0].what
    assert images.ids.tolist() == ["row 2"]
    assert csv.field_size_limit() == before


def test_where_the_parser_gives_up_is_named(tmp_path: Path) -> None:
    path = source(
        tmp_path, f"3,{GOOD}\rx,Training", "3\r3,1 2,Training", f'"3,""\n",{GOOD},"a""b"\rx'
    )
    images = read(path, skip_bad=True)
    assert [p.where for p in images.problems] == [
        "row 3, column 2 (pixels)",
        "row 4, column 1 (emotion)",
        "row 5, column 3 (Usage)",
    ]
    (tmp_path / "x.csv").write_bytes(b"emotion,pix\rels,Usage\n")
    with pytest.raises(RecordError, match=r"row 1, column 2: "):
        read(tmp_path / "x.csv")


def test_a_thousand_ways_to_spoil_a_row(tmp_path: Path) -> None:
    """The first 150 of them: ``scripts/corrupt_csv.py`` does them all."""
    script = Path(__file__).parents[2] / "scripts" / "corrupt_csv.py"
    spec = importlib.util.spec_from_file_location("corrupt_csv", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kinds, findings = module.run(150, 0, tmp_path)
    assert findings == []
    assert len(kinds) >= 12


@pytest.mark.parametrize("number", [0, 1, 2])
def test_nothing_trains_on_a_spoilt_row(number: int, tmp_path: Path) -> None:
    from mien.jobs.train import TrainOptions, train

    path = source(tmp_path, BAD[number][0])
    with pytest.raises(RecordError, match="row 3, column 2"):
        train(TrainOptions(source=str(path), threads=1), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


CELLS = st.tuples(
    st.integers(0, 6),
    st.lists(st.integers(0, 255), min_size=64, max_size=64),
    st.sampled_from(["Training", "PublicTest", "PrivateTest"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=6), st.data())
def test_any_table_reads_back_however_it_is_written(
    rows: list[tuple[int, list[int], str]], data: st.DataObject
) -> None:
    """Quoting, blanks, zeros in front, line ends, blank lines and a mark change nothing."""
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    lines = [data.draw(st.sampled_from(["emotion,pixels,Usage", " emotion, pixels, Usage"]))]
    for label, values, usage in rows:
        blank = data.draw(st.sampled_from([" ", "  ", " \t"]))
        width = data.draw(st.sampled_from([1, 3, 5]))
        cells = [str(label), blank.join(f"{value:0{width}d}" for value in values), usage]
        quoted = data.draw(st.booleans())
        lines.append(",".join(f'"{cell}"' if quoted else cell for cell in cells))
        lines += [""] * data.draw(st.integers(0, 1))
    mark = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faces.csv"
        path.write_bytes(mark + end.join(lines).encode())
        images = read(path, size=8, cache=False)
    assert images.labels.tolist() == [label for label, _, _ in rows]
    np.testing.assert_array_equal(images.images.reshape(len(rows), 64), [v for _, v, _ in rows])
    names = {"Training": 0, "PublicTest": 1, "PrivateTest": 2}
    assert images.splits.tolist() == [names[usage] for _, _, usage in rows]


def test_the_side_is_what_most_rows_have(tmp_path: Path) -> None:
    small = [f"{n},{' '.join(map(str, face(n, 8).ravel()))},Training" for n in range(3)]
    images = read(source(tmp_path, *small), size=8, skip_bad=True)
    assert images.ids.tolist() == ["row 3", "row 4", "row 5"]
    np.testing.assert_array_equal(images.images[1, 0], face(1, 8))
    assert len(images.problems) == 2
    resized = read(source(tmp_path, *small), skip_bad=True, colour=True)
    assert resized.images.shape == (3, 3, 48, 48)
    assert "3 pictures of other sizes resized to 48×48" in resized.notes


def test_no_row_with_a_square_number_of_values(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("emotion,pixels\n0,1 2 3\n1,4 5\n")
    with pytest.raises(RecordError, match=r"row 2, column 2 .*3 values where a square is needed"):
        read(tmp_path / "x.csv")
    with pytest.raises(LayoutError, match="no usable rows below the header; 2 bad rows"):
        read(tmp_path / "x.csv", skip_bad=True)


COURSE_BAD = [
    ("9,3", "row 3, column 1 (id)", "no picture has the id '9'"),
    ("0001,4", "row 3, column 1 (id)", "is listed in row 2 already"),
    ("2,7", "row 3, column 2 (label)", "7 is out of range"),
    ("2,", "row 3, column 2 (label)", "empty"),
    ("2,nan", "row 3, column 2 (label)", "no whole number"),
    ("2", "row 3, column 2 (label)", "1 fields where the header has 2"),
    ("\0,3", "row 3, column 1 (id)", "NUL byte"),
    ("3,3", "row 3, column 1 (id)", "several pictures have the id '3'"),
]


@pytest.mark.parametrize(("row", "where", "what"), COURSE_BAD)
def test_bad_rows_of_a_course(row: str, where: str, what: str, tmp_path: Path) -> None:
    names = ("00001.png", "00002.png", "03.png", "003.png")
    files = {name: png(n, 8) for n, name in enumerate(names)}
    files["train.csv"] = f"id,label\n1,3\n{row}\n".encode()
    path = packed("zip", tmp_path, files)
    with pytest.raises(RecordError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: train.csv: {where}: ")
    assert what in str(caught.value)
    images = read(path, skip_bad=True)
    assert [(p.where, what in p.what) for p in images.problems] == [(f"train.csv: {where}", True)]
    assert images.labels.tolist() == [3, -1, -1, -1]
