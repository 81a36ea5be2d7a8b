"""``mien compare``."""

from typing import Annotated

import typer

from mien.app import options as opt

_HELP = """Test whether one of two models is better on the same pictures (exact McNemar).

A and B are run folders or predictions.parquet files, evaluated on the same split.

\b
Examples:
  mien compare runs/cnn4-1 runs/cnn4-2
  mien compare a/predictions.parquet b/predictions.parquet --json
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("compare", help=_HELP)(run)


def run(
    a: Annotated[str, typer.Argument(metavar="A", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", show_default=False)],
    json_out: opt.Json = False,
) -> None:
    """Compare and show."""
    from mien.app import console

    with console.needs_extra("compare"):
        from mien.jobs.compare import compare
        from mien.words import p_value, percent, points, say

    comparison = compare(a, b)
    if json_out:
        console.show_json(comparison.to_json())
        return
    table = console.PlainTable(
        "Accuracy on the same images; 95 % intervals",
        "images", "number", a, b, "difference", "McNemar",
    )  # fmt: skip
    parts = [("whole split", comparison.whole)]
    if comparison.without_copies not in (None, comparison.whole):
        assert comparison.without_copies is not None
        parts.append(("without a copy in training", comparison.without_copies))
    for name, paired in parts:
        table.row(
            name,
            f"{paired.n:,}",
            percent(paired.accuracy_a),
            percent(paired.accuracy_b),
            points(paired.difference),
            p_value(paired.p),
        )
    console.show(table)
    console.show(say(parts[-1][1].verdict(a, b)))
