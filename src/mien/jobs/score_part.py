"""One part of ``mien score``: its pictures read, scored and put in place as one parquet file."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mien.data.files import MIB, reason, shown
from mien.errors import DataError, MienError, RunError
from mien.predict.pictures import read_picture
from mien.predict.pipeline import UNSURE_ERROR, kept, load
from mien.predict.stores import open_store

PART = 512  # files in a part, on the average
_BATCH = 32  # pictures whose faces are classified together
_TRIES = 3  # a store may fail once
_READERS = 16  # 0.15 s for each of them is 100 pictures a second, more than a core scores
_MAX_BYTES = 64 * MIB
_FIXED = {
    "path": str, "face": int, "left": float, "top": float, "width": float, "height": float,
    "angle": float, "score": float, "answer": str, "label": str, "confidence": float,
    "unsure": bool, "not_a_face": bool, "novelty": float, "problem": str,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """What is scored, and how. source: a folder or a URI of one; out: likewise.

    model, detector, detector_model, detector_size, unsure_error, keep_others, views: as for
    ``predict.pipeline.load``; files that these name must be found under the same path by each
    worker.
    part: files in a part, on the average.
    """

    source: str
    out: str
    model: str = "default"
    detector: str = "haar"
    detector_model: str = ""
    detector_size: int | None = None
    backend: str = "auto"
    unsure_error: float = UNSURE_ERROR
    keep_others: bool = False
    views: int | None = None
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
            detector_model=options.detector_model or None, detector_size=options.detector_size,
            unsure_error=options.unsure_error, keep_others=options.keep_others, views=options.views,
        )  # fmt: skip
        self.about = json.dumps(self.predictor.identity, sort_keys=True)

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
                cuts.append((path, self.predictor.cut(picture, self.predictor.find(picture))))
            except MienError as error:
                problems[path] = str(error).removeprefix("the picture: ")
        read = self.predictor.read([one for _, one in cuts])
        found = {
            path: [face.to_json() for face in kept(faces, others=self.predictor.keep_others)]
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
        told = {key: face[key] for key in _FIXED if key in face}
        chances = {f"p_{label}": value for label, value in face["probabilities"].items()}
        yield {"path": name, "face": number, **(face["box"] or {}), **told, **chances}


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
