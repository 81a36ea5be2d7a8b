"""The verb ``predict``: faces and their expressions in pictures, folders and clips.

Needs no torch. Results go into a record (``predict.record``) as they come; tables are written from
it at the end, so neither a kill nor a million files changes what is in memory or what is lost.
"""

import contextlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, MienError, OptionError, RunError, printable
from mien.jobs.predict_files import (
    TABLE,
    ClipSummary,
    drop_left_over,
    frame_entry,
    make_folder,
    make_folders,
    picture_entry,
    problem_entry,
    write_picture,
    write_tables,
)
from mien.jobs.predict_own import Own
from mien.jobs.predict_runs import New, Scored, runs
from mien.predict.batch import Item, Read, find, may_pass, problem_of, read_pictures
from mien.predict.clips import Clip, ClipWriter, open_clip
from mien.predict.copies import Copies
from mien.predict.pictures import read_picture
from mien.predict.pipeline import Predictor
from mien.predict.record import NAME, OLD, Record
from mien.predict.video import VideoOptions, watch
from mien.types import Face, Progress, silent

# (picture uint8 H×W×3 RGB, its faces, seconds in a clip) to the picture to show, of the same size.
Draw = Callable[[NDArray[np.uint8], Sequence[Face], float | None], NDArray[np.uint8]]
# (clip, its entry, its frames that have faces, whether it was read now and not before)
OnClip = Callable[[Item, Mapping[str, Any], Iterable[dict[str, Any]], bool], None]
# Told of each file that is done: its entry, as it stands in the record.
Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Where results go, and how clips are read.

    out: a folder for the record, ``faces.csv`` and what is drawn of clips. csv, parquet: files.
    annotate: a folder for annotated copies. clips: the ending of annotated clips. The record is
    in the first of these that is given, beside its file; without any nothing is kept.
    drawing: tells one way to draw copies from another; those made otherwise are made again.
    workers: threads that decode and search; 0 for as many as there are cores.
    """

    out: Path | None = None
    csv: Path | None = None
    parquet: Path | None = None
    annotate: Path | None = None
    clips: str = ".mp4"
    drawing: str = ""
    workers: int = 0
    video: VideoOptions = field(default_factory=VideoOptions)

    @property
    def files(self) -> dict[str, Path | None]:
        """The tables, by their kind."""
        return {"csv": self.csv or (self.out / TABLE if self.out else None),
                "parquet": self.parquet}  # fmt: skip

    @property
    def record(self) -> Path | None:
        """Where the record lies."""
        if self.out:
            return self.out / NAME
        for file in (self.csv, self.parquet):
            if file:
                return file.with_name(f"{file.name}.{NAME}")
        return self.annotate / NAME if self.annotate else None


@dataclass(kw_only=True)
class Predicted:
    """What was done. files: asked for. scored: now; kept: before. faces, answers: in pictures.

    problems: files left out, the first thousand; skipped: how many. notes: for a person.
    written: files with results.
    """

    files: int = 0
    scored: int = 0
    kept: int = 0
    faces: int = 0
    clips: int = 0
    skipped: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)

    def count(self, entry: Mapping[str, Any]) -> None:
        """Take one file's entry in."""
        if "problem" in entry:
            self.skipped += 1
            if len(self.problems) < 1000:
                self.problems.append(f"{printable(entry['file'])}: {entry['problem']}")
        elif "clip" in entry:
            self.clips += 1
        else:
            self.faces += len(entry["faces"])
            self.answers.update(face["answer"] for face in entry["faces"])


def predict(
    named: Sequence[str | Path],
    predictor: Predictor,
    options: PredictOptions | None = None,
    *,
    draw: Draw | None = None,
    tell: Tell | None = None,
    on_clip: OnClip | None = None,
    progress: Progress = silent,
) -> Predicted:
    """Read the faces of every picture and clip of files, folders and patterns.

    draw: makes the annotated copies for ``options.annotate``. tell: told of each file, on_clip: of
    each clip; those that were scored before included.

    Raises:
        DataError: there is nothing to read. OptionError, RunError: an output cannot be written.
    """
    options = options or PredictOptions()
    done = Predicted()
    own = Own.of(options.out, options.annotate, options.files, options.record)
    named = own.without_folders(named)
    make_folders(options.out, options.annotate, options.csv, options.parquet,
                 record=options.record, named=named)  # fmt: skip
    closed = [path for path in (options.out, options.annotate) if path]
    with contextlib.ExitStack() as stack:
        copies = None
        if draw is not None and options.annotate is not None:
            copies = stack.enter_context(Copies(options.annotate, options.clips))
        total = _counted(own.others(find(named, without=closed)), copies, progress)
        if not total:
            raise DataError(f"{', '.join(map(str, named))}: no picture or clip in it")
        record = stack.enter_context(Record(options.record, _about(predictor, options)))
        if record.begun_anew:
            done.notes.append("scored before with another model or other options; scored anew, "
                              f"what was said before is kept in {record.path}{OLD}")  # fmt: skip
        work = _Work(predictor, options, record, copies, draw, on_clip, progress, total, done)
        wanted = work.through(own.others(find(named, without=closed)), tell)
        classes = predictor.classifier.classes
        done.written += write_tables(options.files, record, wanted, classes)
    return done


