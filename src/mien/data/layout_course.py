"""A course's layout: a folder of ``NNNNN.jpg`` beside a ``train.csv`` of ``id,label``.

The pictures that the table lists are train, all others test, without a label. An id matches a file
with or without leading zeros and ending. Pictures in a folder called ``test`` are never listed.
"""

from mien.data.files import Files, shown
from mien.data.layout_folders import SPLIT_FOLDERS
from mien.data.pictures import Listed, is_picture, read_listed
from mien.data.reading import (
    TEST,
    TRAIN,
    Draft,
    How,
    Layout,
    Problems,
    label_fault,
    name_classes,
    natural,
)
from mien.data.tables import Row, Table, label, open_table, text_fault
from mien.errors import DataError, LayoutError

_TABLE = "train.csv"
_AMBIGUOUS = ""


def recognises(files: Files) -> bool:
    """Whether ``files`` holds pictures and a ``train.csv`` of ``id,label``."""
    name = _table_name(files)
    if name is None or not any(map(is_picture, files.names)):
        return False
    try:
        with open_table(files, name) as table:
            return {"id", "label"} <= {column.casefold() for column in table.columns}
    except DataError:
        return False


def read(files: Files, how: How) -> Draft:
    """The pictures of a course; ids are the files' names without endings, in natural order.

    Where two pictures would share an id, all ids are paths inside the source instead.

    Raises:
        LayoutError: no train.csv, no pictures, a column is missing, or a class is unknown.
        RecordError: a bad row or picture, unless bad ones are skipped.
    """
    table_name = _table_name(files)
    if table_name is None:
        raise LayoutError(f"{files.path}: no {_TABLE} of id,label in it")
    folder = table_name[: -len(_TABLE)]
    pictures = [n for n in files.names if n.startswith(folder) and is_picture(n)]
    problems = Problems(files, how)
    with open_table(files, table_name) as table:
        texts = _Listing(label(files, table_name), table, how).read(
            _keys(pictures, folder), problems
        )
        notes = ("train.csv begins with a byte-order mark",) if table.marked else ()
    if not texts:
        raise LayoutError(f"{label(files, table_name)}: no usable rows below the header")
    classes, index = name_classes(texts.values(), how, files)
    listed = [
        Listed(name, id, index[texts[name]] if name in texts else -1, _split(name in texts))
        for id, name in name_ids(pictures)
    ]
    return read_listed(files, listed, how, problems, classes=classes, notes=notes)


def name_ids(pictures: list[str]) -> list[tuple[str, str]]:
    """(id, name) of each picture in natural order.

    Ids are the files' names without endings; where two are equal, paths without, else with endings.
    """
    ids = [_stem(name) for name in pictures]
    if len(set(ids)) < len(ids):
        ids = [name.rsplit(".", 1)[0] for name in pictures]
    if len(set(ids)) < len(ids):
        ids = pictures
    return sorted(zip(ids, pictures, strict=True), key=lambda pair: natural(pair[0]))


def _split(is_listed: bool) -> int:
    return TRAIN if is_listed else TEST


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _table_name(files: Files) -> str | None:
    tables = [n for n in files.names if n.rsplit("/", 1)[-1].casefold() == _TABLE]
    return min(tables, key=lambda name: (name.count("/"), name), default=None)


def _keys(pictures: list[str], folder: str) -> dict[str, str]:
    """Every way to write a picture's id, to its name; ``_AMBIGUOUS`` where two share one."""
    keys: dict[str, str] = {}
    for name in pictures:
        inner = name[len(folder) :]
        *folders, file = inner.split("/")
        if any(SPLIT_FOLDERS.get(f.casefold()) == TEST for f in folders):
            continue
        for key in {inner, file, _stem(file), _number(_stem(file))}:
            keys[key] = name if keys.get(key, name) == name else _AMBIGUOUS
    return keys


def _number(text: str) -> str:
    """``00017`` as ``17``; other texts as they are."""
    return text.lstrip("0") or "0" if text.isascii() and text.isdecimal() else text


class _Listing:
    """One reading of a ``train.csv``."""

    def __init__(self, where: str, table: Table, how: How) -> None:
        self.table, self.how = table, how
        self.id, self.label = table.column("id", where), table.column("label", where)

    def read(self, keys: dict[str, str], problems: Problems) -> dict[str, str]:
        """Each listed picture's name to its label as text."""
        texts: dict[str, str] = {}
        rows: dict[str, int] = {}
        for row in self.table.rows:
            place, fault = row.fault or (f"row {row.number}", "")
            name = ""
            if not fault:
                name, column, fault = self._matched(row, keys, rows)
                place += f", column {column + 1} ({shown(self.table.columns[column])})"
            if fault:
                problems.add(f"{_TABLE}: {place}", fault)
                continue
            texts[name] = row.cells[self.label].strip()
            rows[name] = row.number
        return texts

    def _matched(
        self, row: Row, keys: dict[str, str], rows: dict[str, int]
    ) -> tuple[str, int, str]:
        """The picture that a row names, the column at fault, and the fault (empty: none)."""
        id_text, text = row.cells[self.id].strip(), row.cells[self.label]
        name = keys.get(id_text, keys.get(_number(id_text)))
        if not name:
            what = "no picture has" if name is None else "several pictures have"
            fault = text_fault(id_text) or f"{what} the id '{shown(id_text)[:60]}'"
            return "", self.id, fault
        if name in rows:
            fault = f"the id '{shown(id_text)}' is listed in row {rows[name]} already"
            return name, self.id, fault
        return name, self.label, text_fault(text) or label_fault(text, self.how) or ""


LAYOUT = Layout("a train.csv of id,label beside pictures", recognises, read)
