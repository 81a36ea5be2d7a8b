"""``mien train``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.app import options as opt
from mien.errors import OptionError

if TYPE_CHECKING:
    from mien.train.recipes import Recipe

_HELP = """Train a network on labelled faces and evaluate it.

Writes a run folder: the model, its history, predictions on the validation split, figures and a
report.
Ctrl-C stops at a point from which --resume goes on to the same result.

\b
Recipes (--recipe):
  cnn4        four convolutions, three fully connected layers; the default
  cnn4-wider  cnn4 with more channels and augmentation, for a --teacher such as wide
  tiny        under 400,000 parameters, for a browser or a small computer
  residual    residual stages, trained on crops; under an hour and a half on two cores
  wide        few wide layers behind a stem of cosines; as much work as residual
  balanced    cnn4 with every class drawn equally often
  quick       cnn4 in a tenth of its time
  demo        a minute's training, for the faces that mien draws

\b
Examples:
  mien train fer2013.zip
  mien train faces/ --classes found --epochs 20 --out runs/mine
  mien train fer2013.zip --set model.widths=48,96,192,384 --seed 1
  mien train my-faces/ --from runs/cnn4-1 --learning-rate 0.02 --epochs 10
  mien train my-faces/ --from wide --learning-rate 0.02 --epochs 10
  mien train fer2013.zip --recipe cnn4 --teacher runs/residual-1 --teacher runs/residual-2
  mien train --resume runs/cnn4-1
  torchrun --nproc-per-node 2 -m mien train fer2013.zip --out runs/two
"""

_TEACHING = ("objective.teacher_share", "objective.temperature", "objective.teachers_see")


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("train", help=_HELP)(run)


def run(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="A folder, .zip, .tar.gz or .csv of labelled faces, or 'synthetic:N'.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The run folder.", show_default="runs/RECIPE-NUMBER"),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            help="cnn4, cnn4-wider, tiny, residual, wide, quick, balanced or demo.",
        ),
    ] = "cnn4",
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the images.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Images a step, over all ranks.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="The schedule's peak.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any field of the recipe."),
    ] = None,
    start_from: Annotated[
        str,
        typer.Option("--from", metavar="MODEL", help="Fine-tune this model (or tiny, wide)."),
    ] = "",
    teachers: Annotated[
        list[str] | None,
        typer.Option("--teacher", metavar="MODEL", help="Learn from it too; give several times."),
    ] = None,
    keep_copies: Annotated[
        bool,
        typer.Option("--keep-copies", help="Keep training images copied in validation."),
    ] = False,
    hold_out_seed: Annotated[
        int | None,
        typer.Option(
            "--hold-out-seed",
            min=0,
            help="Which tenth validates where DATA has no validation split.",
            show_default="0",
        ),
    ] = None,
    format: opt.Format = "",
    size: opt.Size = 48,
    colour: opt.Colour = False,
    map: opt.Map = None,
    classes: opt.Classes = "seven",
    skip_bad: opt.SkipBad = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Threads = 0,
    save_every: Annotated[
        float, typer.Option("--save-every", min=0, help="Seconds between saved states.")
    ] = 60.0,
    report: Annotated[
        bool,
        typer.Option("--report/--no-report", help="Analyse for at most 3 minutes, and report."),
    ] = True,
    json_out: opt.Json = False,
) -> None:
    """Parse, train or resume, evaluate, report, show."""
    from mien.app.console import needs_extra

    if (data is None) == (resume is None):
        raise OptionError("name DATA to train on, or --resume RUN to go on with one (not both)")
    if resume is not None:
        kept = {"resume", "save_every", "report", "json_out"}
        opt.refuse_given(context, kept, "a run goes on as it began; leave it out with --resume")
    if start_from:
        kept = set(context.params) - {"size", "colour"}
        opt.refuse_given(context, kept, "--from keeps the size and colour of its model")
    with needs_extra("train"):
        from mien.app.training import run_training
        from mien.jobs.prepare import DataOptions
        from mien.jobs.train import TrainOptions

    if resume is not None:
        run_training(None, None, resume, save_every=save_every, as_json=json_out,
                     with_report=report)  # fmt: skip
        return
    _check_settings(settings or [], start_from, teachers or [])
    chosen = _recipe(
        recipe,
        {"seed": seed, "epochs": epochs, "batch_size": batch_size,
         "optim.learning_rate": learning_rate},
        settings or [],
    )  # fmt: skip
    options = TrainOptions(
        source=str(data),
        data=DataOptions(
            format=format,
            size=size,
            colour=colour,
            map=tuple(map or ()),
            classes=classes,
            skip_bad=skip_bad,
        ),
        start_from=start_from,
        teachers=tuple(teachers or ()),
        keep_copies=keep_copies,
        hold_out_seed=-1 if hold_out_seed is None else hold_out_seed,
        accelerator=device,
        precision=precision,
        threads=threads,
    )
    run_training(options, chosen, out, save_every=save_every, as_json=json_out, with_report=report)


def _check_settings(settings: list[str], start_from: str, teachers: list[str]) -> None:
    """Refuse fields that something else decides."""
    for text in settings:
        key = text.partition("=")[0].strip()
        if key in ("model.size", "model.channels", "model.classes"):
            raise OptionError(f"--set {key}: the data decide it; see --size, --colour, --classes")
        if start_from and key.partition(".")[0] in ("model", "architecture"):
            raise OptionError(f"--set {key}: --from keeps the network of its model")
        if not teachers and key in _TEACHING:
            raise OptionError(f"--set {key}: it has no effect without --teacher MODEL")


def _recipe(name: str, given: dict[str, Any], settings: list[str]) -> "Recipe":
    from mien.config import override
    from mien.train.recipes import recipe

    assignments = {key: json.dumps(value) for key, value in given.items() if value is not None}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise OptionError(f"--set {text}: write it as FIELD=VALUE, for example epochs=20")
        assignments[key.strip()] = value
    return override(recipe(name), assignments)
