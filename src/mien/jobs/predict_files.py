"""What ``mien predict`` keeps of pictures and clips: entries of the record, tables, copies."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError, RunError
from mien.predict.batch import Read, is_meant
from mien.predict.clips import Clip
from mien.predict.record import NAME, Record
from mien.predict.table import WRITERS, rows
from mien.predict.video import Frame
from mien.runs import check_place, temporary, write_atomic

TABLE = "faces.csv"  # in --out
_JPEG_MOST = 65_500  # pixels along a side


@dataclass
class ClipSummary:
    """What a clip showed, face by face; grows with the faces, not with the frames."""

    frames: int = 0
    last: float = 0.0
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)

    def add(self, frame: Frame) -> None:
        """One more frame."""
        self.frames, self.last = self.frames + 1, frame.time
        for face in frame.faces:
            one = self.seen.setdefault(face.id or 0, {
                "first": frame.time, "frames": 0, "answers": Counter(),
                "sum": dict.fromkeys(face.probabilities, 0.0),
            })  # fmt: skip
            one["last"], one["frames"] = frame.time, one["frames"] + 1
            one["answers"][face.answer] += 1
            for name, value in face.probabilities.items():
                one["sum"][name] += value

    def to_json(self, clip: Clip) -> dict[str, Any]:
        """JSON-able: the clip's facts, and for each id its span, mean and shares of answers."""
        faces = []
        for number, one in sorted(self.seen.items()):
            n = one["frames"]
            faces.append({
                "id": number, "first": round(one["first"], 4), "last": round(one["last"], 4),
                "frames": n,
                "probabilities": {k: round(v / n, 5) for k, v in one["sum"].items()},
                "answers": {k: round(v / n, 4) for k, v in one["answers"].most_common()},
            })  # fmt: skip
        return {"frames": self.frames, "seconds": round(self.last, 4), "rate": round(clip.rate, 4),
                "width": clip.width, "height": clip.height, "faces": faces}  # fmt: skip


def frame_entry(frame: Frame) -> dict[str, Any]:
    """One frame as it stands in the record."""
    return {"time": round(frame.time, 4), "frame": frame.number,
            "faces": [face.to_json() for face in frame.faces]}  # fmt: skip


def picture_entry(found: Read, problem: str | None) -> dict[str, Any]:
    """One picture as it stands in the record; with ``problem`` it was left out."""
    if problem is not None:
        return problem_entry(found.item.path, problem, again=found.again)
    return {"file": found.item.path, "width": found.width, "height": found.height,
            "faces": [face.to_json() for face in found.faces]}  # fmt: skip


def problem_entry(path: str, problem: str, *, again: bool) -> dict[str, Any]:
    """A file that was left out, as it stands in the record; again: to be tried the next time."""
    return {"file": path, "problem": problem} | ({"again": True} if again else {})


def write_tables(
    files: Mapping[str, Path | None], record: Record, wanted: Iterable[int], classes: Sequence[str]
) -> list[Path]:
    """Write the record's rows of the items ``wanted`` to each of ``files``, a kind and its place.

    Gives those that were written; a place of None is left out.
    """
    written = []
    for kind, file in files.items():
        if file is not None:
            WRITERS[kind](file, _rows(record, wanted), classes)
            written.append(file)
    return written


def _rows(record: Record, wanted: Iterable[int]) -> Iterator[dict[str, Any]]:
    for key in wanted:
        entry = record.entry(key)
        if entry is not None:
            yield from rows(entry, record.frames(entry))


def make_folders(
    out: Path | None, annotate: Path | None, csv: Path | None, parquet: Path | None,
    *, record: Path | None = None, named: Sequence[str | Path],
) -> None:  # fmt: skip
    """Make the folders that results go to, and refuse files that cannot or must not be written.

    record: where the record of the call lies.

    Raises:
        OptionError: a file's folder is missing, or it would take the place of something else.
        RunError: a folder cannot be made.
    """
    for folder in (out, annotate):
        if folder:
            make_folder(folder)
    if out and not csv:
        csv = out / TABLE
        if csv.is_file() and not (out / NAME).exists():
            raise OptionError(f"--out {out}: its {TABLE} was there before and is not mien's; name "
                              "another folder")  # fmt: skip
    files = [file for file in (csv, parquet) if file]
    for file in files:
        _check_table(file)
    places = [Path(os.path.realpath(file)) for file in (*files, *([record] if record else []))]
    for n, place in enumerate(places):
        if place in places[:n]:
            raise OptionError(f"{place}: two results would be written there; name two files")
    if annotate and any(os.path.isdir(one) and annotate.samefile(one) for one in named):  # noqa: PTH112
        raise OptionError(f"--annotate {annotate}: the pictures to read lie there; name another")


def _check_table(file: Path) -> None:
    if not file.parent.is_dir():
        raise OptionError(f"{file}: there is no folder {file.parent}; make it first")
    if is_meant(file.name):  # as in --csv *.jpg
        raise OptionError(f"{file}: a table would be written over a picture or clip; name its "
                          "file first")  # fmt: skip
    try:
        check_place(file)
    except OSError as error:
        raise OptionError(f"{file}: {error.strerror}; name a file") from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it.

    Raises:
        RunError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made ({error.strerror})") from error


def drop_left_over(place: Path) -> None:
    """Remove what a killed process left of a marked clip that was to come to ``place``."""
    pattern = f"{glob.escape(temporary(place.stem))}????????.tmp{place.suffix}"
    for left in place.parent.glob(pattern):
        left.unlink(missing_ok=True)


def write_picture(place: Path, picture: NDArray[np.uint8]) -> None:
    """Write uint8 H×W×3 RGB as PNG where the name says so, else as JPEG, if need be made smaller.

    Raises:
        RunError: it cannot be encoded or written.
    """
    import cv2

    make_folder(place.parent)
    suffix = ".png" if place.suffix.lower() == ".png" else ".jpg"
    longest = max(picture.shape[:2])
    if suffix == ".jpg" and longest > _JPEG_MOST:
        height, width = (max(1, side * _JPEG_MOST // longest) for side in picture.shape[:2])
        smaller = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        picture = np.asarray(smaller, np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix == ".jpg" else []
    good, data = cv2.imencode(suffix, picture[..., ::-1], quality)
    if not good:
        raise RunError(f"{place}: the picture cannot be encoded")
    try:
        write_atomic(place, np.asarray(data).tobytes())
    except OSError as error:
        raise RunError(f"{place}: cannot be written ({error.strerror})") from error