def _counted(items: Iterable[Item], copies: Copies | None, progress: Progress) -> int:
    """How many there are; refuses, before any work, those whose copies would cost somebody's."""
    total = 0
    for item in items:
        total += 1
        if copies:
            copies.check(item)
        if total % 500 == 0:
            progress("looking", total, 0)
    return total


def _about(predictor: Predictor, options: PredictOptions) -> dict[str, Any]:
    """All that a result depends on."""
    classes = list(predictor.classifier.classes)
    return {**predictor.identity, "video": repr(options.video), "classes": classes}


@dataclass
class _Work:
    """One call: its parts, and how far it is."""

    predictor: Predictor
    options: PredictOptions
    record: Record
    copies: Copies | None
    draw: Draw | None
    on_clip: OnClip | None
    progress: Progress
    total: int
    done: Predicted

    def through(self, items: Iterable[Item], tell: Tell | None) -> "array[int]":
        """Every item; those that are scored already are only told of. The items' keys, in order."""
        wanted = array("Q")
        known = self.record.known()
        for key, new in self._scored(items, known):
            wanted.append(key)
            entry = self.record.entry(key) if new is None else new
            self.done.kept += new is None
            self.done.scored += new is not None
            assert entry is not None
            self.done.files += 1
            self.done.count(entry)
            self.progress("files", self.done.files, self.total)
            if tell:
                tell(entry)
        return wanted

    def _scored(
        self, items: Iterable[Item], known: NDArray[np.uint64]
    ) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
        """Each item's key and its entry, None where the record has one; in order."""
        for run in runs(items, known, self._drawn):
            if isinstance(run, Scored):
                if run.item.clip:
                    self._tell_of_clip(run.item, run.key, new=False)
                yield run.key, None
            elif isinstance(run, New):
                yield run.key, self._clip(run.item, run.key)
            else:
                yield from self._pictures(run)

    def _drawn(self, item: Item, key: int) -> bool:
        """Whether all is there that is drawn of an item, and as it is wanted now."""
        if self.copies is None:
            return True
        entry = self.record.entry(key) or {}
        if "problem" in entry:
            return True  # nothing of it can be drawn
        there = self.copies.is_of(self.copies.place(item), key)
        return there and entry.get("drawn", "") == self.options.drawing

    def _add(self, key: int, entry: dict[str, Any]) -> None:
        """Keep what was said of an item, and how it was drawn."""
        if self.copies is not None and self.options.drawing:
            entry["drawn"] = self.options.drawing
        self.record.add(key, entry)

    def _pictures(self, new: Iterable[New]) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
        keys: list[int] = []

        def items() -> Iterator[Item]:
            for one in new:
                keys.append(one.key)
                yield one.item

        read = read_pictures(items(), self.predictor, workers=self.options.workers)
        for found in read:
            key = keys.pop(0)
            problem = found.problem
            if problem is None:
                problem = self._annotate(found, key)
            entry = picture_entry(found, problem)
            self._add(key, entry)
            yield key, entry

    def _annotate(self, found: Read, key: int) -> str | None:
        if self.copies is None or self.draw is None:
            return None
        try:
            picture = read_picture(found.item.path)
        except MienError as error:
            return problem_of(error, found.item.path)
        place = self.copies.place(found.item)
        self.copies.begin(place, key)
        write_picture(place, self.draw(picture, found.faces, None))
        return None

    def _clip(self, item: Item, key: int) -> Mapping[str, Any]:
        try:
            with open_clip(item.path) as clip:
                entry: dict[str, Any] = {"file": item.path, "clip": self._watch(item, clip, key)}
        except MienError as error:
            self.record.drop_frames()
            if isinstance(error, RunError | OptionError):
                raise
            problem = problem_of(error, item.path)
            entry = problem_entry(item.path, problem, again=may_pass(error))
        self._add(key, entry)
        self._tell_of_clip(item, key, new=True)
        return entry

    def _tell_of_clip(self, item: Item, key: int, *, new: bool) -> None:
        if self.on_clip is None:
            return
        entry = self.record.entry(key) or {}
        if "clip" in entry:
            self.on_clip(item, entry, self.record.frames(entry), new)

    def _watch(self, item: Item, clip: Clip, key: int) -> dict[str, Any]:
        """Read one clip through, and write its frames and its copy."""
        writer, summary = None, ClipSummary()
        if self.copies is not None:
            place = self.copies.place(item)
            make_folder(place.parent)
            drop_left_over(place)
            self.copies.begin(place, key)
            writer = ClipWriter(place, clip.width, clip.height, clip.rate)
        try:
            for frame in watch(clip, self.predictor, self.options.video):
                summary.add(frame)
                if frame.faces:
                    self.record.add_frame(frame_entry(frame))
                if writer is not None and self.draw is not None:
                    shown = self.draw(frame.picture, frame.faces, frame.time)
                    writer.write(frame.time, shown)
                if frame.number % 5 == 0:
                    name = printable(Path(item.path).name)
                    self.progress(f"frames of {name}", frame.number, clip.count)
        except BaseException as error:
            if writer is not None:
                writer.__exit__(type(error), error, None)
            raise
        if writer is not None:
            writer.__exit__(None, None, None)
        self.done.notes += map(printable, clip.notes)
        return summary.to_json(clip)
