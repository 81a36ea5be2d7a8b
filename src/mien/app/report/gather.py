"""Reads everything that the jobs left in a run folder; what is not there is None."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.config import from_json
from mien.errors import OptionError, RunError
from mien.jobs.analyse import same_weights
from mien.jobs.prepare import DataOptions, read_source
from mien.jobs.recompute import EvaluateResult, recompute
from mien.runs import Run, read_json
from mien.train.history import Row, read_history
from mien.types import ImageSet, Progress, silent

Json = dict[str, Any]
Arrays = dict[str, NDArray[Any]]

_FILES = {
    "audit": "audit.json",
    "architecture": "theory/architecture.json",
    "check": "theory/check.json",
    "worked": "theory/worked.json",
    "saliency": "explain/saliency.json",
    "drawn": "explain/drawn.json",
    "regions": "explain/regions.json",
    "filters": "explain/filters.json",
    "pairs": "explain/pairs.json",
    "suspects": "explain/suspects.json",
    "trust": "explain/trust.json",
    "analysis": "analysis.json",
}
_ARRAYS = ("saliency", "drawn", "filters", "pairs")


@dataclass(frozen=True, kw_only=True, eq=False)
class Gathered:
    """A run and what is known of it.

    record: ``run.json``. history: may be empty. result: recomputed from the predictions.
    found: the JSON of each analysis by its name, without those that were not made. arrays: theirs.
    damaged: the file and the fault of each that cannot be read. pictures: those of the run's
    source by id, where people's pictures may be shown, or the faces are drawn; else None.
    checksums: those of the model file: calibration seals it anew, with the same weights.
    """

    path: Path
    record: Json
    history: tuple[Row, ...]
    result: EvaluateResult
    found: dict[str, Json]
    arrays: dict[str, Arrays]
    damaged: dict[str, str]
    checksums: frozenset[str] = frozenset()
    pictures: "Pictures | None" = None

    @property
    def name(self) -> str:
        """The run folder's own name."""
        return self.path.resolve().name

    @property
    def drawn_faces(self) -> bool:
        """Whether the pictures are mien's drawings, and no people."""
        return bool(self.record.get("data", {}).get("layout") == "synthetic")

    @property
    def source(self) -> str:
        """Where the pictures came from."""
        return str(self.record.get("options", {}).get("source", ""))

    def stale(self, name: str) -> bool:
        """Whether an analysis is of another model than the predictions are."""
        theirs = self.found.get(name, {}).get("model_checksum")
        return bool(theirs and self.checksums and theirs not in self.checksums)


class Pictures:
    """Pictures by their ids."""

    def __init__(self, images: ImageSet) -> None:
        self._images = images
        self._place = {str(name): n for n, name in enumerate(images.ids.tolist())}

    def get(self, name: str) -> NDArray[np.uint8] | None:
        """``uint8`` C×H×W, or None where the source has no such picture."""
        place = self._place.get(name)
        return None if place is None else self._images.images[place]


def gather(
    path: Path | str,
    *,
    data: str = "",
    include_images: bool = False,
    images: ImageSet | None = None,
    pictures: bool = True,
    progress: Progress = silent,
) -> Gathered:
    """Read a run folder.

    Args:
        data: where the pictures are now; empty for where the run found them.
        include_images: show pictures of people.
        images: the run's pictures, where they are in memory already.
        pictures: whether the page shows any.

    Raises:
        RunError: no run, or no predictions. DataError: the pictures cannot be read.
    """
    run = Run.open(path)
    found, arrays, damaged = _analyses(run.path)
    history = read_history(run.history) if run.history.is_file() else []
    result = recompute(run.path)
    gathered = Gathered(
        path=run.path, record=run.read_record(), history=tuple(history), result=result,
        found=found, arrays=arrays, damaged=damaged, checksums=same_weights(run, result.outputs),
    )  # fmt: skip
    if not (pictures and (include_images or gathered.drawn_faces)):
        return gathered
    if images is None:
        images = _read(gathered, data, progress)
    return Gathered(**{**vars(gathered), "pictures": Pictures(images)})


def _analyses(folder: Path) -> tuple[dict[str, Json], dict[str, Arrays], dict[str, str]]:
    found: dict[str, Json] = {}
    arrays: dict[str, Arrays] = {}
    damaged: dict[str, str] = {}
    for name, file in _FILES.items():
        path = folder / file
        if not path.is_file():
            continue
        try:
            found[name] = read_json(path)
            if name in _ARRAYS and (stored := path.with_suffix(".npz")).is_file():
                with np.load(stored, allow_pickle=False) as content:
                    arrays[name] = {key: content[key] for key in content.files}
        except (RunError, OSError, ValueError, KeyError) as error:
            found.pop(name, None)
            damaged[name] = f"{file}: {str(error).splitlines()[0]}"
    return found, arrays, damaged


def _read(gathered: Gathered, data: str, progress: Progress) -> ImageSet:
    """The pictures that the run was made from, or a refusal."""
    record = gathered.record
    try:
        options = from_json(DataOptions, record["options"]["data"])
        fingerprint = record["data"]["fingerprint"]
    except (KeyError, TypeError, OptionError) as error:
        raise RunError(f"{gathered.path}/run.json: cannot be used ({error})") from error
    source = data or gathered.source
    images = read_source(source, options, progress=progress)
    if images.fingerprint != fingerprint:
        raise RunError(f"{source}: not the pictures of this run; name them with --data")
    return images
