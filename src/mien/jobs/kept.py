"""What long jobs keep for another time: fitted networks and measured arrays, beside the sources.

In the folder ``trust`` of mien's cache (``$MIEN_CACHE``, see ``data.cache``). A file that is
damaged, or of another kind, is passed over and made anew; no pickles.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

import mien.explain
from mien import __version__
from mien.data import cache
from mien.errors import ModelFileError
from mien.models.checkpoint import pack, unpack
from mien.runs import write_atomic

_KIND = "fitted"
_LATER = ("default.py", "verdict.py", "resampling.py", "__init__.py")


def shared_folder() -> Path | None:
    """Where what belongs to no model of a user's is kept; None where there is no home."""
    sources = cache.folder()
    return sources.parent / "trust" if sources else None


def key_of(*facts: Any) -> str:
    """24 hex digits that stand for JSON-able facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def code_of_explain() -> str:
    """A digest of the code that makes maps and measures them, and of mien's version.

    Other code, other numbers; what makes intervals and verdicts of the numbers does not count.
    """
    digest = hashlib.sha256(__version__.encode())
    for folder in mien.explain.__path__:
        for pattern in ("attribution.py", "ready.py", "methods/*.py", "trust/*.py"):
            for file in sorted(Path(folder).glob(pattern)):
                if file.name not in _LATER:
                    digest.update(file.read_bytes())
    return digest.hexdigest()[:24]


def load_network(folder: Path | None, key: str, network: nn.Module) -> dict[str, Any] | None:
    """Fill ``network`` with the weights kept under ``key``; what was noted of them, or None."""
    if folder is None:
        return None
    try:
        tensors, meta = unpack(folder / f"{key}.safetensors", _KIND)
        if meta.get("key") != key:
            return None
        network.load_state_dict(tensors)
    except (ModelFileError, RuntimeError):
        return None
    return dict(meta["noted"])


def keep_network(
    folder: Path | None, key: str, network: nn.Module, noted: Mapping[str, Any]
) -> None:
    """Keep a network's weights and what is noted of them; a folder that cannot be is no error."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    content = pack(_KIND, state, {"key": key, "noted": dict(noted)})
    _write(folder, f"{key}.safetensors", content)


def load_arrays(folder: Path | None, key: str) -> dict[str, NDArray[Any]] | None:
    """The arrays kept under ``key``, or None."""
    if folder is None:
        return None
    try:
        content = io.BytesIO((folder / f"{key}.npz").read_bytes())
        with np.load(content, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError):
        return None
    except Exception as error:
        # zipfile's own exceptions for a truncated file derive from Exception alone.
        if type(error).__module__ in ("zipfile", "zlib"):
            return None
        raise


def keep_arrays(folder: Path | None, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep arrays by name, atomically."""
    content = io.BytesIO()
    named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez(content, **named)
    _write(folder, f"{key}.npz", content.getvalue())


def _write(folder: Path | None, name: str, content: bytes) -> None:
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / name, content)
