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
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mien import __version__
from mien.data.files import MIB, reason, shown
from mien.data.pictures import is_picture
from mien.errors import DataError, MienError, OptionError, RunError
from mien.models import bundled
from mien.predict.pictures import read_picture
from mien.predict.pipeline import UNSURE_ERROR, Predictor, load
from mien.predict.stores import Store, Stored, open_store
from mien.types import Detection, Progress, silent

PART = 512  # files in a part, on the average
_BATCH = 32  # pictures whose faces are classified together
_TRIES = 3  # a store may fail once
_READERS = 16  # 0.15 s for each of them is 100 pictures a second, more than a core scores
_MAX_BYTES = 64 * MIB
_NAME = re.compile(r"part-(\d{8})-([0-9a-f]{16})\.parquet")
SUMMARY = "_score.json"  # with a leading _ readers of parquet folders pass it by
_FIXED = {
    "path": str, "face": int, "left": float, "top": float, "width": float, "height": float,
    "angle": float, "score": float, "answer": str, "label": str, "confidence": float,
    "unsure": bool, "not_a_face": bool, "novelty": float, "problem": str,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """What is scored, and how. source: a folder or a URI of one; out: likewise.

    model, detector, detector_model, unsure_error, keep_others: as for ``predict.pipeline.load``;
    files that these name must be found under the same path by each worker.
    part: files in a part, on the average.
    """

    source: str
    out: str
    model: str = "default"
    detector: str = "haar"
    detector_model: str = ""
    backend: str = "auto"
    unsure_error: float = UNSURE_ERROR
    keep_others: bool = False
    part: int = PART


@dataclass(frozen=True, kw_only=True)
class Part:
    """One unit of work. key: of all that its rows depend on. files: paths below the source."""

    number: int
    key: str
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its parquet file."""
        return f"part-{self.number:08d}-{self.key}.parquet"


@dataclass(frozen=True, kw_only=True)
class Done:
    """A part that was scored now."""

    number: int
    pictures: int
    faces: int
    problems: int


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

    named = options.model in (bundled.DEFAULT, *bundled.names())
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


def _finish(out: Store, parts: Sequence[Part], result: Scored, scorer: "Scorer") -> None:
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


class Scorer:
    """A model in memory, and the two places; lives in each worker.

    Raises:
        MienError: the model, the detector or a place cannot be used.
    """

    def __init__(self, options: ScoreOptions) -> None:
        self.source, self.out = open_store(options.source), open_store(options.out)
        # One thread: then neither the engine nor the machine's cores can change a rounding.
        self.predictor = load(
            options.model, detector=options.detector, threads=1, backend=options.backend,
            detector_model=options.detector_model or None, unsure_error=options.unsure_error,
            keep_others=options.keep_others,
        )  # fmt: skip
        self.about = _about(self.predictor)

    def check(self, about: str) -> None:
        """Refuse to score with anything else than was planned with.

        Raises:
            RunError: ``about`` is that of another model, version or option.
        """
        if self.about != about:
            raise RunError("a worker has another model or another version of mien than was begun "
                           "with; give all machines the same")  # fmt: skip

    def score(self, part: Part) -> Done:
        """Score a part and put its file in place.

        Raises:
            RunError: it cannot be written.
        """
        rows: list[dict[str, Any]] = []
        faces = problems = 0
        for batch in self._ahead(part.files):
            for path, found, problem in self._batch(batch):
                rows += rows_of(path, found, problem)
                faces, problems = faces + len(found), problems + (problem is not None)
        self.out.write(part.name, _parquet(rows, self.predictor.classifier.classes, self.about))
        return Done(number=part.number, pictures=len(part.files), faces=faces, problems=problems)

    def _ahead(self, paths: Sequence[str]) -> Iterator[list[tuple[str, Future[bytes]]]]:
        """Batches, each being read while the one before is worked on: a store far away is slow."""
        waiting: list[list[tuple[str, Future[bytes]]]] = []
        with ThreadPoolExecutor(_READERS, "mien-read") as pool:
            try:
                for start in range(0, len(paths), _BATCH):
                    some = paths[start : start + _BATCH]
                    waiting.append([(path, pool.submit(self._read, path)) for path in some])
                    if len(waiting) > 1:
                        yield waiting.pop(0)
                yield from waiting
            finally:
                pool.shutdown(cancel_futures=True)

    def _batch(
        self, batch: Sequence[tuple[str, Future[bytes]]]
    ) -> Iterator[tuple[str, list[dict[str, Any]], str | None]]:
        """Each picture's faces as JSON, or the problem in one line."""
        cuts, problems = [], {}
        for path, content in batch:
            try:
                picture = read_picture(content.result(), where="the picture")
                places: list[Detection | None] = [None]
                if self.predictor.detector.name != "none":
                    places = list(self.predictor.detector.detect(picture))
                cuts.append((path, self.predictor.cut(picture, places)))
            except MienError as error:
                problems[path] = str(error).removeprefix("the picture: ")
        read = self.predictor.read([one for _, one in cuts])
        keep = self.predictor.keep_others or self.predictor.detector.name == "none"
        found = {
            path: [face.to_json() for face in faces if keep or not face.not_a_face]
            for (path, _), faces in zip(cuts, read, strict=True)
        }
        for path, _ in batch:
            yield path, found.get(path, []), problems.get(path)

    def _read(self, path: str) -> bytes:
        for attempt in range(_TRIES):
            try:
                data = self.source.read(path, _MAX_BYTES)
                break
            except FileNotFoundError as error:
                raise DataError("it is no longer there") from error
            except (OSError, ValueError) as error:
                if attempt == _TRIES - 1:
                    raise DataError(f"cannot be read ({reason(error)})") from error
        if len(data) > _MAX_BYTES:
            raise DataError(f"over {_MAX_BYTES // MIB} MiB; save it smaller")
        return data


def _about(predictor: Predictor) -> str:
    """All that a picture's rows depend on besides the picture, as JSON."""
    card = json.dumps(predictor.classifier.card, sort_keys=True, default=str)
    return json.dumps({
        "version": __version__, "model": predictor.classifier.name,
        "checksum": hashlib.sha256(card.encode()).hexdigest(),
        "backend": predictor.classifier.backend, "detector": predictor.detector.name,
        "unsure_error": predictor.unsure_error, "keep_others": predictor.keep_others,
    }, sort_keys=True)  # fmt: skip


def rows_of(
    path: str, faces: Sequence[dict[str, Any]], problem: str | None
) -> Iterator[dict[str, Any]]:
    """A row a face, largest first; one row where there is none, or a problem."""
    name = shown(path) if not path.isprintable() else path
    if problem is not None:
        yield {"path": name, "problem": problem}
    elif not faces:
        yield {"path": name, "answer": "no face"}
    for number, face in enumerate(faces):
        kept = {key: face[key] for key in _FIXED if key in face}
        chances = {f"p_{label}": value for label, value in face["probabilities"].items()}
        yield {"path": name, "face": number, **(face["box"] or {}), **kept, **chances}


def columns(classes: Sequence[str]) -> dict[str, type]:
    """Names and types of a part's columns."""
    return {**_FIXED, **{f"p_{name}": float for name in classes}}


def _parquet(rows: list[dict[str, Any]], classes: Sequence[str], about: str) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    types = {str: pa.string(), float: pa.float64(), int: pa.int32(), bool: pa.bool_()}
    fields = [(name, types[kind]) for name, kind in columns(classes).items()]
    table = pa.Table.from_pylist(rows, pa.schema(fields, metadata={"mien": about}))
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return bytes(sink.getvalue())
