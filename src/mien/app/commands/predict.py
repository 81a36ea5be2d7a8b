"""``mien predict``."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.app import options as opt
from mien.errors import OptionError, printable

if TYPE_CHECKING:
    from mien.jobs.predict import Draw, OnClip, PredictOptions
    from mien.predict.pipeline import Predictor

_HELP = """Find the faces in pictures, folders and clips, and say which expression each shows.

PATH is a picture, a clip, a folder (with all below it) or a pattern in quotes. A folder is read
through whatever is in it: files that cannot be used are listed, and it exits 1. With --out, --csv,
--parquet or --annotate results are kept as they come (scored.jsonl beside them): after Ctrl-C or a
kill the same command goes on, and files that did not change are not scored again.

'unsure' means that the model's answers, as sure as this one, would be wrong more often than
--unsure-error. In a clip a face keeps its id, and its answer is a running mean (--smooth). In a
picture it is the mean of looks at five places around the face and their mirror images; --views 1 is
a single look, and what --detector none takes.

\b
Examples:
  mien predict photo.jpg
  mien predict holiday/ --csv faces.csv --annotate marked/
  mien predict "2024/**/*.jpg" --model runs/cnn4-1 --parquet faces.parquet
  mien predict class.jpg --detector-size 1600
  mien predict talk.mp4 --out talk/ --annotate talk/
  mien predict crops/ --detector none --json
  mien predict --camera 0
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("predict", help=_HELP)(run)


def run(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH…", show_default=False)
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="See 'mien models'; a file, or a run.")
    ] = "default",
    detector: opt.Detector = "haar",
    detector_model: opt.DetectorModel = None,
    detector_size: opt.DetectorSize = None,
    backend: opt.Backend = "auto",
    unsure_error: opt.UnsureError = 0.2,
    keep_others: opt.KeepOthers = False,
    views: opt.Views = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for faces.csv and timelines of clips."),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="File to write, a row a face.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="The same as parquet.")] = None,
    annotate: Annotated[
        Path | None, typer.Option("--annotate", help="Folder for marked copies.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="In marked pictures, what each answer rests on.")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", min=0, help="Clips: seconds between searches.")
    ] = 0.4,
    classify: Annotated[
        int, typer.Option("--classify", min=1, help="Clips: classify on every N-th frame.")
    ] = 1,
    smooth: Annotated[
        float, typer.Option("--smooth", min=0, help="Clips: seconds of the running mean.")
    ] = 0.5,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Clips: search as in pictures; slower.")
    ] = False,
    clips: Annotated[
        str, typer.Option("--clips", help="Marked clips: mp4, or webm for browsers (slower).")
    ] = "mp4",
    camera: Annotated[
        int | None, typer.Option("--camera", min=0, help="Read a camera until Ctrl-C.")
    ] = None,
    language: opt.Language = "en",
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Threads that search; 0: as many as cores.")
    ] = 0,
    threads: opt.Threads = 0,
    json_out: opt.Json = False,
) -> None:  # fmt: skip
    """Read, write, show."""
    from mien.app import console
    from mien.predict.video import VideoOptions
    from mien.words import catalogue

    catalogue(language)
    if (camera is None) == (not paths):
        raise OptionError("name pictures, clips or folders, or a camera with --camera 0")
    places = {"--out": out, "--csv": csv, "--parquet": parquet, "--annotate": annotate}
    if camera is not None and any(places.values()):
        name = next(name for name, place in places.items() if place)
        raise OptionError(f"{name}: a camera's faces are shown and not kept; --json writes them")
    if clips not in ("mp4", "webm"):
        raise OptionError(f"--clips {clips}: mp4 or webm")
    if explain and annotate is None:
        raise OptionError("--explain: marked pictures show it; name their folder with --annotate")
    if parquet:
        from mien.predict.table import check_parquet

        check_parquet()
    with console.needs_extra("predict"):
        from mien.predict.pipeline import load

        predictor = load(model, detector=detector, detector_model=detector_model,
                         detector_size=detector_size, backend=backend,
                         threads=threads or None, unsure_error=unsure_error,
                         keep_others=keep_others, views=views)  # fmt: skip
    video = VideoOptions(every=every, classify=classify, smooth=smooth, thorough=thorough,
                         keep=keep_others)  # fmt: skip
    if camera is not None:
        from mien.app.live import show_camera

        show_camera(camera, predictor, video, language, json_out=json_out)
        return
    from mien.jobs.predict import PredictOptions

    options = PredictOptions(out=out, csv=csv, parquet=parquet, annotate=annotate,
                             clips=f".{clips}", workers=workers, video=video,
                             drawing=f"{language} explain" if explain else language)  # fmt: skip
    _files(paths or [], model, predictor, options, explain, language, json_out)


