"""``mien filters``."""

from typing import TYPE_CHECKING, Annotated

import typer

from mien.app import options as opt

if TYPE_CHECKING:
    from mien.jobs.filters import FilterReport

_HELP = """What makes the filters of a layer fire: lines, or parts of faces?

Finds the patches of DATA that fire each filter most, draws the pattern that would fire it most,
switches it off to see which classes it speaks for, fits lines and Gabors to its pattern, and
uncovers faces until it fires. MODEL is a run, a .safetensors file or FILE.py:FACTORY. Real patches
show people and stay out of the figure unless you ask for them. A call that was cut off goes on
where it was when it is repeated.

\b
Examples:
  mien filters runs/cnn4-1 fer2013.zip
  mien filters runs/cnn4-1 fer2013.zip --layer features.1.convolution --filters 96
  mien filters runs/cnn4-1 synthetic:2000 --split all --filters 1,5,9 --out filters
  mien filters nets.py:build faces.zip --input-shape 3,64,64 --json
"""
_SHOWN = 2  # classes a filter speaks for or against


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("filters", help=_HELP)(run)


def run(
    model: opt.Model,
    data: opt.Data,
    layer: Annotated[
        str, typer.Option("--layer", metavar="NAME", help="Default: the last convolution.")
    ] = "",
    split: opt.Split = "validation",
    filters: Annotated[
        str, typer.Option("--filters", help="So many of the most influential, all, or 1,5,9.")
    ] = "48",
    patches: Annotated[
        int, typer.Option("--patches", min=1, max=50, help="Real patches a filter.")
    ] = 9,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=64, help="Patterns a filter.")] = 2,
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=100_000, help="Steps of each pattern.")
    ] = 48,
    limit: opt.Limit = 0,
    out: opt.Out = None,
    include_images: Annotated[
        bool, typer.Option("--include-images", help="Show real patches in the figure.")
    ] = False,
    language: opt.Language = "en",
    input_shape: opt.InputShape = "",
    format: opt.Format = "",
    map: opt.Map = None,
    classes: opt.Classes = "seven",
    skip_bad: opt.SkipBad = False,
    device: opt.Device = "cpu",
    seed: opt.Seed = 0,
    json_out: opt.Json = False,
) -> None:
    """Measure, write, draw, show."""
    from mien.app import console

    with console.needs_extra("filters"):
        from mien.app.figures.filters import draw_filters
        from mien.jobs.filters import FilterOptions
        from mien.jobs.filters import filters as look
        from mien.jobs.prepare import DataOptions
    from mien.words import catalogue

    catalogue(language)
    options = FilterOptions(
        layer=layer, split=split, filters=filters, patches=patches, seeds=seeds, steps=steps,
        limit=limit, seed=seed, input_shape=input_shape, accelerator=device,
        data=DataOptions(format=format, map=tuple(map or ()), classes=classes, skip_bad=skip_bad),
    )  # fmt: skip
    with console.progress_bars() as progress:
        report = look(model, data, options, out=out, progress=progress)
    folder = report.folder.parent / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    draw_filters(report, folder / "filters", images=include_images or report.drawn_faces)
    for note in report.data["notes"]:
        console.say(note)
    if json_out:
        console.show_json(report.data)
    else:
        _show(report, language)
        console.show(f"\nNumbers in {report.folder}, the sheet in {folder}")


def _show(report: "FilterReport", language: str) -> None:
    from mien.app import console
    from mien.words import say

    data = report.data
    table = console.PlainTable(
        f"Filters of {data['layer']} (receptive field "
        f"{'×'.join(map(str, data['receptive_field']))}), {data['drawn']:,} of "
        f"{data['filters_total']:,}, on {data['n']:,} pictures; effects on logits where it fires",
        "filter", "speaks for", "against", "active", "best line R²", "random", "line reaches",
        "face needed",
    )  # fmt: skip
    for one in data["filters"]:
        effects = {e["class"]: e["effect"]["value"] for e in one["classes"]}
        table.row(
            str(one["number"]) + (f" dead: {one['dead']}" if one["dead"] else ""),
            _names(one["speaks_for"], effects),
            _names(one["speaks_against"], effects),
            f"{100 * one['sparsity']['positions']:.0f} %",
            _decimal(max((v for v in (one["gabor"], one["line"]) if v is not None), default=None)),
            _decimal(one["null"]),
            _share(one["line_response"]),
            _share(one["needed"]["picture"]),
        )
    console.show(table)
    console.show("")
    for finding in report.findings:
        console.show(f"  {say(finding, language)}")


def _names(names: list[str], effects: dict[str, float]) -> str:
    shown = (
        f"{name} {effects[name]:+.{2 if abs(effects[name]) >= 0.005 else 4}f}"
        for name in names[:_SHOWN]
    )
    return ", ".join(shown).replace("-", "\N{MINUS SIGN}") or "–"


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
