"""Rows of results for a csv or parquet file, written piece by piece and then put in place whole.

One row a face (in a clip: a frame and face). A picture without faces and a file that cannot be
used have one row as well, with ``answer`` "no face" or with ``problem``.
"""

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mien.errors import MissingExtraError, RunError
from mien.runs import check_place, temporary
from mien.system import open_to_all

_FIXED = {
    "file": str, "time": float, "frame": int, "id": int, "left": float, "top": float,
    "width": float, "height": float, "angle": float, "answer": str, "label": str,
    "confidence": float, "second": str, "second_probability": float, "unsure": bool,
    "not_a_face": bool, "novelty": float, "score": float, "problem": str,
}  # fmt: skip
_PART = 10_000  # rows held while parquet is written


def columns(classes: Sequence[str]) -> dict[str, type]:
    """Names and types; after the fixed ones a probability for each class, ``p_happy`` …"""
    return {**_FIXED, **{f"p_{name}": float for name in classes}}


def rows(
    entry: Mapping[str, Any], frames: Iterable[Mapping[str, Any]] = ()
) -> Iterator[dict[str, Any]]:
    """The rows of one file: of its entry in the record and, for a clip, of its frames."""
    file = {"file": entry["file"]}
    if "problem" in entry:
        yield {**file, "problem": entry["problem"]}
        return
    count = 0
    if "clip" in entry:
        for frame in frames:
            for face in frame["faces"]:
                count += 1
                yield {**file, "time": frame["time"], "frame": frame["frame"], **_of_face(face)}
    else:
        for face in entry["faces"]:
            count += 1
            yield {**file, **_of_face(face)}
    if not count:
        yield {**file, "answer": "no face"}


def second_of(probabilities: Mapping[str, float]) -> tuple[str, float] | tuple[None, None]:
    """The second most probable class; None for a model of one."""
    ranked = sorted(probabilities.items(), key=lambda one: -one[1])
    return ranked[1] if len(ranked) > 1 else (None, None)


def _of_face(face: Mapping[str, Any]) -> dict[str, Any]:
    second, probability = second_of(face["probabilities"])
    kept = ("id", "answer", "label", "confidence", "unsure", "not_a_face", "novelty", "score")
    return {
        **(face["box"] or {}),
        **{name: face[name] for name in kept},
        "second": second,
        "second_probability": probability,
        **{f"p_{name}": value for name, value in face["probabilities"].items()},
    }


def write_csv(path: Path, found: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> None:
    """Write a csv (UTF-8, blanks where there is no value).

    Raises:
        RunError: it cannot be written.
    """
    # The names of files may hold bytes that are no text; they come out as they were.
    with _in_place(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        writer = csv.DictWriter(text, list(columns(classes)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
        text.flush()
        text.detach()


def check_parquet() -> None:
    """Say at once, and not after hours of work, that parquet cannot be written.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("a .parquet file", "parquet") from error


def write_parquet(path: Path, found: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> None:
    """The same as parquet, with types and nulls.

    Raises:
        RunError: it cannot be written. MissingExtraError: pyarrow is not installed.
    """
    check_parquet()
    import pyarrow as pa
    from pyarrow import parquet

    types = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns(classes).items()])
    with _in_place(path) as file, parquet.ParquetWriter(file, schema) as writer:
        for part in _parts(found):
            writer.write_table(pa.Table.from_pylist(part, schema))


def _parts(found: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part = []
    for row in found:
        # A file's name may hold bytes that are no text; parquet takes text only.
        file = row["file"].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        part.append({**row, "file": file})
        if len(part) == _PART:
            yield part
            part = []
    yield part


@contextmanager
def _in_place(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside ``path`` that takes its place when all went well."""
    made = None
    try:
        check_place(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=temporary(path.name), suffix=".tmp")
        made = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        open_to_all(made)
        made.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if made is not None:
            made.unlink(missing_ok=True)


WRITERS: dict[str, Callable[[Path, Iterable[Mapping[str, Any]], Sequence[str]], None]] = {
    "csv": write_csv,
    "parquet": write_parquet,
}
