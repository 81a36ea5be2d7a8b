"""``mien export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.app import options as opt
from mien.errors import OptionError

if TYPE_CHECKING:
    from mien.jobs.export import ExportResult

_HELP = """Write a model as one ONNX file that needs nothing around it.

Pixels (uint8) go in, calibrated probabilities come out; preprocessing, temperature, the average
with the mirror image where the model was calibrated with it, and the not-a-face score lie in the
graph, the model card in its metadata. The file is compared with torch before it is written.

--int8 takes a quarter of the space and is two to three times as fast; its ranges come from the
training pictures of --data (else from drawn faces), its cost in accuracy from the validation split.

\b
Examples:
  mien export runs/cnn4-1
  mien export runs/cnn4-1 --out small.onnx --int8 --data fer2013.zip
  mien export default --int8 --json
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("export", help=_HELP)(run)


def run(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A run, a .safetensors, or a name of 'mien models'.",
            show_default=False,
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="The format: onnx.")] = "onnx",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file; by default beside the model.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="In eight bits.")] = False,
    data: Annotated[
        str, typer.Option("--data", metavar="DATA", help="Compare on it, not on drawn faces.")
    ] = "",
    json_out: opt.Json = False,
) -> None:
    """Export and show how far it agrees."""
    from mien.app import console

    if to != "onnx":
        raise OptionError(f"--to {to}: there is onnx")
    with console.needs_extra("export"):
        from mien.jobs.export import export
    with console.progress_bars() as progress:
        result = export(model, out, int8=int8, source=data, progress=progress)
    for note in result.notes:
        console.say(note)
    if json_out:
        console.show_json(result.to_json())
    else:
        _show(result)


def _show(result: "ExportResult") -> None:
    from mien.app import console
    from mien.words import p_value, percent, points

    parity, cost = result.parity, result.cost
    of = "drawn faces" if parity.drawn else "validation images"
    table = console.PlainTable(f"Parity with torch on {parity.images:,} {of}", "what", "found")
    table.row("greatest difference of a probability", f"{parity.worst:.1e}")
    table.row("mean difference", f"{parity.mean:.1e}")
    table.row("equal answers", f"{100 * parity.same:.2f} %")
    if parity.novelty is not None:
        table.row("greatest difference of novelty, in its deviations", f"{parity.novelty:.1e}")
    console.show(table)
    if cost is not None:
        console.show(
            f"accuracy {percent(cost.accuracy_a)} in torch, {percent(cost.accuracy_b)} in this "
            f"file: {points(cost.difference)} lost ({p_value(cost.p)})"
        )
    views = "averaged with the mirror image" if result.confidence.flip else "of one view"
    console.show(
        f"\n{result.out}: {result.form}, {result.size / 1e6:.1f} MB; answers {views}, "
        f"temperature {result.confidence.temperature:.3f}"
    )
