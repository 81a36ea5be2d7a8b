"""``mien card``."""

from typing import Annotated

import typer

from mien.app import options as opt

_HELP = """Print a model's card: data, protocol, results, known confusions, limits, licence, uses.

MODEL is a name of 'mien models', a run folder, a .safetensors or an .onnx file.

\b
Examples:
  mien card default
  mien card runs/cnn4-1 --lang zh-Hant
  mien card model.onnx --json
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("card", help=_HELP)(run)


def run(
    model: Annotated[str, typer.Argument(metavar="MODEL")] = "default",
    language: opt.Language = "en",
    json_out: opt.Json = False,
) -> None:
    """Read it and show it."""
    from mien.app import console
    from mien.jobs.model_card import find_card, sections

    name, meta = find_card(model)
    if json_out:
        console.show_json(meta)
        return
    for number, section in enumerate(sections(name, meta, language)):
        console.show(f"\n{section.title}" if number else section.title)
        for sentence in section.sentences:
            console.show(f"  {sentence}")
        for told in section.tables:
            table = console.PlainTable(told.title, *told.columns)
            for row in told.rows:
                table.row(*row)
            console.show(table)
