"""``predictions.parquet``: what a model said of each image, from which all numbers recompute.

One row an image. Columns: id (string), split (string), label (int64, -1 for none), logits (K
float32), hash (32 hex digits), copied (bool). The schema's metadata holds, under the key
``mien``, a JSON object with the format's version, the classes and what made the predictions.
Pages carry checksums. Reading checks everything and executes nothing: there is no pickle in it.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.errors import RunError, said
from mien.runs import write_atomic
from mien.types import Outputs

FORMAT = 1
_KEY = b"mien"
_TEXTS = {"id": 1000, "split": 100, "hash": 32}  # characters at most
# What a file may claim to hold: bytes, and bytes for each of its own.
_SLACK, _RATIO = 2**26, 50
_HASH = re.compile(r"[0-9a-f]{32}")
_MEND = "write it again with 'mien evaluate MODEL DATA'"


def write_predictions(path: Path, outputs: Outputs) -> None:
    """Write ``outputs`` to ``path`` atomically.

    Raises:
        RunError: the outputs are not what a reader would accept, or the file cannot be written.
    """
    _check(path, outputs, "the model's outputs are no predictions")
    about = {"format": FORMAT, "classes": list(outputs.classes), "about": outputs.about}
    metadata = {_KEY: json.dumps(about, ensure_ascii=False, allow_nan=False).encode()}
    logits = pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(outputs.logits).ravel()), len(outputs.classes)
    )
    table = pa.table(
        [
            pa.array(as_text(outputs.ids)),
            pa.array(as_text(outputs.splits)),
            pa.array(outputs.labels.astype(np.int64)),
            logits,
            pa.array(as_text(outputs.hashes)),
            pa.array(outputs.copied.astype(np.bool_)),
        ],
        schema=_schema(len(outputs.classes)).with_metadata(metadata),
    )
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd", write_page_checksum=True)
    try:
        write_atomic(path, content.getvalue())
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror}); choose another") from error


def read_predictions(path: Path) -> Outputs:
    """The content of a file that ``write_predictions`` made.

    Raises:
        RunError: missing, truncated, foreign, of another format, or with a bad field; the
            message names the file, the field and the mend.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"{path}: no such file; {_MEND}")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            about = _read_about(path, file.schema_arrow.metadata)
            _check_schema(path, file.schema_arrow, len(about["classes"]))
            _check_claims(path, file.metadata, len(about["classes"]))
        # Texts stay in their dictionaries: a long one may be named a million times.
        with pq.ParquetFile(
            path, page_checksum_verification=True, read_dictionary=list(_TEXTS)
        ) as file:
            table = file.read()
        outputs = _outputs(path, table, about)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise RunError(f"{path}: truncated, damaged or no parquet file; {_MEND}") from error
    _check(path, outputs, "holds no predictions")
    return outputs


def as_text(names: NDArray[Any]) -> NDArray[np.str_]:
    """Names as an array of str, whether they came as bytes (ASCII), str or objects."""
    return np.char.decode(names, "ascii") if names.dtype.kind == "S" else names.astype(np.str_)


def _schema(K: int) -> Any:
    return pa.schema(
        [
            ("id", pa.string()),
            ("split", pa.string()),
            ("label", pa.int64()),
            ("logits", pa.list_(pa.float32(), K)),
            ("hash", pa.string()),
            ("copied", pa.bool_()),
        ]
    )


