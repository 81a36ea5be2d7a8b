"""``mien evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from mien.app import options as opt
from mien.errors import OptionError

_HELP = """Score a model on a split, or several and their average; or show saved predictions again.

MODEL is a run folder or a .safetensors file. Without DATA the numbers are computed again from
the run's predictions.parquet, and the model does not run. Of several models the probabilities are
averaged; each is shown alone too, with what the average gains over it. They go to --out, or else
to the folder ensemble-evaluation.

--calibrate fits a temperature and the thresholds for answering "unsure" on the validation
predictions and seals them into the model file ('mien train' does so at its end).

\b
Examples:
  mien evaluate runs/cnn4-1 fer2013.zip
  mien evaluate runs/cnn4-1 fer2013.zip --split test --no-flip --out test-scores
  mien evaluate runs/cnn4-1 --calibrate
  mien evaluate runs/cnn4-1 --json
  mien evaluate runs/cnn4-1 runs/residual-1 fer2013.zip --out both
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("evaluate", help=_HELP)(run)


def run(
    context: typer.Context,
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... [DATA]", help="DATA as for 'mien train'.", show_default=False
        ),
    ],
    split: opt.Split = "validation",
    out: opt.Out = None,
    flip: opt.Flip = True,
    crops: Annotated[
        bool, typer.Option("--crops", help="Average over five parts: five times the work.")
    ] = False,
    zooms: Annotated[
        bool, typer.Option("--zooms", help="Average over three zooms too: three times the work.")
    ] = False,
    format: opt.Format = "",
    map: opt.Map = None,
    skip_bad: opt.SkipBad = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "fp32",
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Seal temperature and thresholds into the model.")
    ] = False,
    json_out: opt.Json = False,
) -> None:
    """Evaluate or recompute, write figures, show."""
    from mien.app import console

    with console.needs_extra("evaluate"):
        from mien.app.ensemble import show_together
        from mien.app.evaluation import as_json, show_evaluation, write_figures
        from mien.jobs.ensemble import average_saved, evaluate_together
        from mien.jobs.recompute import recompute

    if zooms and crops:
        raise OptionError("--zooms and --crops: choose one")
    models, data = _split(places)
    model = models[0]
    if calibrate and len(models) > 1:
        raise OptionError("--calibrate: seals into one model; give one at a time")
    if calibrate and not Path(model).exists():
        raise OptionError(f"--calibrate: {model} is no file or run folder of yours to seal into")
    if data is None:
        kept = {"places", "out", "calibrate", "json_out"}
        opt.refuse_given(context, kept, f"needs DATA: mien evaluate {model} DATA")
        if len(models) > 1:
            show_together(average_saved(models, out=out), json=json_out)
            return
        result = recompute(model)
    else:
        with console.needs_extra("evaluate"):
            from mien.jobs.evaluate import EvaluateOptions, evaluate
            from mien.jobs.prepare import DataOptions
        options = EvaluateOptions(
            split=split,
            flip=flip,
            zooms=zooms,
            crops=crops,
            data=DataOptions(format=format, map=tuple(map or ()), skip_bad=skip_bad),
            accelerator=device,
            precision=precision,
        )
        if len(models) > 1:
            with console.progress_bars() as progress:
                found = evaluate_together(models, data, options, out=out, progress=progress)
            show_together(found, json=json_out)
            return
        with console.progress_bars() as progress:
            result = evaluate(model, data, options, out=out, progress=progress)
    for note in result.notes:
        console.say(note)
    if calibrate:
        from mien.jobs.calibrate import calibrate as seal

        sealed = seal(model, predictions=result.folder / "predictions.parquet")
        console.say(f"{sealed.model}: temperature {sealed.confidence.temperature:.3f} and "
                    f"{len(sealed.confidence.thresholds)} thresholds are in it now")  # fmt: skip
    folder = (out or result.folder or Path()) / "figures"
    write_figures(result, folder)
    if json_out:
        console.show_json(as_json(result))
    else:
        show_evaluation(result)
        console.show(f"\nPredictions in {result.folder}, figures in {folder}")


def _split(places: list[str]) -> tuple[list[str], str | None]:
    """``MODEL... [DATA]`` into models and data: the last is data, unless it is a model or alone."""
    *first, last = places
    return (first, last) if first and not _is_model(last) else (places, None)


def _is_model(place: str) -> bool:
    if place.endswith((".safetensors", ".parquet")):
        return True
    marks = ("run.json", "model.safetensors", "predictions.parquet")
    return any((Path(place) / mark).is_file() for mark in marks)
