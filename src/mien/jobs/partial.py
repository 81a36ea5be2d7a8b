"""What a long call has done so far, so that it can go on after it was killed."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import RunError
from mien.runs import read_json, write_atomic, write_json


class Partial:
    """Finished pieces of a long call, each a file; those of another call are thrown away.

    Raises:
        RunError: the folder cannot be made.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self.folder = folder
        try:
            if self._key() != key and folder.is_dir():
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "key.json", key)
        except OSError as error:
            raise RunError(f"{folder}: cannot be made; name another with --out") from error

    def _key(self) -> dict[str, Any] | None:
        try:
            return read_json(self.folder / "key.json")
        except RunError:
            return None

    def get(self, name: str) -> dict[str, NDArray[Any]] | None:
        """A piece, or None where it is not done or cannot be read."""
        try:
            with np.load(self.folder / f"{name}.npz", allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except (OSError, ValueError):
            return None

    def put(self, name: str, **arrays: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Save a piece so that it is there whole or not at all."""
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        write_atomic(self.folder / f"{name}.npz", content.getvalue())
        return arrays

    def remove(self) -> None:
        """All is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
