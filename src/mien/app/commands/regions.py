"""``mien regions``."""

from typing import Annotated

import typer

from mien.app import options as opt
from mien.explain import DEFAULT_METHOD

_HELP = """Say which parts of a face a model's answers rest on: brows, eyes, nose, mouth, cheeks.

For every class, and for right and wrong answers apart: the share of the attribution that a region
holds over its share of the area, and what hiding the region does to the probability, with 95 %
intervals. Drawn faces bring their own masks; others get a template of the registered face, whose
shifts by up to 4 of 48 pixels are in the intervals.

\b
Examples:
  mien regions runs/cnn4-1 fer2013.zip
  mien regions runs/cnn4-1 fer2013.zip --method layercam --limit 500
  mien regions nets.py:build synthetic:2000 --input-shape 1,48,48 --no-hiding --json
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("regions", help=_HELP)(run)


def run(
    model: opt.Model,
    data: opt.Data,
    method: opt.Method = DEFAULT_METHOD,
    explained: Annotated[
        str, typer.Option("--of", help="What maps are about: the predicted class, or the label.")
    ] = "predicted",
    hiding: Annotated[
        bool, typer.Option("--hiding/--no-hiding", help="Hide each region as well.")
    ] = True,
    split: opt.Split = "validation",
    limit: opt.Limit = 0,
    seed: opt.Seed = 0,
    input_shape: opt.InputShape = "",
    out: opt.Out = None,
    format: opt.Format = "",
    map: opt.Map = None,
    classes: opt.Classes = "seven",
    skip_bad: opt.SkipBad = False,
    language: opt.Language = "en",
    json_out: opt.Json = False,
) -> None:
    """Explain, hide, write, draw, show."""
    from mien.app import console
    from mien.errors import OptionError
    from mien.words import catalogue
    from mien.words.trust import verdict_line

    catalogue(language)  # refuses a language before minutes of work
    with console.needs_extra("regions"):
        from mien.app.figures.regions import draw_ledger
        from mien.app.showing_regions import show_ledger
        from mien.jobs.ledger import LedgerOptions, ledger_of
        from mien.jobs.prepare import DataOptions

    if explained not in ("predicted", "label"):
        raise OptionError(f"--of {explained}: predicted or label")
    options = LedgerOptions(
        split=split, method=method, hiding=hiding, limit=limit, seed=seed, input_shape=input_shape,
        explained="label" if explained == "label" else "predicted",
        data=DataOptions(format=format, map=tuple(map or ()), classes=classes, skip_bad=skip_bad),
    )  # fmt: skip
    with console.progress_bars() as progress:
        found = ledger_of(model, data, options, out=out, progress=progress)
    draw_ledger(found.ledger, found.folder / "regions", title=f"What {model} rests on",
                trust=verdict_line(found.trust))  # fmt: skip
    if json_out:
        console.show_json(found.ledger.to_json())
        return
    show_ledger(found.ledger, language=language)
    console.show(f"\nIn {found.folder}: regions.json, regions.svg and .png")
