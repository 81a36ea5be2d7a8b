"""The models that mien brings along: their names and files, without torch.

``index.json`` lists them; ``scripts/release_weights`` writes it. Each has a model file with half
of the bits (``NAME.safetensors``) and an ONNX form whose weights lie in that same file
(``NAME.onnx``).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import ModelFileError

# Stands for whichever model is the default.
DEFAULT = "default"
INDEX = "index.json"
FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model of the package. facts: what ``mien models`` shows, JSON-able."""

    name: str
    onnx: Path
    weights: Path
    facts: dict[str, Any] = field(default_factory=dict)


def names(folder: Path = FOLDER) -> tuple[str, ...]:
    """Their names, the default first.

    Raises:
        ModelFileError: the package is damaged.
    """
    index = _index(folder)
    return tuple(sorted(index["models"], key=lambda name: (name != index[DEFAULT], name)))


def entry(name: str = DEFAULT, folder: Path = FOLDER) -> Entry:
    """The model of that name; ``default`` is one as well.

    Raises:
        ModelFileError: there is none, or the package is damaged.
    """
    index = _index(folder)
    name = str(index[DEFAULT]) if name == DEFAULT else name
    if name not in index["models"]:
        known = ", ".join(index["models"]) or "none"
        raise ModelFileError(f"no model of mien's is called '{name}'; there are {known}")
    return Entry(name=name, onnx=folder / f"{name}.onnx", weights=folder / f"{name}.safetensors",
                 facts=dict(index["models"][name]))  # fmt: skip


def is_name(model: object) -> bool:
    """Whether ``model`` is the name of one of these, ``default`` among them, and no path.

    Raises:
        ModelFileError: the package is damaged.
    """
    return isinstance(model, str) and model in (DEFAULT, *names())


def place_of(model: Path | str) -> Path:
    """Where a model lies: at the path ``model`` if anything does, else mien's own of that name.

    Raises:
        ModelFileError: the package is damaged.
    """
    path = Path(model)
    return path if path.exists() or not is_name(str(model)) else entry(str(model)).weights


def _index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index[DEFAULT] not in index["models"]:
            raise ValueError("its default is not among its models")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path}: damaged ({error}); install mien again") from error
    return dict(index)