def _read_about(path: Path, metadata: Any) -> dict[str, Any]:
    try:
        about = json.loads((metadata or {})[_KEY])
    except KeyError as error:
        raise RunError(
            f"{path}: a parquet file, but none of mien's predictions; {_MEND}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: its description is damaged; {_MEND}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        found = about.get("format") if isinstance(about, dict) else None
        found = said(repr(found), 100)
        raise RunError(f"{path}: format {found} where this mien reads {FORMAT}; {_MEND}")
    classes = about.get("classes")
    if not (isinstance(classes, list) and classes and all(map(_is_name, classes))):
        raise RunError(f"{path}: 'classes' of its description is no list of names; {_MEND}")
    if not isinstance(about.get("about"), dict):
        raise RunError(f"{path}: 'about' of its description is no JSON object; {_MEND}")
    return about


def _check_schema(path: Path, schema: Any, K: int) -> None:
    for field in _schema(K):
        if schema.names.count(field.name) != 1:
            raise RunError(f"{path}: needs one column '{field.name}'; {_MEND}")
        found = schema.field(field.name).type
        # The name of a list's item (item, element) differs between versions of Arrow.
        same = (
            pa.types.is_fixed_size_list(found)
            and (found.value_type, found.list_size) == (pa.float32(), K)
            if field.name == "logits"
            else found == field.type
        )
        if not same:
            raise RunError(
                f"{path}: column '{field.name}' is {said(found, 100)}, not {field.type}; {_MEND}"
            )


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.isprintable() and 0 < len(name) <= 100


def _check_claims(path: Path, metadata: Any, K: int) -> None:
    """Refuse what unfolds to far more than it is: ids and logits of honest rows hardly shrink."""
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    claimed = max(rows * (4 * K + 40), sum(group.total_byte_size for group in groups))
    if not 0 <= claimed <= _SLACK + _RATIO * path.stat().st_size:
        raise RunError(f"{path}: claims {rows:,} rows, which so small a file cannot hold; {_MEND}")


def _outputs(path: Path, table: Any, about: dict[str, Any]) -> Outputs:
    columns = {name: table[name].combine_chunks() for name in _schema(1).names}
    for name, most in _TEXTS.items():
        words = columns[name].dictionary
        if len(words) and (pc.max(pc.utf8_length(words)).as_py() or 0) > most:
            raise RunError(f"{path}: a text of column '{name}' is too long; {_MEND}")
    flat = columns["logits"].flatten()
    for name, column in columns.items():
        if column.null_count or (name == "logits" and flat.null_count):
            raise RunError(f"{path}: column '{name}' has empty fields; {_MEND}")
    classes = tuple(about["classes"])
    text = {name: _strings(columns[name].dictionary_decode()) for name in _TEXTS}
    return Outputs(
        ids=text["id"],
        splits=text["split"],
        labels=columns["label"].to_numpy(),
        logits=flat.to_numpy().reshape(-1, len(classes)),
        hashes=text["hash"],
        copied=columns["copied"].to_numpy(zero_copy_only=False),
        classes=classes,
        about=about["about"],
    )


def _strings(column: Any) -> NDArray[np.str_]:
    return np.array(column.to_pylist(), dtype=np.str_)


def _check(path: Path, outputs: Outputs, what: str) -> None:
    """Refuse outputs that no evaluation could use, naming the first row that is bad."""
    N, K = len(outputs.labels), len(outputs.classes)
    wrong = f"{path}: {what}: "
    if len(set(outputs.classes)) != K:
        raise RunError(f"{wrong}a class is named twice; {_MEND}")
    if outputs.logits.shape != (N, K) or outputs.logits.dtype != np.float32:
        raise RunError(
            f"{wrong}'logits' is {outputs.logits.dtype} {outputs.logits.shape}, "
            f"not float32 ({N}, {K}); {_MEND}"
        )
    for name in ("ids", "splits", "hashes", "copied"):
        if len(getattr(outputs, name)) != N:
            raise RunError(f"{wrong}{len(getattr(outputs, name))} '{name}' for {N} images; {_MEND}")
    ids, hashes = as_text(outputs.ids), as_text(outputs.hashes)
    unique, first = np.unique(ids, return_index=True)
    bad = {
        "id": np.setdiff1d(np.arange(N), first) if len(unique) < N else [],
        "label": np.flatnonzero((outputs.labels < -1) | (outputs.labels >= K)),
        "logits": np.flatnonzero(~np.isfinite(outputs.logits).all(axis=1)),
        "hash": [row for row, text in enumerate(hashes) if not _HASH.fullmatch(text)],
    }
    reasons = {
        "id": "stands twice",
        "label": f"outside -1..{K - 1}",
        "logits": "not finite",
        "hash": "not 32 hex digits",
    }
    for name, rows in bad.items():
        if len(rows):
            row = int(rows[0])
            raise RunError(
                f"{wrong}'{name}' {reasons[name]} in {len(rows)} rows, "
                f"first in row {row} ({said(ids[row], 100)}); {_MEND}"
            )
