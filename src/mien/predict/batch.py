"""Over files, folders and patterns: what there is to read, and pictures read many at a time.

Threads read, decode, search and cut; cut faces of many pictures are classified in one batch.
Threads are enough: OpenCV and Pillow work without the interpreter's lock. A decoded picture lives
only in its thread, so memory does not grow with the number of pictures.
"""

import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.data.pictures import is_picture
from mien.errors import MienError
from mien.predict.clips import is_clip
from mien.predict.looks import Cut
from mien.predict.pictures import read_picture
from mien.predict.pipeline import Predictor, kept
from mien.types import Face

_FACES = 64  # classified at once, about
_PICTURES = 32  # waiting for that, at most
_PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Item:
    """One file, a clip or a picture. name: where it lies below what was named."""

    path: str
    name: str
    clip: bool


@dataclass(frozen=True, slots=True)
class Read:
    """What was found in one picture: its faces and size, or the problem in one line."""

    item: Item
    faces: tuple[Face, ...] = ()
    width: int = 0
    height: int = 0
    problem: str | None = None


def find(named: Iterable[str | Path], *, without: Iterable[Path] = ()) -> Iterator[Item]:
    """The pictures and clips of files, folders (with all below them) and patterns, in order.

    A file that is named is taken whatever its ending; in folders endings decide. What lies in
    another thing that is named comes once. Folders ``without`` are passed by, as are links to
    folders. Memory: the names in one folder.
    """
    closed = {os.path.realpath(path) for path in without}
    tops = _tops(named)
    for path, top in tops:
        if path.is_dir():
            yield from _below(path, closed, tops, top)
        else:
            yield Item(str(path), path.name, is_clip(path.name))


def _tops(named: Iterable[str | Path]) -> list[tuple[Path, str]]:
    """What was named, patterns opened, each once, with its real path."""
    found: dict[str, Path] = {}
    for one in named:
        path = Path(one)
        if not path.exists() and _PATTERN & set(str(one)):
            paths = [Path(p) for p in sorted(glob.glob(str(one), recursive=True))]  # noqa: PTH207
        else:
            paths = [path]
        for each in paths or [path]:
            found.setdefault(os.path.realpath(each), each)
    folders = [real for real, path in found.items() if path.is_dir()]
    inside = [tuple(f.rstrip(os.sep) + os.sep for f in folders if f != real) for real in found]
    return [(path, real) for (real, path), outer in zip(found.items(), inside, strict=True)
            if not real.startswith(outer)]  # fmt: skip


def _below(
    folder: Path, closed: set[str], tops: list[tuple[Path, str]], top: str
) -> Iterator[Item]:
    base = folder.name or Path(top).name
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            f for f in folders
            if not f.startswith(".") and os.path.realpath(Path(place, f)) not in closed
        )  # fmt: skip
        inner = os.path.relpath(place, folder)
        for name in sorted(files):
            if not name.startswith(".") and (is_picture(name) or is_clip(name)):
                below = os.path.normpath(os.path.join(base, inner, name))  # noqa: PTH118
                yield Item(os.path.join(place, name), below, is_clip(name))  # noqa: PTH118


def read_pictures(
    items: Iterable[Item], predictor: Predictor, *, workers: int = 0
) -> Iterator[Read]:
    """Each picture's faces, in order; what cannot be read is told as such and the rest goes on.

    workers: threads that decode and search; 0 for as many as there are cores, 8 at most.
    """
    workers = workers or min(8, len(os.sched_getaffinity(0)))
    waiting: deque[Future[_Searched]] = deque()
    ready: list[_Searched] = []
    with ThreadPoolExecutor(workers, "mien-search") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(_search, item, predictor))
                # One more than works: a slow picture at the head must not idle the others.
                if len(waiting) > 2 * workers:
                    ready.append(waiting.popleft().result())
                if sum(len(one.cut.crops) for one in ready) >= _FACES or len(ready) >= _PICTURES:
                    yield from _classified(ready, predictor)
                    ready = []
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


def _search(item: Item, predictor: Predictor) -> _Searched:
    try:
        picture = read_picture(item.path)
        cut = predictor.cut(picture, predictor.find(picture))
    except MienError as error:
        size, channels = predictor.classifier.size, predictor.classifier.channels
        nothing = Cut(crops=np.empty((0, channels, size, size), np.uint8), wanted=())
        return _Searched(item, nothing, problem=str(error).removeprefix(f"{item.path}: "))
    return _Searched(item, cut, picture.shape[1], picture.shape[0])


def _classified(ready: list[_Searched], predictor: Predictor) -> Iterator[Read]:
    for one, faces in zip(ready, predictor.read([r.cut for r in ready]), strict=True):
        own = tuple(kept(faces, others=predictor.keep_others))
        yield Read(one.item, own, one.width, one.height, one.problem)
