"""Class folders: ``train/<class>/*.jpg`` and ``test/<class>/*.jpg``, or just ``<class>/*.jpg``.

Folders above these do not matter, nor do further ones below a class. A folder called val, valid or
validation is the validation split; one called test never is, except for the files in it whose
names begin with ``PublicTest_``: that is FER2013, and they are its validation split wherever they
lie, as ``PrivateTest_`` are its test split.
"""

from collections import Counter

from mien.data.files import Files, shown
from mien.data.pictures import Listed, is_picture, read_listed
from mien.data.reading import (
    TEST,
    TRAIN,
    VALIDATION,
    Draft,
    How,
    Layout,
    Problems,
    name_classes,
    natural,
    plural,
)
from mien.errors import LayoutError
from mien.labels import class_of

SPLIT_FOLDERS = {
    "train": TRAIN, "training": TRAIN,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "publictest": VALIDATION,
    "test": TEST, "testing": TEST, "privatetest": TEST,
}  # fmt: skip
_PREFIXES = {"PublicTest_": VALIDATION, "PrivateTest_": TEST}
# Endings of what lies about in data sets and is not worth a note.
_QUIET = frozenset(
    {".txt", ".md", ".csv", ".tsv", ".json", ".xml", ".yml", ".yaml", ".html", ".pdf", ".bib"}
    | {".db", ".ini", ".log", ".py", ".ipynb"}
)


def recognises(files: Files) -> bool:
    """Whether ``files`` holds pictures in folders."""
    return any("/" in name and is_picture(name) for name in files.names)


def read(files: Files, how: How) -> Draft:
    """The pictures in class folders; ids are paths inside the source.

    Raises:
        LayoutError: no pictures in folders, or folders that are no classes.
        RecordError: a picture that cannot be read, unless bad ones are skipped.
    """
    pictures = sorted((name for name in files.names if is_picture(name)), key=natural)
    top = _top(pictures, how)
    placed = [(name, *_place(name, top)) for name in pictures]
    inside = [(name, split, folder) for name, split, folder in placed if folder is not None]
    if not inside:
        raise LayoutError(f"{files.path}: no pictures in class folders such as train/happy/")
    classes, index = name_classes({folder for _, _, folder in inside}, how, files)
    listed = [Listed(name, name, index[folder], split) for name, split, folder in inside]
    return read_listed(
        files,
        listed,
        how,
        Problems(files, how),
        classes=classes,
        notes=_strays(files, len(placed) - len(inside)),
    )


def _top(pictures: list[str], how: How) -> int:
    """How many folders above the splits or classes all pictures share."""
    paths = [name.split("/")[:-1] for name in pictures if "/" in name]
    depth = 0
    while paths:
        first = paths[0][depth] if len(paths[0]) > depth else None
        shared = first is not None and all(p[depth : depth + 1] == [first] for p in paths)
        last = all(len(p) <= depth + 1 for p in paths)
        if not shared or first is None or last or first.casefold() in SPLIT_FOLDERS:
            break
        if class_of(first, how.label_map) is not None:
            break
        depth += 1
    return depth


def _place(name: str, top: int) -> tuple[int, str | None]:
    """The split of a picture and its class folder (None: it lies in none)."""
    *folders, file = name.split("/")
    folders = folders[top:]
    split = TRAIN
    if folders and folders[0].casefold() in SPLIT_FOLDERS:
        split = SPLIT_FOLDERS[folders.pop(0).casefold()]
    for prefix, own in _PREFIXES.items():
        if file.startswith(prefix):
            split = own
    return split, folders[0] if folders else None


def _strays(files: Files, outside: int) -> tuple[str, ...]:
    notes = []
    if outside:
        notes.append(f"{plural(outside, 'picture')} outside any class folder left out")
    others = Counter(
        "." + name.rsplit(".", 1)[1].lower() if "." in name.rsplit("/", 1)[-1] else "no ending"
        for name in files.names
        if "/" in name and not is_picture(name)
    )
    odd = {end: number for end, number in others.most_common(10) if end not in _QUIET}
    if odd:
        listed = ", ".join(f"{shown(end)} {number:,}" for end, number in odd.items())
        notes.append(f"files that are no pictures were left out ({listed})")
    return tuple(notes)


LAYOUT = Layout("class folders such as train/happy/ and test/happy/", recognises, read)
