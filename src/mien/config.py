"""Frozen dataclasses to JSON and back, and single fields overridden by name.

Knows no component: it walks the fields and their annotations. Supported field types are bool,
int, float, str, tuples of these, optionals of these, and further dataclasses; what is annotated
``Any`` passes as it is.
"""

import dataclasses
import json
import math
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from mien.errors import OptionError

T = TypeVar("T")


def to_json(config: Any) -> dict[str, Any]:
    """A configuration as plain dicts, lists and scalars."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return plain


def from_json(cls: type[T], data: Mapping[str, Any], *, where: str = "") -> T:
    """The dataclass ``cls`` from what ``to_json`` gave; missing fields take their defaults.

    Raises:
        OptionError: a field that ``cls`` does not have, or a value of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in data:
        if key not in names:
            raise OptionError(
                f"{where}{_shown(key).strip(chr(39))}: no such field; there are {', '.join(names)}"
            )
    values = {key: _convert(hints[key], value, f"{where}{key}") for key, value in data.items()}
    return cls(**values)


def override(config: T, assignments: Mapping[str, str]) -> T:
    """``config`` with fields replaced: ``{"model.widths": "32,64", "epochs": "5"}``.

    Raises:
        OptionError: no such field, or a text that is no value of its type.
    """
    for path, text in assignments.items():
        config = _override_one(config, path.split("."), text, path)
    return config


def _override_one(config: Any, parts: list[str], text: str, path: str) -> Any:
    names = [field.name for field in dataclasses.fields(config)]
    if parts[0] not in names:
        raise OptionError(f"--set {path}: no field '{parts[0]}'; there are {', '.join(names)}")
    current = getattr(config, parts[0])
    if len(parts) > 1:
        if not dataclasses.is_dataclass(current):
            raise OptionError(f"--set {path}: '{parts[0]}' has no fields of its own")
        return dataclasses.replace(
            config, **{parts[0]: _override_one(current, parts[1:], text, path)}
        )
    if dataclasses.is_dataclass(current):
        fields = ", ".join(f"{parts[0]}.{field.name}" for field in dataclasses.fields(current))
        raise OptionError(f"--set {path}: set its fields instead: {fields}")
    hint = typing.get_type_hints(type(config))[parts[0]]
    return dataclasses.replace(config, **{parts[0]: _convert(hint, _parse(hint, text), path)})


def _parse(hint: Any, text: str) -> Any:
    if typing.get_origin(hint) is tuple:
        return [_scalar(item) for item in text.strip("()[] ").split(",") if item.strip()]
    return text if hint is str else _scalar(text)


def _scalar(text: str) -> Any:
    try:
        return json.loads(text.strip().lower())
    except json.JSONDecodeError:
        return text.strip()


def _convert(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        inner = next(arg for arg in typing.get_args(hint) if arg is not type(None))
        return _convert(inner, value, where)
    if origin is tuple and isinstance(value, list | tuple):
        args = typing.get_args(hint)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_convert(args[0], item, where) for item in value)
        if len(args) != len(value):
            raise OptionError(f"{where}: {len(value)} values where {len(args)} are needed")
        return tuple(_convert(a, v, where) for a, v in zip(args, value, strict=True))
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_json(typing.cast(type[Any], hint), value, where=f"{where}.")
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < math.inf or abs(value) > sys.float_info.max:  # NaN is neither
            raise OptionError(f"{where}: {_shown(value)} is no finite number")
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    wanted = getattr(hint, "__name__", str(hint))
    raise OptionError(f"{where}: {_shown(value)} is no {wanted}")


def _shown(value: Any) -> str:
    """A value, or a name, fit for one line: it may come from a stranger's file."""
    text = ascii(value) if not isinstance(value, str) or not value.isprintable() else repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
