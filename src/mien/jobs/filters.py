"""The verb ``filters``: what makes the filters of a layer fire, and how simple that is."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien import __version__
from mien.errors import RunError
from mien.explain.filters.layer import choose_layer
from mien.explain.regions.template import REGIONS, template
from mien.jobs.evaluate import split_name
from mien.jobs.filter_findings import Measured, findings, summary
from mien.jobs.filter_source import FilterOptions, asked_filters, pictures_for, results_folder
from mien.jobs.filter_work import CHUNK, Work
from mien.jobs.partial import Partial
from mien.jobs.subject import open_subject
from mien.runs import read_json, write_atomic, write_json
from mien.train.hardware import choose_hardware
from mien.types import Finding, Progress, silent

__all__ = ["FilterOptions", "FilterReport", "filters", "read_filters"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FilterReport:
    """data: the content of ``filters.json``. arrays: of ``filters.npz``. folder: where both lie.

    findings: the sentences' facts. patches: uint8 D×k×C×height×width, the real patches, with
    inside, bool D×k×height×width, false beyond the picture: they show people and are not written.
    drawn_faces: whether the pictures are mien's own drawings, which may be shown.
    """

    data: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    findings: tuple[Finding, ...]
    patches: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    drawn_faces: bool
    folder: Path


def filters(
    model: str,
    source: str,
    options: FilterOptions | None = None,
    *,
    out: Path | str | None = None,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    progress: Progress = silent,
) -> FilterReport:
    """Look at the filters of ``model`` (as in ``open_network``) with the pictures of ``source``.

    Writes ``explain/filters.json`` and ``.npz`` into ``out``, or the run folder that the model
    lies in, or ``<model's name>-filters``. What a killed call had done is kept beside them, and
    the same call goes on from there.

    regions: parts of a registered face by name, bool H×W, by default the ledger's template; said
    is which of them the windows hold that a filter needs.

    Raises:
        MienError: the model, the data or an option cannot be used.
    """
    how = options or FilterOptions()
    subject = open_subject(model, how.input_shape)
    opened, checksum = subject.opened, subject.checksum
    pictures, notes = pictures_for(subject, source, how, progress)
    names = subject.model.classes if subject.model else pictures.classes
    folder = results_folder(subject, out) / "explain"
    device = choose_hardware(accelerator=how.accelerator, precision="fp32").accelerator
    network = opened.network.to(device)
    # The same numbers in an order that processors convolve a third faster.
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    opened = replace(opened, network=network)
    chosen = choose_layer(network, opened.random_batch(1, 0).to(device), how.layer)
    chosen_by = asked_filters(how.filters, chosen.filters)
    key = {"model": checksum, "data": pictures.fingerprint, "layer": chosen.name,
           "n": len(pictures), "chunk": CHUNK, "mien": __version__, "torch": torch.__version__,
           "options": json.loads(json.dumps(asdict(how)))}  # fmt: skip
    partial = Partial(folder / "filters.partial", key)
    work = Work(opened, chosen, pictures.images, how, device, partial, progress)
    if regions is None:
        masks = template(*pictures.images.shape[2:])
        regions = {k: mask for k, mask in zip(REGIONS, masks, strict=True) if k != "rest"}
    found = replace(work.run(chosen_by), regions=dict(regions))
    data, arrays = _written(found, work, names)
    data |= {"split": split_name(how.split), "seed": how.seed, "model": opened.name,
             "model_checksum": checksum, "data_fingerprint": pictures.fingerprint}  # fmt: skip
    told = findings(found, chosen.name)
    data["findings"] = [finding.to_json() for finding in told]
    data["notes"] = [*opened.notes, *notes, *_notes(work, found)]
    patches, inside = work.real_patches(pictures, data, found.numbers)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_atomic(folder / "filters.npz", content.getvalue())
    write_json(folder / "filters.json", data)
    partial.remove()
    return FilterReport(
        data=data, arrays=arrays, findings=told, patches=patches, inside=inside,
        drawn_faces=pictures.layout == "synthetic", folder=folder,
    )  # fmt: skip


def read_filters(folder: Path | str) -> FilterReport:
    """What ``filters`` wrote into ``folder/explain``; without the real patches.

    Raises:
        RunError: it is not there, or cannot be read.
    """
    place = Path(folder) / "explain"
    data = read_json(place / "filters.json")
    try:
        with np.load(place / "filters.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        told = tuple(Finding.from_json(one) for one in data["findings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{place}: the results of 'mien filters' cannot be read ({error})"
        ) from error
    return FilterReport(
        data=data, arrays=arrays, findings=told, patches=np.zeros((0, 0, 0, 0, 0), np.uint8),
        inside=np.zeros((0, 0, 0, 0), np.bool_), drawn_faces=False, folder=place,
    )  # fmt: skip


def _notes(work: Work, found: Measured) -> list[str]:
    chosen = work.layer
    notes = [
        f"the activation is the output of {chosen.name} itself, before what stands behind it",
        f"{len(found.numbers):,} of {chosen.filters:,} filters drawn",
    ]
    if chosen.fields is None:
        notes.append("the receptive field cannot be told or is everything: patches are whole")
    gate = chosen.gate_name or f"{chosen.name}: no nonlinearity module follows it alone"
    notes.append(f"a filter is active where what enters its nonlinearity is above 0 ({gate})")
    return notes


def _written(
    found: Measured, work: Work, names: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What stands in the two files, but for patches, findings and where it all comes from."""
    K = len(found.effects[0])
    names = names if len(names) == K else tuple(f"class {k}" for k in range(K))
    data: dict[str, Any] = {
        "layer": found.layer,
        "filters_total": work.layer.filters,
        "drawn": len(found.numbers),
        "n": found.evidence.n,
        "grid": list(work.layer.grid),
        "receptive_field": list(work.layer.field_size),
        "dead": {str(f): str(found.dead[f]) for f in np.flatnonzero(found.dead != "").tolist()},
        "classes": list(names),
        "filters": [found.row(d, names) for d in range(len(found.numbers))],
        "summary": summary(found),
    }
    arrays: dict[str, NDArray[Any]] = {
        "numbers": found.numbers,
        "patterns": found.pictures.astype(np.float16),
        "reached": found.reached,
        "fits": found.fits["shape"].astype(np.float16),
        "null": found.fits["own_null_r2"],
    }
    return data, arrays
