"""mien's ONNX files, read without onnx or torch: metadata, checksum, and what the graph asks for.

Such a file is an ONNX model whose metadata has one entry, ``mien``: a JSON object like that of a
model file (see ``card``), of kind ``onnx``. Its checksum is the SHA-256 of the whole file with the
checksum's own 64 digits written as zeros. Weights may lie in one model file of mien's beside it,
which ``weights`` names together with that file's checksum; nothing else may be outside.

Reads the protocol buffer's wire format itself, since a runtime would open whatever a graph names
before anyone could look at it. Field numbers are those of onnx.proto3 (onnx 1.17).
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import ModelFileError, said
from mien.models.card import VERSION

KIND = "onnx"
# Standard operators, and those that quantisation and fusion bring; none runs foreign code.
DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
_BLANK = "0" * 64
_MARK = b'{"checksum":"'
_LARGEST = 2**31 - 1
_DEEPEST = 16

Bytes = bytes | memoryview


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A tensor whose values lie in another file: ``length`` bytes from ``offset`` on.

    kind: ONNX's number of the element type (1 float32, 10 float16).
    """

    name: str
    kind: int
    shape: tuple[int, ...]
    file: str
    offset: int
    length: int


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """A verified file: its bytes, its metadata, and the tensors that it keeps outside."""

    content: bytes
    meta: dict[str, Any]
    outside: tuple[Outside, ...]


@dataclass
class _Found:
    """What a walk over the graph has seen."""

    domains: set[str] = field(default_factory=set)
    outside: list[Outside] = field(default_factory=list)
    properties: dict[str, bytes] = field(default_factory=dict)
    functions: bool = False


def onnx_metadata(meta: dict[str, Any]) -> str:
    """The text of the entry ``mien``, with an empty checksum for ``seal_onnx`` to fill."""
    body = {"checksum": _BLANK, "kind": KIND, "version": VERSION, **meta}
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"))


def seal_onnx(content: bytes) -> bytes:
    """Write the checksum into a serialised model that bears ``onnx_metadata``."""
    place = content.rfind(_MARK + _BLANK.encode())
    if place < 0:
        raise ValueError("no room for a checksum: make the metadata with onnx_metadata")
    place += len(_MARK)
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:place] + digest + content[place + len(digest) :]


def is_onnx(path: Path | str) -> bool:
    """Whether a path is taken for an ONNX file: by its ending alone."""
    return Path(path).suffix.lower() == ".onnx"


