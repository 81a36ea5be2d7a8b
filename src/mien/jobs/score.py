"""The verb ``score``: very many pictures to partitions of a table, by one machine or by many.

The files are sorted and cut into parts. Each part is one unit of work and one parquet file, named
by its number and by a fingerprint of all that its rows depend on: the files' names, sizes and
times, the model and the options. It is written whole or not at all. So each picture is in the
result exactly once whatever was killed, a part that is there is finished, and calling again does
what is left. Which engine runs the parts changes no byte: each part is scored by one thread, in
batches that do not depend on anything else.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mien.data.pictures import is_picture
from mien.errors import DataError, OptionError, RunError
from mien.jobs.score_part import PART, Done, Part, ScoreOptions, Scorer
from mien.models import bundled
from mien.predict.stores import Store, Stored, open_store
from mien.types import Progress, silent

_NAME = re.compile(r"part-(\d{8})-([0-9a-f]{16})\.parquet")
SUMMARY = "_score.json"  # with a leading _ readers of parquet folders pass it by


@dataclass(kw_only=True)
class Scored:
    """The whole. kept: pictures of parts that were there before; faces, problems: of the rest."""

    pictures: int = 0
    kept: int = 0
    faces: int = 0
    problems: int = 0
    parts: int = 0
    others: int = 0
    out: str = ""
    classes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain scalars and lists."""
        return asdict(self)


# Runs the parts in any order, and gives each once it is in place.
Engine = Callable[[ScoreOptions, str, Sequence[Part]], Iterable[Done]]


def score(
    options: ScoreOptions, *, engine: Engine | None = None, progress: Progress = silent
) -> Scored:
    """Score every picture below ``options.source``; what is there already is kept.

    engine: see ``local`` (which it is by default) and ``score_ray.with_ray``.

    Raises:
        DataError: no folder, or no picture in it. OptionError, ModelFileError: what is given cannot
            be used. RunError: a part cannot be written, or a worker has another model.
    """
    options = _absolute(options)
    scorer = Scorer(options)
    pictures, others = _pictures(open_store(options.source), progress)
    if not pictures:
        raise DataError(f"{options.source}: no picture in it")
    parts = cut(pictures, scorer.about, options.part)
    out = open_store(options.out)
    left = _left(out, parts)
    result = Scored(
        pictures=len(pictures), kept=len(pictures) - sum(len(part.files) for part in left),
        parts=len(parts), others=others, out=options.out,
        classes=scorer.predictor.classifier.classes,
    )  # fmt: skip
    out.remove(SUMMARY)  # there only while the parts are whole
    counted = result.kept
    progress("pictures", counted, result.pictures)
    run = engine or local
    for done in run(options, scorer.about, left):
        result.faces, result.problems = result.faces + done.faces, result.problems + done.problems
        counted += done.pictures
        progress("pictures", counted, result.pictures)
    _finish(out, parts, result, scorer)
    return result


def local(options: ScoreOptions, about: str, parts: Sequence[Part]) -> Iterator[Done]:
    """The engine of one process on this machine: one part after the other."""
    scorer = Scorer(options)
    scorer.check(about)
    for part in parts:
        yield scorer.score(part)


def _absolute(options: ScoreOptions) -> ScoreOptions:
    """Paths as another process would need them."""
    if options.part < 1:
        raise OptionError(f"--part {options.part}: 1 file or more")

    def absolute(text: str) -> str:
        return text if not text or "://" in text else str(Path(text).absolute())

    named = bundled.is_name(options.model)
    return replace(
        options,
        source=absolute(options.source),
        out=absolute(options.out),
        model=options.model if named else absolute(options.model),
        detector_model=absolute(options.detector_model),
    )


def _pictures(source: Store, progress: Progress) -> tuple[list[Stored], int]:
    pictures, others = [], 0
    for found in source.files():
        if is_picture(found.path):
            pictures.append(found)
        else:
            others += 1
        if len(pictures) % 1000 == 0:
            progress("looking", len(pictures), 0)
    return sorted(pictures), others


def cut(files: Sequence[Stored], about: str, size: int = PART) -> list[Part]:
    """Sorted files in parts of ``size`` on the average, and four times that at most.

    Where a part ends depends on the last file's name alone, not on its number; so a file that is
    added later changes the part it falls into and leaves the others as they are.
    """
    parts: list[Part] = []
    held: list[Stored] = []
    for place, file in enumerate(files):
        held.append(file)
        ends = int.from_bytes(_hash(file.path)[:8]) % size == 0
        if ends or len(held) >= 4 * size or place == len(files) - 1:
            stamp = [about, *(f"{one.path}\0{one.size}\0{one.changed}" for one in held)]
            key = _hash("\n".join(stamp)).hex()[:16]
            parts.append(Part(number=len(parts), key=key, files=tuple(one.path for one in held)))
            held = []
    return parts


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _left(out: Store, parts: Sequence[Part]) -> list[Part]:
    """The parts that are not there yet; those whose number alone has changed are renamed."""
    there = {match[2]: match[0] for name in out.names() if (match := _NAME.fullmatch(name))}
    moved = [(there[part.key], part.name) for part in parts if part.key in there]
    for old, new in moved:
        if old != new:
            out.rename(old, new)
    return [part for part in parts if part.key not in there]


def _finish(out: Store, parts: Sequence[Part], result: Scored, scorer: Scorer) -> None:
    names, there = {part.name for part in parts}, set(out.names())
    if missing := names - there:
        raise RunError(f"{out.name}: {len(missing)} parts are missing; the same command goes on")
    for name in there - names:
        if _NAME.fullmatch(name):
            out.remove(name)  # of files that are gone or have changed, or of another model
    summary = {
        "pictures": result.pictures, "parts": result.parts, "others": result.others,
        "classes": list(result.classes), "about": json.loads(scorer.about),
    }  # fmt: skip
    out.write(SUMMARY, (json.dumps(summary, indent=2, ensure_ascii=False) + "\n").encode())
