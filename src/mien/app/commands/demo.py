"""``mien demo``."""

from pathlib import Path
from typing import Annotated

import typer

from mien.app import options as opt

_HELP = """Run the main job on drawn faces: draw, train for about a minute, evaluate, show.

Needs no data. The faces are mien's own drawings; what this model learns says nothing about
people.

\b
Examples:
  mien demo
  mien demo --faces 2000 --out runs/first
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("demo", help=_HELP)(run)


def run(
    faces: Annotated[int, typer.Option("--faces", min=200, help="How many to draw.")] = 8000,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder.", show_default="runs/demo-1")
    ] = None,
    seed: opt.Seed = 0,
    report: Annotated[
        bool,
        typer.Option("--report/--no-report", help="Analyse for at most 3 minutes, and report."),
    ] = True,
    json_out: opt.Json = False,
) -> None:
    """Draw, train, evaluate, report, say where to look."""
    from mien.app import console

    with console.needs_extra("demo"):
        from dataclasses import replace

        from mien.app.training import run_training
        from mien.jobs.train import TrainOptions
        from mien.train.recipes import demo

    console.say(f"drawing {faces:,} faces and training on them; about a minute on two cores")
    recipe = replace(demo(), seed=seed)
    result = run_training(
        TrainOptions(source=f"synthetic:{faces}:seed={seed}"),
        recipe,
        out,
        save_every=60,
        as_json=json_out,
        with_report=report,
    )
    if not json_out:
        path = result.run.path
        if not report:
            console.show(f"Look at {path}/figures/confusion.png and {path}/figures/history.png.")
        console.show("With faces of your own: mien train FOLDER, where FOLDER/train/CLASS/*.jpg")
