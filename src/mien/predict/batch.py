"""Over files, folders and patterns: what there is to read, and pictures read many at a time.

Threads read, decode, search and cut; cut faces of many pictures are classified in one batch.
Threads are enough: OpenCV and Pillow work without the interpreter's lock. A decoded picture lives
only in its thread, so memory does not grow with the number of pictures.
"""

import glob
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from mien.data.files import shown
from mien.data.pictures import is_picture
from mien.errors import MienError
from mien.predict.clips import is_clip
from mien.predict.looks import Cut
from mien.predict.pictures import read_picture
from mien.predict.pipeline import Predictor, kept
from mien.system import cores
from mien.types import Face

_FACES = 64  # classified at once, about
_PICTURES = 32  # waiting for that, at most
_SECONDS = 1.0  # and for at most about this long: a kill loses what waits, and people watch
_PATTERN = frozenset("*?[")
# Kinds of pictures that cameras and programs make and that mien does not decode.
_UNREAD = frozenset(
    {".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".tga", ".dng", ".cr2"}
    | {".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"}
)
TIMELINE = ".timeline"  # ends the names of clips' figures, which are no pictures to read


@dataclass(frozen=True, slots=True)
class Item:
    """One file, a clip or a picture. name: where it lies below what was named."""

    path: str
    name: str
    clip: bool


@dataclass(frozen=True, slots=True)
class Read:
    """What was found in one picture: its faces and size, or the problem in one line.

    again: the file could not be opened, which may be otherwise the next time.
    """

    item: Item
    faces: tuple[Face, ...] = ()
    width: int = 0
    height: int = 0
    problem: str | None = None
    again: bool = False


def find(named: Iterable[str | Path], *, without: Iterable[Path] = ()) -> Iterator[Item]:
    """The pictures and clips of files, folders (with all below them) and patterns, in order.

    A file that is named is taken whatever its ending; in folders endings decide, and pictures of
    kinds that mien does not decode come too, so that they are told of. What lies in another thing
    that is named comes once. Folders ``without`` are passed by where they lie below a folder or
    the fixed part of a pattern, as are links to folders and mien's own
    timelines. No two items have one name. Memory: what is named, and the names in one folder.
    """
    closed = {os.path.realpath(path) for path in without}
    tops = _tops(named, closed)
    for top in tops:
        if top.folder:
            yield from _below(top, closed)
        else:
            yield Item(str(top.path), top.name, is_clip(top.path.name))


@dataclass(slots=True)
class _Top:
    """One thing that was named. real: where it truly lies. name: of its item, or their folder."""

    path: Path
    real: str
    name: str
    folder: bool


def _tops(named: Iterable[str | Path], closed: set[str]) -> list[_Top]:
    """What was named, patterns opened, each once."""
    found: dict[str, _Top] = {}
    for one in named:
        path = Path(one)
        tops = []
        # Path.exists() raises where a name is longer than the system lets it be.
        if not os.path.exists(path) and _PATTERN & set(str(one)):  # noqa: PTH110
            tops = _matches(str(one), closed)
        for top in tops or [_top(path, path.name)]:
            found.setdefault(top.real, top)
    folders = {top.real for top in found.values() if top.folder}
    kept = [t for t in found.values() if not any(str(p) in folders for p in Path(t.real).parents)]
    _tell_apart(kept)
    return kept


def _top(path: Path, name: str) -> _Top:
    real = os.path.realpath(path)
    if not name or ".." in Path(name).parts:  # would lead out of the folder of marked copies
        name = Path(real).name
    return _Top(path, real, name, os.path.isdir(path))  # noqa: PTH112


def _matches(pattern: str, closed: set[str]) -> list[_Top]:
    """What a pattern fits, named from its fixed part on."""
    parts = Path(pattern).parts
    fixed = next(n for n, part in enumerate(parts) if _PATTERN & set(part))
    base = os.path.realpath(Path(*parts[:fixed]))
    inside = tuple(f + os.sep for f in closed if f.startswith(base.rstrip(os.sep) + os.sep))
    found = []
    for place in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207
        path = Path(place)
        top = _top(path, "/".join(path.parts[fixed:]) or path.name)
        if not (top.real + os.sep).startswith(inside):
            found.append(top)
    return found


def _tell_apart(tops: list[_Top]) -> None:
    """Give those that would have one name, or lie in another's folder, more of their paths."""
    parts, longer = 1, True
    while longer:
        parts, longer = parts + 1, False
        names = Counter(top.name for top in tops)
        folders = {top.name for top in tops if top.folder}
        outer = [{str(p) for p in PurePath(top.name).parents} & folders for top in tops]
        shared = set().union(*outer)
        for top, others in zip(tops, outer, strict=True):
            if names[top.name] > 1 or others or top.name in shared:
                name = "/".join(Path(top.real).parts[1:][-parts:])
                longer |= name != top.name
                top.name = name


def _below(top: _Top, closed: set[str]) -> Iterator[Item]:
    refused: list[OSError] = []
    for place, folders, files in os.walk(top.path, onerror=refused.append):
        folders[:] = sorted(
            f for f in folders
            if not f.startswith(".")
            and os.path.realpath(Path(place, f)) not in closed
        )  # fmt: skip
        inner = os.path.relpath(place, top.path)
        for name in sorted(files):
            if is_meant(name):
                below = os.path.normpath(os.path.join(top.name, inner, name))  # noqa: PTH118
                yield Item(os.path.join(place, name), below, is_clip(name))  # noqa: PTH118
    for error in refused:  # to be read as if it were a picture, which says what is wrong with it
        yield Item(str(error.filename), f"{top.name}/{Path(error.filename).name}", clip=False)


def is_meant(name: str) -> bool:
    """Whether a file in a folder is to be read, or told of as a picture that mien cannot read."""
    if name.startswith(".") or name.endswith(TIMELINE + ".png"):
        return False
    return is_picture(name) or is_clip(name) or Path(name).suffix.lower() in _UNREAD


def read_pictures(
    items: Iterable[Item], predictor: Predictor, *, workers: int = 0
) -> Iterator[Read]:
    """Each picture's faces, in order; what cannot be read is told as such and the rest goes on.

    workers: threads that decode and search; 0 for as many as there are cores, 8 at most.
    """
    workers = workers or min(8, cores())
    waiting: deque[Future[_Searched]] = deque()
    ready: list[_Searched] = []
    begun = time.monotonic()
    with ThreadPoolExecutor(workers, "mien-search") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(_search, item, predictor))
                # One more than works: a slow picture at the head must not idle the others.
                if len(waiting) > 2 * workers:
                    ready.append(waiting.popleft().result())
                late = time.monotonic() - begun >= _SECONDS
                many = sum(len(one.cut.crops) for one in ready) >= _FACES
                if late or many or len(ready) >= _PICTURES:
                    yield from _classified(ready, predictor)
                    ready, begun = [], time.monotonic()
            ready += [future.result() for future in waiting]
            yield from _classified(ready, predictor)
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True, slots=True)
class _Searched:
    item: Item
    cut: Cut
    width: int = 0
    height: int = 0
    problem: str | None = None
    again: bool = False


