"""``mien score``."""

from typing import Annotated

import typer

from mien.app import options as opt
from mien.errors import OptionError

_HELP = """Score very many pictures into a table, on this machine or on many.

SOURCE and --out are folders, or URIs of folders in an object store (s3://, gs://, hdfs://, and what
fsspec knows). The result is part-*.parquet, a row a face: path, box, answer, label, confidence and
the probability of each class; a picture without a face and one that cannot be read have a row as
well, with 'no face' or the problem. Clips and other files are left out.

Whatever is killed: the same command goes on, and each picture is in the table exactly once. Files
that are new or have changed are scored, with the others of their part; the rest is kept. Both
engines write the same bytes.

\b
Examples:
  mien score pictures/ --out scores/
  mien score pictures/ --out scores/ --engine ray --workers 8
  mien score s3://faces/2026 --out s3://results/2026 --engine ray --workers 64 --address auto
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("score", help=_HELP)(run)


def run(
    source: Annotated[str, typer.Argument(metavar="SOURCE", show_default=False)],
    out: Annotated[str, typer.Option("--out", "-o", help="Where the parts go.")],
    engine: Annotated[
        str, typer.Option("--engine", help="local: one process. ray: many machines.")
    ] = "local",
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Ray: models at work; 0: as many as cores.")
    ] = 0,
    address: Annotated[
        str, typer.Option("--address", help="Ray: the cluster; else RAY_ADDRESS or this machine.")
    ] = "",
    model: Annotated[
        str, typer.Option("--model", "-m", help="See 'mien models'; a file, or a run.")
    ] = "default",
    detector: opt.Detector = "haar",
    detector_model: Annotated[
        str, typer.Option("--detector-model", help="YuNet's .onnx, from OpenCV's zoo.")
    ] = "",
    detector_size: opt.DetectorSize = None,
    backend: opt.Backend = "auto",
    unsure_error: opt.UnsureError = 0.2,
    keep_others: opt.KeepOthers = False,
    views: opt.Views = None,
    part: Annotated[
        int, typer.Option("--part", min=1, help="Files in a part, on the average.")
    ] = 512,
    json_out: opt.Json = False,
) -> None:  # fmt: skip
    """Score, show."""
    from mien.app import console

    if engine not in ("local", "ray"):
        raise OptionError(f"--engine {engine}: local or ray")
    if engine == "local" and (workers or address):
        raise OptionError("--workers and --address go with --engine ray")
    with console.needs_extra("score"):
        from mien.jobs.score import Engine, local, score
        from mien.jobs.score_part import ScoreOptions

        run_parts: Engine = local
        if engine == "ray":
            from mien.jobs.score_ray import with_ray
            from mien.system import cores

            run_parts = with_ray(workers or cores(), address)
    options = ScoreOptions(
        source=source, out=out, model=model, detector=detector, detector_model=detector_model,
        detector_size=detector_size, backend=backend, unsure_error=unsure_error,
        keep_others=keep_others, views=views, part=part,
    )  # fmt: skip
    try:
        with console.progress_bars() as progress:
            found = score(options, engine=run_parts, progress=progress)
    except KeyboardInterrupt:
        console.say(f"finished parts are kept in {out}; the same command goes on")
        raise
    if json_out:
        console.show_json(found.to_json())
    else:
        before = f", {found.kept:,} of them before" if found.kept else ""
        console.show(f"{found.pictures:,} pictures scored{before}; now {found.faces:,} faces in "
                     f"{found.pictures - found.kept:,} pictures")  # fmt: skip
        if found.others:
            console.show(f"{found.others:,} files are no pictures and were left out")
        console.show(f"written: {found.parts:,} parts in {found.out}")
    if found.problems:
        console.say(f"{found.problems:,} pictures could not be read; see the column 'problem'")
        raise typer.Exit(1)
