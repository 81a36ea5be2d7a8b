"""``mien explain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.app import options as opt
from mien.errors import OptionError
from mien.explain import DEFAULT_METHOD

if TYPE_CHECKING:
    from mien.jobs.explain_pictures import Explained
    from mien.jobs.saliency import Saliency
    from mien.jobs.subject import ExplainOptions

_HELP = """Show which pixels speak for and against a class: for pictures, or over a whole data set.

MODEL is a run, a .safetensors file or FILE.py:FACTORY (with --input-shape). Pictures are whole
face crops; each gets an overlay, and maps.npz holds the arrays. A data set gives mean maps and
examples by class (saliency.npz and .json) and a gallery. Figures show single faces only with
--include-images, or where mien drew them. Ctrl-C keeps what is done; the same command goes on.
Exits 1 where a picture was left out.

Methods: gradient, gradient_x_input, smoothgrad (--samples), integrated_gradients (--steps),
gradcam and layercam (--layer), occlusion (--patch, --stride; needs no gradient).

\b
Examples:
  mien explain runs/cnn4-1 face.png other.jpg --method layercam --layer features.2.convolution
  mien explain runs/cnn4-1 face.png --target fear --against sad
  mien explain runs/cnn4-1 fer2013.zip --split validation --method occlusion
  mien explain nets.py:build synthetic:500 --input-shape 1,48,48
