"""csv tables from hostile hands, a row at a time, in bounded memory.

Rows are counted as a spreadsheet counts them: the header is row 1, the first record row 2; columns
from 1. UTF-8 with or without a byte-order mark is read; UTF-16 and UTF-32 are refused by name.
"""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from mien.data.files import Files, shown
from mien.errors import LayoutError, RecordError

# A cell of 1024×1024 pixels at up to four characters each; a line may have a few such.
MAX_CELL = 4 * 2**20
_MAX_LINE = 3 * MAX_CELL
_MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\0\0\xfe\xff", "UTF-32"))


@dataclass(frozen=True)
class Row:
    """One record: its number, its cells, or what is wrong with it as (place, fault)."""

    number: int
    cells: list[str]
    fault: tuple[str, str] | None = None


@dataclass(frozen=True)
class Table:
    """A csv's header, as written but without surrounding blanks, and its rows, read once."""

    columns: list[str]
    rows: Iterator[Row]
    marked: bool

    def column(self, wanted: str, where: str) -> int:
        """The index of the column ``wanted``, whatever its letter case.

        Raises:
            LayoutError: there is none, or there are two.
        """
        found = [i for i, name in enumerate(self.columns) if name.casefold() == wanted.casefold()]
        if len(found) == 1:
            return found[0]
        listed = ", ".join(f"'{shown(name)[:30]}'" for name in self.columns[:10])
        more = f" and {len(self.columns) - 10:,} more" if len(self.columns) > 10 else ""
        what = "no column" if not found else "two columns"
        raise LayoutError(f"{where}: row 1: {what} '{wanted}'; found {listed}{more}")


@contextmanager
def open_table(files: Files, name: str) -> Iterator[Table]:
    """The csv ``name`` of ``files``.

    Raises:
        LayoutError: it is empty.
        RecordError: its encoding or its header cannot be read.
    """
    where = label(files, name)
    with files.open(name) as stream, _cell_limit():
        marked = _check_marks(stream, where)
        text = io.TextIOWrapper(
            stream, encoding="utf-8-sig", errors="surrogateescape", newline="\n"
        )
        try:
            lines = _Lines(text)
            reader = csv.reader(lines)
            try:
                columns = [cell.strip() for cell in next(reader)]
            except StopIteration:
                raise LayoutError(f"{where}: the file is empty") from None
            except csv.Error as error:
                place = _broken_column(lines.seen)
                raise RecordError(f"{where}: row 1, column {place}: {error}") from error
            for place, cell in enumerate(columns, 1):
                if fault := text_fault(cell):
                    raise RecordError(f"{where}: row 1, column {place}: {fault}")
            yield Table(columns, _rows(reader, lines, columns), marked)
        finally:
            text.detach()  # or it would close the stream, which is the opener's


def label(files: Files, name: str) -> str:
    """What messages call the file ``name``: the source's path, and the name where it is inside."""
    return str(files.path) if files.path.name == name else f"{files.path}: {shown(name)}"


def text_fault(cell: str) -> str | None:
    """Why ``cell`` is no honest text, or None."""
    if "\0" in cell:
        return "a NUL byte; save the file again as UTF-8 text"
    for character in cell:
        if "\udc80" <= character <= "\udcff":
            return f"the byte 0x{ord(character) - 0xDC00:02X} is no UTF-8; save the file as UTF-8"
    return None


def _check_marks(stream: BinaryIO, where: str) -> bool:
    """Whether a UTF-8 byte-order mark leads; refuses those of other encodings."""
    head = stream.peek(4)[:4] if isinstance(stream, io.BufferedReader) else b""
    for mark, name in _MARKS:
        if head.startswith(mark):
            raise RecordError(f"{where}: row 1, column 1: {name} text; save the file as UTF-8")
    return head.startswith(b"\xef\xbb\xbf")


class _Lines:
    """Lines cut at ``_MAX_LINE``: a file without line ends must not be read into memory whole.

    seen: the lines since it was last cleared, so those of the record in hand.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.seen: list[str] = []
        self._lines = self._cut(text)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.seen.append(line)
        return line

    @staticmethod
    def _cut(text: io.TextIOWrapper) -> Iterator[str]:
        while line := text.readline(_MAX_LINE):
            yield line
            while len(line) == _MAX_LINE and not line.endswith("\n"):
                line = text.readline(_MAX_LINE)


def _rows(reader: Iterator[list[str]], lines: _Lines, columns: list[str]) -> Iterator[Row]:
    number = 1
    while True:
        number += 1
        lines.seen.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            place = _at(number, _broken_column(lines.seen), columns)
            yield Row(number, [], (place, f"no csv ({error})"))
            continue
        if not cells:
            continue  # a blank line
        if len(cells) != len(columns):
            place = _at(number, min(len(cells), len(columns)) + 1, columns)
            fault = f"{len(cells)} fields where the header has {len(columns)}"
            yield Row(number, cells, (place, fault))
            continue
        yield Row(number, cells)


def _at(row: int, column: int, columns: list[str]) -> str:
    name = f" ({shown(columns[column - 1])})" if column <= len(columns) else ""
    return f"row {row}, column {column}{name}"


def _broken_column(lines: list[str]) -> int:
    """The column, from 1, in which the csv parser gave up on a record; it does not say itself.

    It gives up on a carriage return in the middle of a line, and on a cell over its limit.
    """
    text = "".join(lines)
    column, start, quoted, closed = 1, 0, False, -1
    for mark in re.finditer('[",\r]', text):
        at = mark.start()
        if mark[0] == '"':
            if quoted:
                quoted, closed = False, at
            elif at in (start, closed + 1):  # a doubled one stands for itself
                quoted = True
        elif quoted:
            continue
        elif at - start > MAX_CELL or (mark[0] == "\r" and text[at + 1 : at + 2] not in ("", "\n")):
            return column
        elif mark[0] == ",":
            column, start = column + 1, at + 1
    return column


@contextmanager
def _cell_limit() -> Iterator[None]:
    before = csv.field_size_limit(MAX_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
