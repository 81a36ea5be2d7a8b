"""What the readers of layouts share: how to read, what a reader gives back, names of classes.

Shapes: N pictures, C channels, H W size. Knows nothing of files' formats.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.data.files import Files, shown
from mien.errors import LayoutError, RecordError
from mien.labels import CLASSES, class_of
from mien.types import SPLITS, Problem, Progress, silent

TRAIN, VALIDATION, TEST = (SPLITS.index(name) for name in ("train", "validation", "test"))


@dataclass(frozen=True, kw_only=True)
class How:
    """How a source is to be read; see ``sources.read`` for what each field means."""

    size: int = 48
    colour: bool = False
    label_map: Mapping[str, str] | None = None
    classes: Literal["seven", "found"] = "seven"
    skip_bad: bool = False
    progress: Progress = silent

    @property
    def channels(self) -> int:
        """C of the pictures that come out."""
        return 3 if self.colour else 1


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a layout's reader found: the fields of an ImageSet that it alone can know."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: NDArray[np.int8]
    ids: NDArray[Any]
    classes: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """One way in which a source may be arranged, and its reader."""

    looks_like: str
    recognises: Callable[[Files], bool]
    read: Callable[[Files, How], Draft]


class Problems:
    """Bad records: the first one is raised, or, where they are to be skipped, all are kept."""

    def __init__(self, files: Files, how: How) -> None:
        self._source = files.path
        self._skip = how.skip_bad
        self.found: list[Problem] = []

    def add(self, where: str, what: str) -> None:
        """Tell of one bad record.

        Raises:
            RecordError: unless bad records are skipped.
        """
        if not self._skip:
            raise RecordError(
                f"{self._source}: {where}: {what}; mend it, "
                "or leave bad records out with --skip-bad"
            )
        self.found.append(Problem(where=where, what=what))

    def notes(self) -> tuple[str, ...]:
        """A sentence with their number, where there are any."""
        number = len(self.found)
        return (f"{plural(number, 'bad record')} left out",) if number else ()


def plural(number: int, noun: str) -> str:
    """``1 picture``, ``1,200 pictures``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sorting key under which ``9.jpg`` comes before ``10.jpg``."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts if p]


def text_array(texts: list[str]) -> NDArray[np.str_]:
    """``texts`` as a NumPy array; what is no Unicode (odd bytes in a file's name) is escaped."""
    return np.array([t.encode(errors="backslashreplace").decode() for t in texts], dtype=np.str_)


def label_fault(text: str, how: How) -> str | None:
    """What is wrong with one cell of labels, judged alone; names of classes pass here.

    Whether a *name* is known is asked once for all, by ``name_classes``: one unknown class is one
    error, a broken number is the error of its row.
    """
    bare = text.strip()
    if not bare:
        return "the label is empty"
    if not bare.isprintable():
        return f"the label '{shown(bare)}' has unprintable characters"
    if class_of(bare, how.label_map) is not None or not _is_number(bare):
        return None
    if not re.fullmatch(r"[0-9]{1,18}", bare):
        return f"the label {shown(bare)} is no whole number from 0 to {len(CLASSES) - 1}"
    if how.classes == "found":
        return None
    return f"the label {bare} is out of range, which is 0 to {len(CLASSES) - 1}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def name_classes(
    found: Iterable[str], how: How, files: Files, places: Mapping[str, str] | None = None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes of a source, and which of them each name that was found stands for.

    With ``classes="seven"`` these are always the seven. With ``"found"`` they are those present:
    in FER2013's names and order where all are aliases of the seven, else as they stand, sorted.
    places: where each name stands first, for the message.

    Raises:
        LayoutError: names that stand for none of the seven (with ``"seven"``).
    """
    names = sorted(set(found), key=natural)
    known = {name: class_of(name, how.label_map) for name in names}
    strangers = [name for name in names if known[name] is None]
    if how.classes == "seven" and strangers:
        listed = ", ".join(map(shown, strangers[:20])) + (" …" if len(strangers) > 20 else "")
        others = ", ".join(map(shown, [n for n in names if known[n] is not None][:20]))
        asides = [f"first in {places[strangers[0]]}"] if places else []
        asides += [f"beside {others}"] if others else []
        raise LayoutError(
            f"{files.path}: unknown {'class' if len(strangers) == 1 else 'classes'} {listed}"
            + (f" ({'; '.join(asides)})" if asides else "")
            + "; map each to one of the seven, as in --map contempt=disgust, "
            "or take the classes as they are with --classes found"
        )
    if strangers:
        mapped = {source.strip().casefold() for source in how.label_map or {}}
        taken = {
            name: (name.strip().casefold() in mapped and known[name]) or name.strip()
            for name in names
        }
        own = tuple(sorted(set(taken.values()), key=natural))
        return own, {name: own.index(taken[name]) for name in names}
    present = {c for c in known.values() if c}
    classes = CLASSES if how.classes == "seven" else tuple(c for c in CLASSES if c in present)
    return classes, {n: classes.index(c) for n, c in known.items() if c}
