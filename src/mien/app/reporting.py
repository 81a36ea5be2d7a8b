"""Writes a run's report, after the analyses where these are wanted; for several verbs."""

from pathlib import Path

from mien.app import console
from mien.app.report.gather import gather
from mien.app.report.render import report
from mien.types import ImageSet


def write_report(
    run: Path,
    *,
    out: Path | None = None,
    language: str = "en",
    data: str = "",
    include_images: bool = False,
    images: ImageSet | None = None,
    budget: float = 0,
) -> tuple[Path, list[str]]:
    """Write ``run``'s page and give its path, and what a person should hear.

    images: the run's pictures where they are in memory. budget: seconds for the analyses that
    are missing; 0 for none.
    """
    notes: list[str] = []
    with console.progress_bars() as progress:
        if budget:
            from mien.jobs.analyse import analyse

            notes += analyse(run, images, data=data, budget_seconds=budget, progress=progress).notes
        gathered = gather(run, data=data, include_images=include_images, images=images,
                          progress=progress)  # fmt: skip
        page, said = report(gathered, out or run / "report.html", language=language)
    return page, [*notes, *said]


def write_comparison(runs: list[Path], out: Path, language: str) -> tuple[Path, list[str]]:
    """Write the page that compares ``runs``, each with the first."""
    from mien.app.report.compare import compare_page

    return compare_page(runs, out, language=language)
