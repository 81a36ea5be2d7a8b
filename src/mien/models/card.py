"""mien's files of tensors: the safetensors header, its metadata and checksum, without torch.

A file is a safetensors file whose metadata has one entry, ``mien``: a JSON object with ``kind``
(``model`` or ``state``), ``version``, ``checksum`` and whatever the kind needs. The checksum is
the SHA-256 of the whole file with the checksum's own 64 digits written as zeros, so every bit of
the file is covered. Reading runs no code and needs no pickle.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import ModelFileError, said

VERSION = 1
_HEADER_LIMIT = 16 * 2**20
_BLANK = "0" * 64


@dataclass(frozen=True)
class TensorFile:
    """A verified file: its bytes and its metadata."""

    content: bytes
    meta: dict[str, Any]


def seal(content: bytes) -> bytes:
    """Write the checksum into a safetensors file made with ``blank_metadata``."""
    mark = _BLANK.encode()
    header = 8 + int.from_bytes(content[:8], "little")
    position = content.find(mark, 8, header)
    if position < 0:
        raise ValueError("no room for a checksum: make the metadata with blank_metadata")
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:position] + digest + content[position + len(mark) :]


def blank_metadata(kind: str, meta: dict[str, Any]) -> dict[str, str]:
    """The safetensors metadata for ``meta``, with an empty checksum for ``seal`` to fill.

    ``checksum`` stands first, so that no other value of 64 zeros can be taken for it.
    """
    body = {"checksum": _BLANK, "kind": kind, "version": VERSION, **meta}
    return {"mien": json.dumps(body, ensure_ascii=True, separators=(",", ":"))}


def read_tensor_file(path: Path | str, kind: str) -> TensorFile:
    """Read a file of mien's and verify its checksum.

    Raises:
        ModelFileError: missing, truncated, altered, foreign, or of another kind or version.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except IsADirectoryError as error:
        raise ModelFileError(f"{path}: a folder, not a {kind} file") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(f"{path}: cannot be read ({reason})") from error
    meta = _metadata(content, path)
    if meta.get("kind") != kind:
        raise ModelFileError(f"{path}: a mien '{said(meta.get('kind'))}' file, not a {kind}")
    if meta.get("version") != VERSION:
        raise ModelFileError(
            f"{path}: format version {said(meta.get('version'))}; this mien reads version {VERSION}"
        )
    checksum = str(meta.get("checksum"))
    if len(checksum) != len(_BLANK) or _digest(content, checksum) != checksum:
        raise ModelFileError(f"{path}: altered or damaged (its checksum does not match)")
    return TensorFile(content, meta)


def read_card(path: Path | str) -> dict[str, Any]:
    """What a model file says of itself: architecture, config, classes, preprocessing, origin.

    Raises:
        ModelFileError: as ``read_tensor_file``.
    """
    return read_tensor_file(path, "model").meta


def class_names(meta: dict[str, Any], path: Path) -> tuple[str, ...]:
    """The classes that a card names: different, printable words, since they are shown as they are.

    Raises:
        ModelFileError: they are something else.
    """
    names = meta.get("classes")
    good = isinstance(names, list) and all(
        isinstance(name, str) and name.strip() and name.isprintable() and len(name) <= 100
        for name in names
    )
    if not good or len(set(names)) < len(names):  # type: ignore[arg-type]
        raise ModelFileError(f"{path}: its metadata cannot be used (classes: no different names)")
    return tuple(names)  # type: ignore[arg-type]


def _digest(content: bytes, checksum: str) -> str:
    header = 8 + int.from_bytes(content[:8], "little")
    position = content.find(checksum.encode("ascii", "replace"), 8, header)
    sha = hashlib.sha256(content[:position])
    sha.update(_BLANK.encode())
    sha.update(memoryview(content)[position + len(_BLANK) :])
    return sha.hexdigest()


def _metadata(content: bytes, path: Path) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > _HEADER_LIMIT or content[8:9] != b"{":
        raise ModelFileError(f"{path}: not a mien file (no safetensors header)")
    if 8 + length > len(content):
        raise ModelFileError(f"{path}: truncated; copy or make it again")
    try:
        header = json.loads(content[8 : 8 + length])
        metadata = header["__metadata__"]
        meta = json.loads(metadata["mien"])
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelFileError(f"{path}: its header is damaged") from error
    except KeyError as error:
        raise ModelFileError(
            f"{path}: a safetensors file, but not one of mien's (no mien metadata)"
        ) from error
    if not isinstance(meta, dict):
        raise ModelFileError(f"{path}: its header is damaged")
    return meta
