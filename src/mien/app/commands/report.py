"""``mien report``."""

from pathlib import Path
from typing import Annotated

import typer

from mien.app import options as opt
from mien.errors import OptionError

_HELP = """Write a run's report: one offline HTML page of what the other verbs found.

It reads the run folder and runs no model; a section whose analysis is missing names the command
that makes it, and --analyse makes them all. Several runs are compared with the first. Pictures of
people are embedded only with --include-images.

\b
Examples:
  mien report runs/cnn4-1
  mien report runs/cnn4-1 --lang zh-Hant --pdf
  mien report runs/cnn4-1 --analyse --data fer2013.zip --include-images
  mien report runs/cnn4-1 runs/cnn4-2 --out compared.html
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("report", help=_HELP)(run)


def run(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", show_default=False)],
    language: opt.Language = "en",
    data: Annotated[
        str, typer.Option("--data", metavar="DATA", help="The run's pictures, if they have moved.")
    ] = "",
    include_images: Annotated[
        bool, typer.Option("--include-images", help="Embed pictures of people.")
    ] = False,
    analyse: Annotated[
        bool, typer.Option("--analyse", help="Run the analyses first, those that are missing.")
    ] = False,
    budget: Annotated[
        float, typer.Option("--budget", min=1, help="Seconds for --analyse.")
    ] = 180.0,
    out: Annotated[Path | None, typer.Option("--out", "-o", show_default="RUN/report.html")] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also as PDF, through an installed Chromium.")
    ] = False,
    json_out: opt.Json = False,
) -> None:
    """Gather, render, say where it is."""
    from mien.app import console
    from mien.words import catalogue

    catalogue(language)
    if len(runs) > 1 and (analyse or include_images):
        raise OptionError("--analyse and --include-images: name one run")
    if out is not None and out.suffix.lower() == ".pdf":
        raise OptionError(
            f"--out {out}: names the page, so end it in .html; the PDF goes beside it"
        )
    with console.needs_extra("report"):
        from mien.app.report.render import write_pdf
        from mien.app.reporting import write_comparison, write_report

    if len(runs) > 1:
        page, notes = write_comparison(runs, out or runs[0] / "comparison.html", language)
    else:
        page, notes = write_report(
            runs[0], out=out, language=language, data=data, include_images=include_images,
            budget=budget if analyse else 0,
        )  # fmt: skip
    for note in notes:
        console.say(note)
    written = [page]
    if pdf:
        written.append(page.with_suffix(".pdf"))
        write_pdf(*written)
    if json_out:
        console.show_json({"written": [str(path) for path in written]})
    else:
        console.show(f"Report in {' and '.join(map(str, written))}")