def _files(
    paths: list[str], model: str, predictor: "Predictor", options: "PredictOptions",
    explain: bool, language: str, json_out: bool,
) -> None:  # fmt: skip
    from mien.app import console
    from mien.app.predicted import Json, Table, report
    from mien.jobs.predict import predict
    from mien.predict.faces import finer

    draw = _draw(model, predictor, explain, language) if options.annotate else None
    timeline = _timeline(options, language)
    asked = partial(finer, predictor.detector)
    show = Json(kept=options.record is not None) if json_out else Table(language, asked)
    try:
        with console.progress_bars() as progress:
            done = predict(paths, predictor, options, draw=draw, tell=show.tell,
                           on_clip=timeline, progress=progress)  # fmt: skip
    except KeyboardInterrupt:
        if options.record:
            console.say(f"what is done is kept in {options.record}; the same command goes on")
        raise
    show.end()
    report(done, options, json_out)
    if done.skipped:
        raise typer.Exit(1)


def _draw(model: str, predictor: "Predictor", explain: bool, language: str) -> "Draw":
    from mien.app import console
    from mien.app.annotate import annotate, language_here

    if language_here(language) != language:
        console.say("no font with Chinese letters is installed; marked copies are in English")
    if not explain:
        return lambda picture, faces, seconds: annotate(
            picture, faces, seconds=seconds, language=language
        )
    with console.needs_extra("predict --explain"):
        from mien.jobs.explain_faces import FaceExplainer

        explainer = FaceExplainer(model, predictor)

    def drawn(picture: Any, faces: Any, seconds: float | None) -> Any:
        if seconds is not None or not faces:  # a map a face and frame would take hours
            return annotate(picture, faces, seconds=seconds, language=language)
        crops, maps = explainer.maps(picture, faces)
        return annotate(picture, faces, maps=maps, crops=crops, language=language)

    return drawn


def _timeline(options: "PredictOptions", language: str) -> "OnClip | None":
    """Draws the timeline of a clip where a folder is named and matplotlib is there."""
    folder = options.out or options.annotate
    if folder is None:
        return None
    from mien.app import console
    from mien.predict.batch import TIMELINE

    def draw(
        item: Any, entry: Mapping[str, Any], frames: Iterable[dict[str, Any]], new: bool
    ) -> None:
        stem = folder / f"{item.name}{TIMELINE}"
        if not new and Path(f"{stem}.png").exists():
            return
        frames = list(frames)
        if not frames:
            return
        try:
            from mien.app.figures.timeline import draw_timeline
        except ModuleNotFoundError:
            console.say("no timeline is drawn: it needs the extra 'train', for matplotlib")
            return
        clip, name = entry["clip"], printable(Path(item.path).name)
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
            draw_timeline(frames, stem, seconds=clip["seconds"], count=clip["frames"], name=name,
                          language=language)  # fmt: skip
        except OSError as error:  # the rest goes on; the next call tries once more
            console.say(f"{name}: no timeline could be written ({error.strerror})")

    return draw
