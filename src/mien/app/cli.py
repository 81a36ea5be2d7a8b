"""The command ``mien``: collects the verbs and turns errors into one line and an exit code.

Heavy imports happen inside the verbs, so that ``mien --help`` answers at once.
"""

import contextlib
import io
import os
import signal
import sys
import threading
from typing import Annotated

import typer

from mien import __version__
from mien.app.commands import (
    architecture,
    audit,
    card,
    check,
    compare,
    demo,
    draw,
    evaluate,
    explain,
    export,
    filters,
    label,
    models,
    pairs,
    predict,
    regions,
    report,
    score,
    serve,
    train,
    trust,
    tune,
)
from mien.errors import MienError, RankLostError, printable
from mien.system import mute

app = typer.Typer(
    name="mien",
    help="Train a facial-expression CNN; see what it gets wrong and how far to believe it.",
    epilog="Start with 'mien demo'. Each verb has examples: 'mien train --help'.",
    no_args_is_help=True,
    add_completion=True,
    # Plain help needs no rich, which alone would take half of the 0.3 s that --help may take.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo, predict, train, evaluate, compare, report, explain, regions, pairs, filters, trust,
    audit, label, draw, architecture, check, tune, export, models, card, serve, score,
):  # fmt: skip
    command.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; ends the process with 0, 1 (findings), 2 (error) or 130 (Ctrl-C)."""
    # A caller may have closed them ('mien … >&-'), and then Python has none.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an arrow must not end a run on an old terminal
    try:
        code = app(standalone_mode=False)
        if code == 130:  # typer's own answer to Ctrl-C
            raise KeyboardInterrupt
    except MienError as error:
        code = _tell(str(error), error.exit_code, anyone=isinstance(error, RankLostError))
    except BrokenPipeError:
        # The reader of our output has gone (as in 'mien … | head'); nothing is wrong.
        mute(sys.stdout)
        code = 0
    except SystemExit as error:  # typer's own answer to that, which says 1
        code = 0 if type(sys.stdout).__name__ == "PacifyFlushWrapper" else error.code
    except KeyboardInterrupt:
        code = _tell("interrupted", 130)
        _end_now(code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        code = _tell(f"{place}{error.strerror or error}", 2)
    except Exception as error:  # noqa: BLE001  what is no usage error is raised again
        code = _usage(error)
    sys.exit(code if isinstance(code, int) else 0)


def _end_now(code: int) -> None:
    """End without waiting for threads, where some still work: they have nothing left to give.

    The interpreter would take itself apart under them, and their runtimes abort the process.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if threading.active_count() > 1:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _usage(error: Exception) -> int:
    """Tell of a wrong option or argument in one line; anything else is a defect and goes on up."""
    message = getattr(error, "format_message", None)
    if message is None:
        raise error
    if type(error).__name__ == "NoArgsIsHelpError":
        print(message(), file=sys.stderr)
        return 2
    verb = getattr(getattr(error, "ctx", None), "command_path", "mien")
    return _tell(f"{message().rstrip('.')}; see '{verb} --help'", 2)


def _tell(message: str, code: int, *, anyone: bool = False) -> int:
    """One line on stderr, from the first rank alone; from ``anyone`` where that may be gone."""
    if anyone or os.environ.get("RANK", "0") == "0":
        print(f"mien: {printable(message)}", file=sys.stderr)
    return code
