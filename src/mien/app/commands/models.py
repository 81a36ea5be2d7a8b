"""``mien models``."""

import typer

from mien.app import options as opt

_HELP = """List the models that mien brings along; each is used by its name.

\b
Examples:
  mien models
  mien models --json
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("models", help=_HELP)(run)


def run(json_out: opt.Json = False) -> None:
    """Read the index and show it."""
    from mien.app import console
    from mien.models import bundled
    from mien.types import Interval
    from mien.words import percent

    entries = [bundled.entry(name) for name in bundled.names()]
    default = bundled.entry().name
    if json_out:
        console.show_json(
            {"default": default, "models": {one.name: dict(one.facts) for one in entries}}
        )
        return
    table = console.PlainTable(
        "Models of this mien; 95 % intervals",
        "name", "parameters", "MB", "accuracy", "images", "calibration error", "ms a face",
        "in batches",
    )  # fmt: skip
    for one in entries:
        facts = one.facts
        table.row(
            f"{one.name} (default)" if one.name == default else one.name,
            f"{facts['parameters']:,}",
            f"{facts['bytes'] / 1e6:.1f}",
            percent(Interval.from_json(facts["accuracy"])),
            f"{facts['images']:,} of {facts['data']}",
            percent(Interval.from_json(facts["ece"])),
            f"{facts['speed']['single_ms']:.1f}",
            f"{facts['speed']['batch_ms']:.2f}",
        )
    console.show(table)
    for licence in sorted({str(one.facts["licence"]) for one in entries}):
        console.show(f"\nLicence: {licence} ('mien card {default}' says more)")
    console.show(
        "Accuracy is on validation images that have no copy in training; times are by onnxruntime "
        "where it was released."
    )