def may_pass(error: BaseException) -> bool:
    """Whether it was the system that refused a file, and not what is in it."""
    cause = error.__cause__
    # Pillow raises OSError, without a number, for what is in a file as well.
    return isinstance(cause, OSError) and cause.errno is not None


def problem_of(error: Exception, path: str) -> str:
    """What an error says of a file, without the file's name at its front."""
    text = str(error)
    for name in (path, str(Path(path))):
        text = text.removeprefix(f"{name}: ").removeprefix(f"{shown(name)}: ")
    return text


def _search(item: Item, predictor: Predictor) -> _Searched:
    try:
        picture = read_picture(item.path)
        cut = predictor.cut(picture, predictor.find(picture))
    except MienError as error:
        size, channels = predictor.classifier.size, predictor.classifier.channels
        nothing = Cut(crops=np.empty((0, channels, size, size), np.uint8), wanted=())
        problem = problem_of(error, item.path)
        return _Searched(item, nothing, problem=problem, again=may_pass(error))
    return _Searched(item, cut, picture.shape[1], picture.shape[0])


def _classified(ready: list[_Searched], predictor: Predictor) -> Iterator[Read]:
    for one, faces in zip(ready, predictor.read([r.cut for r in ready]), strict=True):
        own = tuple(kept(faces, others=predictor.keep_others))
        yield Read(one.item, own, one.width, one.height, one.problem, one.again)
