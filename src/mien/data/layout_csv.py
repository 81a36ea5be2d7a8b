"""FER2013's csv: ``emotion,pixels,Usage``, one face a row, its grey values separated by blanks.

The later ``icml_face_data.csv`` has the columns `` Usage`` and `` pixels``; blanks around names do
not matter. ``Training`` is train, ``PublicTest`` validation, ``PrivateTest`` test; without a
column Usage all rows are train. Rows are counted as in ``tables.py``: the header is row 1.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from math import isqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.data.files import Files, OneFile, shown
from mien.data.pictures import describe
from mien.data.reading import (
    TEST,
    TRAIN,
    VALIDATION,
    Draft,
    How,
    Layout,
    Problems,
    label_fault,
    name_classes,
    text_array,
)
from mien.data.tables import Row, Table, label, open_table, text_fault
from mien.errors import DataError, LayoutError

_NAMES = ("fer2013.csv", "icml_face_data.csv")
_USAGES = {
    "training": TRAIN, "train": TRAIN,
    "publictest": VALIDATION, "validation": VALIDATION, "val": VALIDATION,
    "privatetest": TEST, "test": TEST,
}  # fmt: skip
_PLAIN = b"0123456789 "
_FIRST_ROWS = 100
_PROGRESS_EVERY = 256


class _CellError(ValueError):
    """A cell that cannot be used: its column's index, and what is wrong."""

    def __init__(self, column: int, what: str) -> None:
        super().__init__(what)
        self.column = column


def recognises(files: Files) -> bool:
    """Whether ``files`` holds such a csv, or is a csv."""
    return _table_name(files) is not None


def read(files: Files, how: How) -> Draft:
    """The faces of FER2013's csv; ids are ``row 2``, ``row 3`` …

    Raises:
        LayoutError: no csv, no rows, a column is missing, or a class is unknown.
        RecordError: a bad row, unless bad ones are skipped.
    """
    name = _table_name(files)
    if name is None:
        raise LayoutError(f"{files.path}: no csv with the columns emotion and pixels in it")
    with open_table(files, name) as table:
        return _Reader(files, name, table, how).read()


def _table_name(files: Files) -> str | None:
    if isinstance(files, OneFile):
        return files.names[0]
    csvs = [name for name in files.names if name.lower().endswith(".csv")]
    csvs.sort(key=lambda name: (name.count("/"), name))
    for wanted in _NAMES:
        for name in csvs:
            if name.rsplit("/", 1)[-1].lower() == wanted:
                return name
    fitting = [name for name in csvs[:20] if _has_faces(files, name)]
    trains = [name for name in fitting if name.rsplit("/", 1)[-1].lower() == "train.csv"]
    if len(trains or fitting) > 1:
        listed = ", ".join(map(shown, trains or fitting))
        raise LayoutError(f"{files.path}: several tables of faces ({listed}); give one of them")
    return next(iter(trains or fitting), None)


def _has_faces(files: Files, name: str) -> bool:
    try:
        with open_table(files, name) as table:
            columns = {column.casefold() for column in table.columns}
    except DataError:
        return False  # some other table, which is not ours to complain of
    return {"emotion", "pixels"} <= columns


