"""``mien draw``."""

from pathlib import Path
from typing import Annotated

import typer

from mien.app import options as opt
from mien.errors import OptionError

_HELP = """Draw faces: a contact sheet to look at, or a data set to train on.

OUT ending in .png becomes a sheet, a row for each class; ending in .zip, class folders in an
archive that 'mien train' reads. The same seed draws the same faces.

\b
Examples:
  mien draw faces.png
  mien draw faces.zip --count 20000 --seed 7
  mien draw mouths.png --region mouth
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("draw", help=_HELP)(run)


def run(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .png or .zip.")],
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            min=1,
            max=2_000_000,
            help="Faces.",
            show_default="84, or 7,000 in a .zip",
        ),
    ] = None,
    seed: opt.Seed = 0,
    region: Annotated[
        str,
        typer.Option("--region", help="Let brows, eyes, nose or mouth alone carry the label."),
    ] = "",
) -> None:
    """Draw and say where."""
    from mien.app import console
    from mien.jobs.draw import draw_archive, draw_sheet

    if out.suffix not in (".png", ".zip"):
        raise OptionError(f"{out}: name a file that ends in .png (a sheet) or .zip (a data set)")
    with console.progress_bars() as progress:
        if out.suffix == ".png":
            draw_sheet(out, count or 84, seed=seed, region=region or None)
        else:
            draw_archive(out, count or 7000, seed=seed, region=region or None, progress=progress)
    console.show(f"drawn in {out}")
