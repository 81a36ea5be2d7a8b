"""The face-region ledger of a model on a split: attributions, hiding, and the table of both."""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.explain import DEFAULT_METHOD
from mien.explain.attribution import Attributions, attribute
from mien.explain.options import Options
from mien.explain.regions.hiding import BLUR, hide
from mien.explain.regions.ledger import Ledger, ledger
from mien.explain.regions.template import Masks
from mien.jobs.prepare import DataOptions
from mien.jobs.shown import Shown, explain_folder, regions_of, subject
from mien.jobs.verdicts import verdict_on
from mien.runs import write_atomic, write_json
from mien.types import Progress, silent

SHIFT = 4 / 48  # of the picture's side: how far a template may be misplaced
FEWEST = 30  # images in a mean that is saved: a mean of a few shows persons


@dataclass(frozen=True, kw_only=True)
class LedgerOptions:
    """split, limit, seed: which images. method, attribution: of the maps.

    explained: the class that maps and hiding are about, the ``predicted`` one or the ``label``.
    hiding: whether to hide regions. by_template: take the template for drawn faces too, whose own
    masks are known. input_shape: of FILE.py:FACTORY. data: how the source is read.
    """

    split: str = "validation"
    method: str = DEFAULT_METHOD
    explained: Literal["predicted", "label"] = "predicted"
    hiding: bool = True
    by_template: bool = False
    limit: int = 0
    seed: int = 0
    input_shape: str = ""
    device: str = "cpu"
    data: DataOptions | None = None
    attribution: Options | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class LedgerResult:
    """The table, the folder that holds ``regions.json`` and ``regions.npz``, and the maps' means.

    mean_maps: float32 K×H×W, each class's mean of |map| over its sum, nan where there are few
    images. mean_face: float32 H×W, the mean of all pictures. regions: the template, or the share
    of images whose mask covers a pixel, R×H×W. trust: the verdict on the method, see ``verdicts``.
    """

    ledger: Ledger
    folder: Path
    mean_maps: NDArray[np.float32]
    mean_face: NDArray[np.float32]
    regions: NDArray[np.float32]
    trust: dict[str, Any] | None = None


def ledger_of(
    model: str,
    data: str,
    options: LedgerOptions | None = None,
    *,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> LedgerResult:
    """Explain a split of ``data``, and write ``explain/regions.json`` and ``.npz``.

    Raises:
        MienError: bad model, data or options.
    """
    chosen = options or LedgerOptions()
    shown = subject(
        model, data, split=chosen.split, limit=chosen.limit, input_shape=chosen.input_shape,
        options=chosen.data, seed=chosen.seed, progress=progress,
    )  # fmt: skip
    regions = regions_of(shown, by_template=chosen.by_template)
    found = attribute(
        shown.network, shown.images, method=chosen.method,
        targets=shown.labels if chosen.explained == "label" else None,
        options=chosen.attribution, as_input=shown.as_input, device=chosen.device,
        progress=progress,
    )  # fmt: skip
    table = _table(shown, found, regions, chosen, progress)
    folder = explain_folder(model, out)
    result = LedgerResult(
        ledger=table, folder=folder, mean_maps=mean_maps(found.maps, shown),
        mean_face=shown.images.mean(axis=(0, 1), dtype=np.float64).astype(np.float32),
        regions=(regions if regions.ndim == 3 else regions.mean(axis=0)).astype(np.float32),
        trust=verdict_on(shown.subject, chosen.method),
    )  # fmt: skip
    _save(result)
    return result


def mean_maps(maps: NDArray[np.float32], shown: Shown) -> NDArray[np.float32]:
    """Each class's mean of |map| over its sum, K×H×W; nan below ``FEWEST`` images."""
    whole = np.abs(maps).sum(axis=(1, 2), keepdims=True, dtype=np.float64)
    scaled = np.divide(np.abs(maps), whole, where=whole > 0, out=np.zeros(maps.shape))
    means = np.full((len(shown.classes), *maps.shape[1:]), np.nan, dtype=np.float32)
    for k in range(len(shown.classes)):
        if (shown.labels == k).sum() >= FEWEST:
            means[k] = scaled[shown.labels == k].mean(axis=0)
    return means


def _table(
    shown: Shown, found: Attributions, regions: Masks, chosen: LedgerOptions, progress: Progress
) -> Ledger:
    predicted = found.logits.argmax(axis=1).astype(np.int64)
    hidden = None
    notes = [*shown.notes, *found.notes]
    explained = "the predicted class" if chosen.explained == "predicted" else "the labelled class"
    notes.append(f"maps and hiding are about {explained}; of maps the absolute value is counted")
    if chosen.hiding:
        hidden = hide(
            shown.network, shown.images, regions, found.targets, as_input=shown.as_input,
            seed=chosen.seed, device=chosen.device, progress=progress,
        )  # fmt: skip
        notes.append(
            f"a region is hidden by the picture blurred with a deviation of {BLUR:.0%} of its "
            "side; elsewhere is the same shape at a random place"
        )
    progress("intervals", 0, 0)
    table = ledger(
        found.maps, shown.labels, predicted, regions, shown.classes,
        occlusion=hidden.change if hidden else None,
        elsewhere=hidden.elsewhere if hidden else None,
        shift=round(SHIFT * shown.images.shape[-1]), method=found.method, split=shown.split,
        seed=chosen.seed,
    )  # fmt: skip
    return replace(table, notes=tuple(notes))


def _save(result: LedgerResult) -> None:
    write_json(result.folder / "regions.json", result.ledger.to_json())
    content = io.BytesIO()
    np.savez_compressed(
        content, mean_maps=result.mean_maps, mean_face=result.mean_face, regions=result.regions,
        classes=np.array(result.ledger.classes), names=np.array(result.ledger.regions),
    )  # fmt: skip
    write_atomic(result.folder / "regions.npz", content.getvalue())
