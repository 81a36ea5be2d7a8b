"""``mien architecture``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.app import options as opt

if TYPE_CHECKING:
    from mien.jobs.architecture import Architecture

_HELP = """Show a network layer by layer: shapes, parameters, multiply-accumulates, receptive field.

MODEL is a run folder, a .safetensors file, or FILE.py:FACTORY, where FACTORY is a function (or
class) that gives an nn.Module; that file's code is run. Receptive fields behind branches are the
largest over all paths. MACs leave biases, normalisation and activations out.

\b
Examples:
  mien architecture runs/cnn4-1
  mien architecture runs/cnn4-1 --out figures
  mien architecture nets.py:build --input-shape 3,64,64 --json
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("architecture", help=_HELP)(run)


def run(
    model: opt.Model,
    input_shape: opt.InputShape = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for architecture.svg, .png and .json."),
    ] = None,
    json_out: opt.Json = False,
) -> None:
    """Walk, show, draw."""
    from mien.app import console

    with console.needs_extra("architecture"):
        from mien.app.figures.architecture import draw_architecture
        from mien.jobs.architecture import architecture
    found = architecture(model, input_shape=input_shape)
    for note in found.notes:
        console.say(note)
    if json_out:
        console.show_json(found.to_json())
    else:
        _show(found)
    if out is not None:
        from mien.errors import RunError
        from mien.runs import write_json

        try:
            out.mkdir(parents=True, exist_ok=True)
            write_json(out / "architecture.json", found.to_json())
            draw_architecture(found.walk, out / "architecture", title=found.name)
        except OSError as error:
            raise RunError(f"{out}: cannot be written ({error.strerror})") from error
        if not json_out:
            console.show(f"\nDrawn in {out}")


def _show(found: "Architecture") -> None:
    from mien.app import console
    from mien.jobs.architecture import centre_text, field_text, jump_text
    from mien.theory.formulas import by

    table = console.PlainTable(found.name, "layer", "kind", "input", "output", "parameters", "MACs",
                          "field", "jump", "centre", "output KiB")  # fmt: skip
    for layer in found.walk.layers:
        table.row(
            layer.name,
            layer.kind,
            by(layer.input[1:]),
            by(layer.output[1:]),
            "shared" if layer.shared else f"{layer.parameters:,}",
            f"{layer.macs:,}",
            field_text(layer),
            jump_text(layer),
            centre_text(layer),
            f"{layer.activation / 1024:,.1f}",
        )
    console.show(table)
    walked = found.walk
    console.show(
        f"\n{walked.parameters:,} parameters, {walked.macs:,} multiply-accumulates and "
        f"{walked.activation / 2**20:,.2f} MiB of layer outputs for one picture "
        f"({by(walked.input[1:])})"
    )
