"""``mien pairs``."""

from pathlib import Path
from typing import Annotated

import typer

from mien.app import options as opt
from mien.explain import DEFAULT_METHOD

_HELP = """Look into one confusion (fear taken for sad): what it rests on, and suspect labels.

Shows how the confused images differ from right ones, by mean faces and by maps of the truth less
the rival class; the images most confidently wrong; and, from the run's saved predictions, the
labels of the split that are suspect by confident learning.

\b
Examples:
  mien pairs runs/cnn4-1 fer2013.zip
  mien pairs runs/cnn4-1 fer2013.zip --pair fear,sad --method layercam
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("pairs", help=_HELP)(run)


def run(
    model: opt.Model,
    data: opt.Data,
    pair: Annotated[
        str, typer.Option("--pair", metavar="TRUTH,PREDICTED", help="The worst one by default.")
    ] = "",
    method: opt.Method = DEFAULT_METHOD,
    split: opt.Split = "validation",
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
    """Explain the pair, write, draw, show; then the suspect labels of a run."""
    from mien.app import console
    from mien.words import catalogue
    from mien.words.trust import verdict_line

    catalogue(language)
    with console.needs_extra("pairs"):
        from mien.app.figures.pairs import draw_pair
        from mien.app.showing_regions import show_pair, show_suspects
        from mien.jobs.ledger import LedgerOptions
        from mien.jobs.pairs import pair_of, suspects_of
        from mien.jobs.prepare import DataOptions

    options = LedgerOptions(
        split=split, method=method, seed=seed, input_shape=input_shape,
        data=DataOptions(format=format, map=tuple(map or ()), classes=classes, skip_bad=skip_bad),
    )  # fmt: skip
    with console.progress_bars() as progress:
        found = pair_of(model, data, _two(pair), options, out=out, progress=progress)
    draw_pair(found.pair, found.pictures, found.folder / "pairs", trust=verdict_line(found.trust))
    saved = (Path(model) / "predictions.parquet").is_file() and split == "validation"
    doubted = suspects_of(model, out=found.folder) if saved else None
    if json_out:
        suspects = {} if doubted is None else {"suspects_in": str(doubted.folder / "suspects.json")}
        console.show_json({**found.pair.to_json(), **suspects})
        return
    show_pair(found.pair, language=language)
    if doubted is None:
        console.say("suspect labels are sought in a run's saved predictions of validation alone")
    else:
        show_suspects(doubted, language=language)
    console.show(f"\nIn {found.folder}: pairs.json, pairs.svg and .png, suspects.json")


def _two(pair: str) -> tuple[str, str] | None:
    """``fear,sad`` as two names.

    Raises:
        OptionError: it is nothing of the kind.
    """
    from mien.errors import OptionError

    if not pair:
        return None
    names = [name.strip() for name in pair.split(",")]
    if len(names) != 2 or not all(names):
        raise OptionError(f"--pair {pair}: write it as TRUTH,PREDICTED, for example fear,sad")
    return names[0], names[1]