"""
_DATA_ONLY = {"split", "limit", "gallery", "include", "format", "map", "classes", "skip_bad"}


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("explain", help=_HELP)(run)


def run(
    context: typer.Context,
    model: opt.Model,
    what: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE…|DATA", help="Pictures, or one data set.",
                       show_default=False),
    ],
    method: opt.Method = DEFAULT_METHOD,
    target: Annotated[
        str, typer.Option("--target", metavar="CLASS", help="Instead of the predicted class.")
    ] = "",
    against: Annotated[
        str, typer.Option("--against", metavar="CLASS", help="Why the target, not this one?")
    ] = "",
    layer: Annotated[
        str, typer.Option("--layer", help="Its name; the last convolution by default.")
    ] = "",
    samples: Annotated[int, typer.Option("--samples", min=1, help="Noisy copies.")] = 16,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of the integration.")] = 16,
    patch: Annotated[int, typer.Option("--patch", min=1, help="Side of the square, pixels.")] = 12,
    stride: Annotated[
        int, typer.Option("--stride", min=1, help="Between squares; half a patch by default.")
    ] = 6,
    baseline: Annotated[
        int, typer.Option("--baseline", min=-1, max=255,
                          help="Grey to start from or cover with; -1: each picture's mean.")
    ] = -1,
    split: opt.Split = "validation",
    limit: opt.Limit = 0,
    gallery: Annotated[
        bool, typer.Option("--per-class/--no-per-class", help="Draw the gallery.")
    ] = True,
    include: Annotated[
        bool, typer.Option("--include-images", help="Show single faces in the gallery.")
    ] = False,
    seed: opt.Seed = 0,
    input_shape: opt.InputShape = "",
    out: opt.Out = None,
    format: opt.Format = "",
    map: opt.Map = None,
    classes: opt.Classes = "seven",
    skip_bad: opt.SkipBad = False,
    device: opt.Device = "auto",
    json_out: opt.Json = False,
) -> None:  # fmt: skip
    """Explain, write, draw, show."""
    from mien.app import console

    with console.needs_extra("explain"):
        from mien.explain.options import Options
        from mien.jobs.prepare import DataOptions
        from mien.jobs.subject import ExplainOptions

    options = ExplainOptions(
        method=method,
        target=target,
        against=against,
        options=Options(
            layer=layer, samples=samples, steps=steps, patch=patch,
            stride=stride if _given(context, "stride") else max(1, patch // 2),
            baseline=None if baseline < 0 else baseline, seed=seed,
        ),
        split=split,
        limit=limit,
        data=DataOptions(format=format, map=tuple(map or ()), classes=classes, skip_bad=skip_bad),
        device=device,
        input_shape=input_shape,
    )  # fmt: skip
    pictures = _are_pictures(what)
    _refuse(context, method, pictures=pictures, limited=limit > 0)
    if pictures:
        _pictures(model, what, options, out, json_out)
    else:
        _data(model, what[0], options, out, gallery=gallery, include=include, json_out=json_out)


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _are_pictures(what: list[str]) -> bool:
    """Whether pictures were named, by their endings; else it is one data set.

    Raises:
        OptionError: both, or several data sets.
    """
    from mien.data.pictures import is_picture

    pictures = [is_picture(Path(one).name) and not Path(one).is_dir() for one in what]
    if all(pictures):
        return True
    if len(what) > 1:
        data = what[pictures.index(False)]
        raise OptionError(f"{data}: no picture; name pictures, or one data set alone")
    return False


def _refuse(context: typer.Context, method: str, *, pictures: bool, limited: bool) -> None:
    """Refuse options that would have no effect."""
    from mien.explain.attribution import METHODS

    every = {parameter.name or "" for parameter in context.command.params}
    if pictures:
        opt.refuse_given(context, every - _DATA_ONLY, "is for a data set, not for pictures")
    heeds, settings = METHODS[method].heeds, {"layer", "samples", "steps", "patch", "stride"}
    unused = (settings | {"baseline"}) - set(heeds)
    opt.refuse_given(context, every - unused, f"has no effect on --method {method}")
    if "seed" not in heeds and not limited:
        opt.refuse_given(
            context, every - {"seed"}, f"nothing is drawn by --method {method} without --limit"
        )


def _pictures(
    model: str, what: list[str], options: "ExplainOptions", out: Path | None, json_out: bool
) -> None:
    from mien.app import console

    with console.needs_extra("explain"):
        from mien.app.figures.saliency import draw_pictures
        from mien.jobs.explain_pictures import explain_images

    with console.progress_bars() as progress:
        found = explain_images(model, what, options, out=out, progress=progress)
    draw_pictures(found, found.folder / "explained")
    for note in found.notes:
        console.say(note)
    for problem in found.problems:
        console.say(f"left out: {problem}")
    if json_out:
        console.show_json(found.report)
    else:
        _show_pictures(found)
        console.show(f"\nOverlays, maps.npz and explained.png in {found.folder}")
    if found.problems:
        raise typer.Exit(1)


def _data(
    model: str,
    source: str,
    options: "ExplainOptions",
    out: Path | None,
    *,
    gallery: bool,
    include: bool,
    json_out: bool,
) -> None:
    from mien.app import console

    with console.needs_extra("explain"):
        from mien.app.figures.saliency import draw_gallery
        from mien.jobs.explain import explain_data

    with console.progress_bars() as progress:
        found = explain_data(model, source, options, out=out, progress=progress)
    for note in found.notes:
        console.say(note)
    if gallery:
        examples = include or found.drawn
        if not examples:
            console.say("the gallery shows means, no single person; --include-images shows faces")
        draw_gallery(found, found.folder / "saliency", examples=examples)
    if json_out:
        console.show_json(found.report)
    else:
        _show_data(found)
        drawn = ", the gallery in saliency.svg and .png" if gallery else ""
        console.show(f"\nMaps in {found.folder}/saliency.npz{drawn}")


def _show_pictures(found: "Explained") -> None:
    from mien.app import console

    report = found.report
    table = console.PlainTable(_title(report), "picture", "predicted", "probability", "map of")
    for one in report["pictures"]:
        against = f" − {report['against']}" if report["against"] else ""
        table.row(
            Path(one["file"]).name,
            report["classes"][one["predicted"]],
            f"{one['probabilities'][one['predicted']]:.1%}",
            report["classes"][one["target"]] + against,
        )
    console.show(table)


def _show_data(found: "Saliency") -> None:
    from mien.app import console

    report = found.report
    columns = ("class", "right", "wrong", "surest right", "surest wrong")
    table = console.PlainTable(f"{_title(report)}, {report['n']:,} images", *columns)
    for k, name in enumerate(report["classes"]):
        cells = []
        for right in (True, False):
            one = [e for e in report["examples"] if e["label"] == k and e["right"] == right]
            if one:
                answer, sure = one[0]["predicted"], max(one[0]["probabilities"])
                taken = "" if right else f"{report['classes'][answer]} "
                cells.append(f"{taken}{sure:.1%} ({one[0]['id']})")
            else:
                cells.append("none")
        counts = [f"{report['counts'][kind][k]:,}" for kind in ("right", "wrong")]
        table.row(name, *counts, *cells)
    console.show(table)


def _title(report: dict[str, Any]) -> str:
    layer = f" at {report['layer']}" if report["layer"] else ""
    return f"{report['title']}{layer}, {report['model']}"
