"""``mien trust``."""

from typing import TYPE_CHECKING, Annotated

import typer

from mien.app import options as opt

if TYPE_CHECKING:
    from mien.jobs.trust_report import TrustReport

_HELP = """Test attribution methods on a model: whether to believe what they mark.

Each method gets a verdict: do its maps change when the weights or the labels are random, do they
beat drawings that know nothing of the model (deletion and insertion curves), and do they fall on
the one region that carries the label of drawn faces. Finished parts are kept: a run that was
interrupted goes on where it stopped.

\b
Examples:
  mien trust runs/cnn4-1 fer2013.zip
  mien trust runs/cnn4-1 fer2013.zip --methods gradient,gradcam --images 200 --quick
  mien trust runs/cnn4-1 fer2013.zip --other runs/cnn4-2 --json
  mien trust nets.py:build faces.zip --input-shape 1,48,48 --out trusted
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("trust", help=_HELP)(run)


def run(
    model: opt.Model,
    data: opt.Data,
    methods: Annotated[
        str, typer.Option("--methods", help="Names with commas between; all if none.")
    ] = "",
    images: Annotated[int, typer.Option("--images", min=8, help="How many are explained.")] = 500,
    split: opt.Split = "validation",
    seed: opt.Seed = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the tests that train networks.")
    ] = False,
    other: Annotated[
        str, typer.Option("--other", metavar="MODEL", help="Trained alike, for a reference.")
    ] = "",
    input_shape: opt.InputShape = "",
    out: opt.Out = None,
    format: opt.Format = "",
    map: opt.Map = None,
    classes: opt.Classes = "seven",
    skip_bad: opt.SkipBad = False,
    language: opt.Language = "en",
    json_out: opt.Json = False,
) -> None:
    """Test, write figures, show."""
    from mien.app import console
    from mien.words import catalogue

    catalogue(language)  # refuses a language before minutes of work
    with console.needs_extra("trust"):
        from mien.app.figures.trust import draw_trust
        from mien.jobs.prepare import DataOptions
        from mien.jobs.trust import TrustOptions, trust

    options = TrustOptions(
        methods=tuple(name.strip() for name in methods.split(",") if name.strip()),
        images=images, split=split, seed=seed, quick=quick, other=other, input_shape=input_shape,
        data=DataOptions(format=format, map=tuple(map or ()), classes=classes, skip_bad=skip_bad),
    )  # fmt: skip
    with console.progress_bars() as progress:
        report = trust(model, data, options, out=out, progress=progress)
    draw_trust(report, report.folder / "trust")
    if json_out:
        console.show_json(report.to_json())
        return
    for note in report.notes:
        console.say(note)
    _show(report, language)


def _show(report: "TrustReport", language: str) -> None:
    from mien.app import console
    from mien.words import number, percent
    from mien.words.trust import short_verdict

    table = console.PlainTable(
        f"Trust in methods on {report.model}; {report.n} images, 95 % intervals",
        "method", "deletion area", "insertion area", "random weights", "other faces",
        "shuffled labels", "in the region", "pointing", "verdict",
    )  # fmt: skip
    for one in report.methods:
        table.row(
            one.title, percent(one.deletion), percent(one.insertion),
            number(one.weights[-1].cascade), number(one.weights_reference),
            number(one.labels) if one.labels else "–",
            percent(one.mass) if one.mass else "–",
            percent(one.pointing) if one.pointing else "–",
            short_verdict(one.verdict, one.against, language),
        )  # fmt: skip
    for base in report.baselines:
        table.row(
            base.title, percent(base.deletion), percent(base.insertion), "1", "–", "–",
            percent(base.mass) if base.mass else "–",
            percent(base.pointing) if base.pointing else "–",
            "knows nothing" if language == "en" else "一無所知",
        )  # fmt: skip
    console.show(table)
    for sentence in report.sentences(language):
        console.show(f"  {sentence}")
    console.show(f"\nBy these numbers 'mien explain' would use {report.default}.")
    console.show(f"Written to {report.folder}: trust.json, trust.svg, trust.png")
