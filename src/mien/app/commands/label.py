"""``mien label``."""

from pathlib import Path
from typing import Annotated

import typer

from mien.app import options as opt

_HELP = """Label a folder of face crops: writes 'id,label', one row a picture.

The id is the file's name without its ending; rows are in the ids' order. Labels are the class
numbers (0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral) or, with --names,
their names. Exits 1 where pictures were left out.

\b
Examples:
  mien label test/ --model runs/cnn4-1 --out prediction.csv
  mien label test.zip --model model.safetensors --out prediction.csv --names --skip-bad
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("label", help=_HELP)(run)


def run(
    images: Annotated[
        str, typer.Argument(metavar="IMAGES", help="A folder or archive.", show_default=False)
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="A run or a .safetensors file.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path(
        "prediction.csv"
    ),
    names: Annotated[bool, typer.Option("--names", help="Write class names.")] = False,
    flip: opt.Flip = True,
    skip_bad: opt.SkipBad = False,
) -> None:
    """Label and say what was done."""
    from mien.app import console

    with console.needs_extra("label"):
        from mien.jobs.label import label

    with console.progress_bars() as progress:
        result = label(
            images, model, out, names=names, flip=flip, skip_bad=skip_bad, progress=progress
        )
    for note in result.notes:
        console.say(note)
    for problem in result.problems:
        console.say(f"left out: {problem}")
    console.show(f"{result.count:,} pictures labelled in {result.out}")
    if result.problems:
        raise typer.Exit(1)