def read_onnx(path: Path | str) -> OnnxFile:
    """Read an ONNX file of mien's, verify its checksum and what its graph asks for.

    Raises:
        ModelFileError: missing, or as ``parse_onnx``.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelFileError(f"{path}: larger than 2 GiB; no ONNX file of mien's is")
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(f"{path}: cannot be read ({reason})") from error
    return parse_onnx(content, path)


def parse_onnx(content: bytes, path: Path | str) -> OnnxFile:
    """The same for bytes in memory; ``path`` is what messages call them.

    Raises:
        ModelFileError: damaged, foreign, of another version; or the graph has operators that are
            not standard, or reads other files than a model file beside it.
    """
    path, found = Path(path), _Found()
    try:
        _model(memoryview(content), found)
    except (ValueError, IndexError, OverflowError) as error:
        raise ModelFileError(f"{path}: no ONNX file, or a damaged one") from error
    if "mien" not in found.properties:
        raise ModelFileError(
            f"{path}: not an ONNX file of mien's (no mien metadata); "
            "make one with 'mien export MODEL --to onnx'"
        )
    meta = _meta(found.properties["mien"], path)
    _check_sum(content, found.properties["mien"], meta, path)
    _check_graph(found, meta, path)
    return OnnxFile(content=content, meta=meta, outside=tuple(found.outside))


def _meta(text: bytes, path: Path) -> dict[str, Any]:
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: its metadata is damaged") from error
    if not isinstance(meta, dict):
        raise ModelFileError(f"{path}: its metadata is damaged")
    if meta.get("kind") != KIND:
        kind = said(repr(meta.get("kind")))
        raise ModelFileError(f"{path}: a mien {kind} file, not an {KIND} one")
    if meta.get("version") != VERSION:
        raise ModelFileError(
            f"{path}: format version {said(meta.get('version'))}; this mien reads version {VERSION}"
        )
    return meta


def _check_sum(content: bytes, text: bytes, meta: dict[str, Any], path: Path) -> None:
    checksum = str(meta.get("checksum")).encode("ascii", "replace")
    place = content.rfind(text) + len(_MARK)
    known = len(checksum) == len(_BLANK) and text.startswith(_MARK + checksum)
    if known:
        sha = hashlib.sha256(content[:place])
        sha.update(_BLANK.encode())
        sha.update(memoryview(content)[place + len(_BLANK) :])
        known = sha.hexdigest().encode() == checksum
    if not known:
        raise ModelFileError(f"{path}: altered or damaged (its checksum does not match)")


def _check_graph(found: _Found, meta: dict[str, Any], path: Path) -> None:
    strange = sorted(found.domains - DOMAINS)
    if strange or found.functions:
        what = f"operators of '{said(strange[0])}'" if strange else "functions of its own"
        raise ModelFileError(f"{path}: its graph has {what}, which mien does not run")
    weights = meta.get("weights")
    named = weights.get("file") if isinstance(weights, dict) else None
    for tensor in found.outside:
        plain = tensor.file == Path(tensor.file).name and tensor.file not in ("", ".", "..")
        if not plain or "\\" in tensor.file or tensor.file != named:
            raise ModelFileError(
                f"{path}: its tensor '{said(tensor.name[:60])}' lies in "
                f"'{said(tensor.file[:60])}'; "
                "only a model file of mien's beside it may hold weights"
            )


def _fields(data: Bytes) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message: an integer, or the bytes of it.

    Raises:
        ValueError, IndexError: it is no message.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        key, at = _varint(view, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(view, at)
            yield number, value
        elif wire in (1, 2, 5):
            length = {1: 8, 5: 4}.get(wire, 0)
            if wire == 2:
                length, at = _varint(view, at)
            if number == 0 or at + length > len(view):
                raise ValueError("a field reaches beyond its message")
            yield number, view[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {wire}")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message is due")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode()


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("a message where a number is due")
    return value


def _model(data: memoryview, found: _Found) -> None:
    graph = False
    for number, value in _fields(data):
        if number == 7:
            graph = True
            _graph(_message(value), found, 0)
        elif number == 8:  # an operator set that it imports
            found.domains.update(_text(v) for n, v in _fields(_message(value)) if n == 1)
        elif number == 14:
            entry = {n: bytes(_message(v)) for n, v in _fields(_message(value))}
            found.properties[entry.get(1, b"").decode()] = entry.get(2, b"")
        elif number in (20, 25):  # training, functions
            found.functions = True
    if not graph:
        raise ValueError("no graph")


def _graph(data: memoryview, found: _Found, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("graphs within graphs")
    for number, value in _fields(data):
        if number == 1:
            _node(_message(value), found, depth)
        elif number == 5:
            _tensor(_message(value), found)
        elif number == 15:
            _sparse(_message(value), found)


def _node(data: memoryview, found: _Found, depth: int) -> None:
    for number, value in _fields(data):
        if number == 7:
            found.domains.add(_text(value))
        elif number == 5:
            for part, inner in _fields(_message(value)):
                if part in (5, 10):
                    _tensor(_message(inner), found)
                elif part in (6, 11):
                    _graph(_message(inner), found, depth + 1)
                elif part in (22, 23):
                    _sparse(_message(inner), found)


def _sparse(data: memoryview, found: _Found) -> None:
    for number, value in _fields(data):
        if number in (1, 2):
            _tensor(_message(value), found)


def _tensor(data: memoryview, found: _Found) -> None:
    name, kind, elsewhere = "", 0, False
    shape: list[int] = []
    entries: dict[str, str] = {}
    for number, value in _fields(data):
        if number == 1:
            shape += _dimensions(value)
        elif number == 2:
            kind = _number(value)
        elif number == 8:
            name = _text(value)
        elif number == 13:
            pair = {n: _text(v) for n, v in _fields(_message(value))}
            entries[pair.get(1, "")] = pair.get(2, "")
        elif number == 14:
            elsewhere = elsewhere or value != 0
    if elsewhere or entries:
        found.outside.append(
            Outside(name=name, kind=kind, shape=tuple(shape), file=entries.get("location", ""),
                    offset=int(entries.get("offset") or 0), length=int(entries.get("length") or 0))
        )  # fmt: skip


def _dimensions(value: int | memoryview) -> list[int]:
    if isinstance(value, int):
        return [value]
    sizes, at = [], 0
    while at < len(value):
        size, at = _varint(value, at)
        sizes.append(size)
    return sizes
