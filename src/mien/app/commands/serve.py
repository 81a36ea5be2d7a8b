"""``mien serve``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.app import options as opt
from mien.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.app.server.settings import Report, State
    from mien.jobs.foreign import Opened
    from mien.jobs.serving import Service
    from mien.predict.pipeline import Predictor

_HELP = """Serve a model: a page for people at /, an API for programs, described at /docs.

Only this machine can reach it unless --host says otherwise. Pictures stay in memory and are
forgotten with the answer; nothing of them, nor a file's name, is written, logged or counted. With a
token (--token-file, or the environment variable MIEN_TOKEN) callers must send it. Ctrl-C ends it;
SIGTERM turns readiness off, finishes what was taken on, then ends.

\b
Examples:
  mien serve
  mien serve --model runs/cnn4-1 --report runs/cnn4-1 --port 9000
  mien serve --host 0.0.0.0 --allow-host faces.example.org --token-file token.txt
  curl --data-binary @face.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8000/v1/predict
"""
TOKEN = "MIEN_TOKEN"  # noqa: S105  a variable's name


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("serve", help=_HELP)(run)


def run(
    model: Annotated[
        str, typer.Option("--model", help="A bundled name, .onnx, .safetensors or a run.")
    ] = "default",
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Holds the token that callers must send.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name under which it may be called."),
    ] = None,
    detector: opt.Detector = "haar",
    detector_model: opt.DetectorModel = None,
    detector_size: opt.DetectorSize = None,
    backend: opt.Backend = "auto",
    views: Annotated[
        int,
        typer.Option("--views", metavar="1|2|10", help="Looks at each face; 'predict' takes 10."),
    ] = 1,
    threads: opt.Threads = 0,
    max_body: Annotated[
        float, typer.Option("--max-body", min=0.01, max=1024, help="MiB of one request.")
    ] = 10.0,
    queue: Annotated[
        int, typer.Option("--queue", min=1, max=10_000, help="Requests inside; more get 503.")
    ] = 64,
    wait: Annotated[
        float,
        typer.Option("--wait", min=0.01, help="Seconds to wait at most; longer queues get 503."),
    ] = 0.25,
    drain: Annotated[
        float, typer.Option("--drain", min=0, help="Seconds between SIGTERM and closing the door.")
    ] = 0.5,
    report: Annotated[
        list[Path] | None,
        typer.Option("--report", metavar="RUN", help="Show a run's report in the page."),
    ] = None,
) -> None:
    """Open the model, listen, say where, serve."""
    from mien.app import console

    with console.needs_extra("serve"):
        from mien.app.server.running import bind, serve
        from mien.app.server.settings import MIB, Settings
        from mien.jobs.serving import open_for_many, sleep_between
        from mien.predict.pipeline import load
        from mien.system import cores

    settings = Settings(
        token=_token(token_file), names=tuple(name.lower() for name in allow_host or ()),
        max_body=int(max_body * MIB), queue=queue, wait=wait, drain_seconds=drain,
        reports=tuple(_report(one) for one in report or ()),
    )  # fmt: skip
    # Closed on the way out, where no model could be opened too.
    with bind(host, port) as listening:
        sleep_between()
        predictor, batches = open_for_many(
            lambda count: load(model, detector=detector, detector_model=detector_model,
                               detector_size=detector_size, backend=backend, threads=count,
                               views=views),
            threads or cores(),
        )  # fmt: skip
        if not settings.token and not host.startswith("127.") and host not in ("localhost", "::1"):
            console.say(f"anybody who can reach {host} can use it; --token-file asks for a token")

        def ready(address: str) -> None:
            console.show(f"mien serves '{Path(model).name}' at {address}  (Ctrl-C ends)")

        serve(settings, listening, make=_maker(predictor, batches, model), ready=ready)


def _maker(predictor: "Predictor", batches: int, model: str) -> "Callable[[State], Service]":
    def make(state: "State") -> "Service":
        from mien.jobs.serving import Service

        return Service(predictor, name=Path(model).stem if model else "", batches=batches,
                       told=state.metrics.batch, network=_network(model))  # fmt: skip

    return make


def _network(model: str) -> "Callable[[], Opened] | None":
    """Opens the torch network behind the model; None where there is none, or no torch."""
    import importlib.util

    from mien.models import bundled

    path = Path(model)
    if bundled.is_name(model):
        path = bundled.entry(model).weights
    weights = path / "model.safetensors" if path.is_dir() else path
    if importlib.util.find_spec("torch") is None or weights.suffix != ".safetensors":
        return None

    def opened() -> "Opened":
        from mien.jobs.foreign import open_network

        return open_network(str(weights))

    return opened


def _token(file: Path | None) -> str:
    """The token from a file or the environment; never from the command line, which others see.

    Raises:
        OptionError: the file is empty or cannot be read.
    """
    if file is None:
        return os.environ.get(TOKEN, "")
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(
            f"--token-file {file}: cannot be read; write the token into it"
        ) from error
    if not token:
        raise OptionError(f"--token-file {file}: empty; write the token into it")
    return token


def _report(run: Path) -> "Report":
    """A run's report page.

    Raises:
        OptionError: it has none.
    """
    from mien.app.server.settings import Report

    page = run / "report.html" if run.is_dir() else run
    if page.suffix != ".html" or not page.is_file():
        raise OptionError(f"--report {run}: has no report.html; make it with 'mien report {run}'")
    return Report(name=run.name if run.is_dir() else run.stem, page=page.read_bytes())