class _Reader:
    """One reading of one table."""

    def __init__(self, files: Files, name: str, table: Table, how: How) -> None:
        self.files, self.table, self.how = files, table, how
        self.where = label(files, name)
        self.prefix = "" if isinstance(files, OneFile) else f"{shown(name)}: "
        if {"id", "label"} <= {column.casefold() for column in table.columns}:
            raise LayoutError(
                f"{self.where}: a table of ids and labels; give the folder that holds it "
                "and the pictures"
            )
        self.emotion = table.column("emotion", self.where)
        self.pixels = table.column("pixels", self.where)
        has_usage = any(column.casefold() == "usage" for column in table.columns)
        self.usage = table.column("usage", self.where) if has_usage else None
        self.problems = Problems(files, how)
        self.side = 0

    def read(self) -> Draft:
        first = list(islice(self.table.rows, _FIRST_ROWS))
        self.side = self._most_common_side(first)
        values, numbers, texts, splits = bytearray(), list[int](), list[str](), list[int]()
        known, first_seen = dict[str, str](), dict[str, str]()
        for row in self._checked(chain(first, self.table.rows)):
            try:
                text, split, face = self._parsed(row)
            except _CellError as error:
                place = f"{error.column + 1} ({shown(self.table.columns[error.column])})"
                self.problems.add(f"{self.prefix}row {row.number}, column {place}", str(error))
                continue
            values += face
            numbers.append(row.number)
            texts.append(known.setdefault(text, text))
            first_seen.setdefault(text, f"row {row.number}, column {self.emotion + 1}")
            splits.append(split)
        if not numbers:
            bad = f"; {len(self.problems.found):,} bad rows" if self.problems.found else ""
            raise LayoutError(f"{self.where}: no usable rows below the header{bad}")
        self.how.progress("reading rows", len(numbers), len(numbers))
        classes, index = name_classes(known, self.how, self.files, first_seen)
        return Draft(
            images=self._images(values),
            labels=np.array([index[text] for text in texts], np.int64),
            splits=np.array(splits, np.int8),
            ids=text_array([f"row {number}" for number in numbers]),
            classes=classes,
            problems=tuple(self.problems.found),
            notes=self.files.notes + self._notes(len(numbers)) + self.problems.notes(),
        )

    def _checked(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows whose number of fields is right."""
        for count, row in enumerate(rows):
            if count % _PROGRESS_EVERY == 0:
                self.how.progress("reading rows", count, 0)
            if row.fault is None:
                yield row
            else:
                self.problems.add(self.prefix + row.fault[0], row.fault[1])

    def _most_common_side(self, rows: list[Row]) -> int:
        """The side on which most of the first rows agree, or 0."""
        counts = Counter(len(row.cells[self.pixels].split()) for row in rows if row.fault is None)
        for count, _ in counts.most_common():
            if count and isqrt(count) ** 2 == count:
                return isqrt(count)
        return 0

    def _parsed(self, row: Row) -> tuple[str, int, bytes]:
        """Label as text, split and C·size·size pixel bytes of one row."""
        text = row.cells[self.emotion]
        if fault := text_fault(text) or label_fault(text, self.how):
            raise _CellError(self.emotion, fault)
        split = TRAIN
        if self.usage is not None:
            usage = row.cells[self.usage].strip()
            found = _USAGES.get(usage.casefold())
            if found is None:
                fault = text_fault(usage) or (
                    f"'{shown(usage)}' is none of Training, PublicTest, PrivateTest"
                )
                raise _CellError(self.usage, fault)
            split = found
        return text.strip(), split, self._face(row.cells[self.pixels])

    def _face(self, cell: str) -> bytes:
        side = self.side
        values = self._values(cell)
        if not side or len(values) != side * side:
            wanted = f"{side * side} ({side}×{side}) are expected" if side else "a square is needed"
            raise _CellError(self.pixels, f"{len(values)} values where {wanted}")
        if side != self.how.size:
            size = (self.how.size, self.how.size)
            face = Image.frombytes("L", (side, side), values)
            values = face.resize(size, Image.Resampling.BILINEAR).tobytes()
        return values * self.how.channels

    def _values(self, cell: str) -> bytes:
        # NumPy's parser is five times as fast as Python's, and safe on nothing but digits and
        # blanks, which is what nearly every cell holds; the others are looked at value by value.
        if cell.strip() and not cell.encode("utf-8", "replace").translate(None, _PLAIN):
            values = np.fromstring(cell, np.int64, sep=" ")
            if values.min() >= 0 and values.max() <= 255:
                return values.astype(np.uint8).tobytes()
        return bytes(self._slowly(part, place) for place, part in enumerate(cell.split(), 1))

    def _slowly(self, part: str, place: int) -> int:
        """One pixel value of a cell that NumPy cannot be trusted with."""
        if fault := text_fault(part):
            raise _CellError(self.pixels, f"value {place}: {fault}")
        if not (part.isascii() and part.isdecimal()):
            raise _CellError(
                self.pixels, f"value {place} is '{shown(part)[:30]}', no whole number of 0 to 255"
            )
        # Long digit strings are not handed to int(): it refuses more than 4,300 of them.
        significant = part.lstrip("0") or "0"
        if len(significant) > 3 or int(significant) > 255:
            raise _CellError(self.pixels, f"value {place} is {part[:30]}, over 255")
        return int(significant)

    def _images(self, values: bytearray) -> NDArray[np.uint8]:
        shape = (-1, self.how.channels, self.how.size, self.how.size)
        return np.frombuffer(values, np.uint8).reshape(shape)

    def _notes(self, number: int) -> tuple[str, ...]:
        done: Counter[str] = Counter()
        if self.side != self.how.size:
            done["resized"] = number
        if self.how.colour:
            done["repeated"] = number
        notes = describe(done, self.how)
        return (*notes, "the csv begins with a byte-order mark") if self.table.marked else notes


LAYOUT = Layout("a fer2013.csv of emotion,pixels,Usage", recognises, read)
