"""The verb ``audit``: what is wrong with a source, and a contact sheet of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.audit import AuditReport, Member
from mien.data.audit import audit as audit_images
from mien.errors import DataError
from mien.jobs.prepare import DataOptions, read_source
from mien.jobs.sheet import contact_sheet, write_png
from mien.types import ImageSet, Progress, silent

_COLUMNS = 12
_PAIRS_A_ROW = _COLUMNS // 2


def audit(
    source: str,
    options: DataOptions | None = None,
    *,
    sheet: Path | str | None = None,
    progress: Progress = silent,
) -> AuditReport:
    """Look a source through; bad records are listed in the report's ``problems``.

    sheet: a PNG to write, with rows of conflicting copies, of validation and test images that
    training knows, of near-duplicates and of blank pictures.

    Raises:
        DataError: nothing could be read.
    """
    options = replace(options or DataOptions(), skip_bad=True)
    images = read_source(source, options, progress=progress)
    if len(images) == 0:
        first = str(images.problems[0]) if images.problems else "it holds no pictures"
        raise DataError(f"{source}: nothing could be read ({first})")
    report = audit_images(images, progress=progress)
    if sheet is not None:
        write_png(Path(sheet), contact_sheet(_rows(report, images), columns=_COLUMNS))
    return report


def _rows(report: AuditReport, images: ImageSet) -> list[tuple[str, NDArray[np.uint8]]]:
    place = {name: number for number, name in enumerate(images.ids.tolist())}
    conflicting = [_apart(copies.members) for copies in report.copies if copies.conflicting]
    labels = "; ".join(f"{a.label} = {b.label}" for a, b in conflicting[:_PAIRS_A_ROW])
    leaks = [pair for copies in report.copies if (pair := _across(copies.members))]
    near = [(pair.first, pair.second) for pair in report.near]
    blank = [(member,) for member in report.blank]
    found: list[tuple[str, Sequence[tuple[Member, ...]]]] = [
        (f"same pixels, other label: {len(conflicting):,} contents ({labels})", conflicting),
        (f"same pixels in training and in another split: {len(leaks):,} contents", leaks),
        (f"near-duplicates: {len(near):,} pairs", near),
        (f"blank: {len(blank):,} pictures", blank),
    ]
    rows = []
    for caption, groups in found:
        chosen = [place[member.id] for group in groups for member in group][:_COLUMNS]
        if chosen:
            rows.append((caption, images.images[np.array(chosen, dtype=np.int64)]))
    return rows


def _apart(members: tuple[Member, ...]) -> tuple[Member, Member]:
    """The first of the copies and the first with another label."""
    other = next(member for member in members if member.label != members[0].label)
    return (members[0], other)


def _across(members: tuple[Member, ...]) -> tuple[Member, ...]:
    """A training image and its copy in another split, or nothing."""
    training = next((member for member in members if member.split == "train"), None)
    other = next((member for member in members if member.split != "train"), None)
    return (training, other) if training and other else ()
