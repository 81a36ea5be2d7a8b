"""``mien tune``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.app import options as opt

if TYPE_CHECKING:
    from mien.jobs.tune import Tried, Tuned

_HELP = """Search for better settings of a recipe on your pictures.

Each trial trains a run of its own; trials that fall behind are given up early. Ctrl-C, a crash or a
second call lose nothing: the same command goes on. Several processes or machines that name the same
--storage and --out work on one study. Accuracy is that on the validation split, and the best of
many trials is partly luck: train its settings again with other seeds before you believe it.

\b
What to vary (--search, several times; by default learning rate, weight decay, erasing, rotation
and label smoothing):
  optim.learning_rate=0.02..0.3:log    between two ends, on a logarithmic scale
  augment.rotation=0..25               between two ends
  optim.schedule=linear,cosine         one of these
  model.widths=32,64,96,96;48,96,192,192    one of these lists

\b
Examples:
  mien tune fer2013.zip --recipe quick --trials 30
  mien tune faces/ --search optim.learning_rate=0.01..0.3:log --search augment.erase=0..0.6
  mien tune fer2013.zip --storage postgresql://host/tuning --out /shared/tune
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("tune", help=_HELP)(run)


def run(
    data: opt.Data,
    recipe: Annotated[str, typer.Option("--recipe", help="What is varied.")] = "cnn4",
    search: Annotated[
        list[str] | None, typer.Option("--search", metavar="FIELD=VALUES", help="See above.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field that all trials share."),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="To end with, in all.")] = 20,
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="Give up trials below the median.")
    ] = True,
    storage: Annotated[
        str, typer.Option("--storage", metavar="URL", help="A database that others share.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="Of the study in it.")] = "mien",
    seed: opt.Seed = 0,
    out: opt.Out = Path("tuning"),
    format: opt.Format = "",
    size: opt.Size = 48,
    colour: opt.Colour = False,
    map: opt.Map = None,
    classes: opt.Classes = "seven",
    skip_bad: opt.SkipBad = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Threads = 0,
    json_out: opt.Json = False,
) -> None:
    """Search, draw what mattered, show."""
    from mien.app import console

    with console.needs_extra("tune"):
        import optuna  # noqa: F401  told here, not after minutes of reading pictures

        from mien.app.figures.tuning import draw_tuning
        from mien.app.training import heard_signals
        from mien.config import override
        from mien.jobs.prepare import DataOptions
        from mien.jobs.train import TrainOptions
        from mien.jobs.tune import TuneListeners, TuneOptions, tune
        from mien.train.recipes import recipe as recipe_called
        from mien.train.search import DEFAULT

    shared = [text.partition("=")[::2] for text in settings or []]
    options = TuneOptions(
        train=TrainOptions(
            source=data,
            data=DataOptions(format=format, size=size, colour=colour, map=tuple(map or ()),
                             classes=classes, skip_bad=skip_bad),
            accelerator=device, precision=precision, threads=threads,
        ),
        recipe=override(recipe_called(recipe), {key.strip(): value for key, value in shared}),
        search=tuple(search or DEFAULT), trials=trials, storage=storage, name=name, prune=prune,
        seed=seed,
    )  # fmt: skip
    folder = out or Path("tuning")
    with console.progress_bars() as progress, heard_signals() as stop:
        listeners = TuneListeners(progress=progress, told=console.say, stop=stop,
                                  ended=lambda trial: console.say(_line(trial)))  # fmt: skip
        tuned = tune(options, out=folder, listeners=listeners)
    if len(tuned.trials) > 1:
        draw_tuning(tuned, folder / "tuning")
    reading = {"--format": format, "--size": size, "--map": map or [], "--classes": classes,
               "--colour": colour, "--skip-bad": skip_bad}  # fmt: skip
    again = _again(data, recipe, settings or [], tuned, reading)
    if json_out:
        console.show_json({**tuned.to_json(), "train_again": again})
    else:
        _show(tuned, again)


def _line(trial: "Tried") -> str:
    reached = f"{trial.accuracy:.1%}" if trial.accuracy is not None else "-"
    how = {"complete": "", "pruned": f", given up after {trial.epochs} epochs"}
    settings = "  ".join(f"{name}={_short(value)}" for name, value in trial.settings.items())
    return f"trial {trial.number}: {reached}{how.get(trial.state, ', failed')}  {settings}"


def _short(value: str) -> str:
    try:
        return f"{float(value):.3g}"
    except ValueError:
        return value


def _again(
    data: str, recipe: str, settings: list[str], tuned: "Tuned", reading: dict[str, Any]
) -> str:
    """The command that trains the best settings once more, on the same pictures."""
    if tuned.best is None:
        return ""
    words: list[str] = ["mien", "train", data, "--recipe", recipe, "--seed", "1"]
    usual = {"--format": "", "--size": 48, "--map": [], "--classes": "seven", "--colour": False,
             "--skip-bad": False}  # fmt: skip
    for option, value in reading.items():
        if value != usual[option]:
            values = value if isinstance(value, list) else [value]
            words += [w for v in values for w in ([option] if v is True else [option, str(v)])]
    for text in settings:
        words += ["--set", text]
    for name, value in tuned.best.settings.items():
        words += ["--set", f"{name}={_short(value)}"]
    return shlex.join(words)


def _show(tuned: "Tuned", again: str) -> None:
    from mien.app import console

    states: dict[str, Any] = dict.fromkeys(("complete", "pruned", "failed"), 0)
    for trial in tuned.trials:
        states[trial.state] += 1
    console.show(f"{len(tuned.trials)} trials: {states['complete']} to the end, "
                 f"{states['pruned']} given up early, {states['failed']} failed")  # fmt: skip
    if tuned.best is None:
        console.show("No trial came to its end; there is nothing to recommend.")
        return
    if tuned.importance:
        table = console.PlainTable("What mattered", "field", "share of the variance", "best")
        for name, share in tuned.importance.items():
            table.row(name, f"{share:.0%}", _short(tuned.best.settings[name]))
        console.show(table)
    console.show(
        f"\nBest: {tuned.best.accuracy:.1%} of {tuned.images:,} validation images (trial "
        f"{tuned.best.number}). It was chosen as the best of {states['complete']}, so it is "
        f"somewhat too high; see what another seed says:\n  {again}"
    )
    console.show(f"Trials and figure are in {tuned.folder}")
