"""``mien audit``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.app import options as opt

if TYPE_CHECKING:
    from mien.data.audit import AuditReport

_HELP = """Look labelled pictures through before training on them.

Counts classes; finds pixel-identical copies within and across splits, copies with other labels,
near-duplicates, blank pictures and bad records. Exits 1 where there are bad records, 2 where
nothing could be read.

\b
Examples:
  mien audit fer2013.zip
  mien audit faces/ --sheet findings.png
  mien audit fer2013.csv --json > audit.json
"""
_LISTED = 10


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("audit", help=_HELP)(run)


def run(
    data: opt.Data,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write a contact sheet of the findings (PNG).")
    ] = None,
    format: opt.Format = "",
    size: opt.Size = 48,
    colour: opt.Colour = False,
    map: opt.Map = None,
    classes: opt.Classes = "seven",
    json_out: opt.Json = False,
) -> None:
    """Audit and show."""
    from mien.app import console
    from mien.jobs.audit import audit
    from mien.jobs.prepare import DataOptions

    options = DataOptions(
        format=format, size=size, colour=colour, map=tuple(map or ()), classes=classes
    )
    with console.progress_bars() as progress:
        report = audit(data, options, sheet=sheet, progress=progress)
    if json_out:
        console.show_json(report.to_json())
    else:
        _show(report)
        if sheet:
            console.show(f"\nContact sheet in {sheet}")
    if report.problems:
        raise typer.Exit(1)


def _show(report: "AuditReport") -> None:
    from mien.app import console

    splits = list(report.counts)
    table = console.PlainTable(f"{report.pictures:,} pictures ({report.layout})", "class", *splits)
    for name in [*report.classes, ""]:
        row = [report.counts[split].get(name, 0) for split in splits]
        if name or any(row):
            table.row(name or "without a label", *(f"{n:,}" for n in row))
    table.row("all", *(f"{sum(report.counts[split].values()):,}" for split in splits))
    console.show(table)
    for note in report.notes:
        console.show(note)
    _show_copies(report)
    near = f"{len(report.near):,}{'' if report.near_complete else ' or more'}"
    console.show(
        f"\nNear-duplicates (perceptual hash, {report.near_bits} of 64 bits): {near} pairs"
    )
    console.show(f"Blank or constant pictures: {len(report.blank):,}")
    for member in report.blank[:_LISTED]:
        console.show(f"  {member.id}")
    console.show(f"Bad records: {len(report.problems):,}")
    for problem in report.problems:
        console.show(f"  {problem}")


def _show_copies(report: "AuditReport") -> None:
    from mien.app import console

    within = console.PlainTable("\nPixel-identical copies within a split", "split", "contents",
                           "pictures", "with conflicting labels")  # fmt: skip
    for one in report.within:
        within.row(one.split, f"{one.groups:,}", f"{one.pictures:,}", f"{one.conflicting:,}")
    console.show(within)
    if not report.across:
        return
    across = console.PlainTable("\nCopies across splits", "pictures of", "that are also in",
                           "identical", "of these only under another label", "near")  # fmt: skip
    for pair in report.across:
        across.row(
            pair.split,
            pair.other,
            f"{pair.copied:,}",
            f"{pair.otherwise_labelled:,}",
            f"{pair.near:,}",
        )
    console.show(across)
