"""The terminal: progress on stderr, results on stdout, no bars into a pipe, ``NO_COLOR`` kept."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mien.errors import MissingExtraError
from mien.types import Progress as Callback

_EXTRA_OF = {
    "torch": "train",
    "lightning_fabric": "train",
    "safetensors": "train",
    "scipy": "train",
    "sklearn": "train",
    "matplotlib": "train",
    "tensorboardX": "train",
}

# A pipe or a file has no width; tables in it are as wide as they need.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 240)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def is_main_rank() -> bool:
    """Whether this process shows anything: all but the first of ``torchrun``'s ranks are mute."""
    return os.environ.get("RANK", "0") == "0"


def say(sentence: str) -> None:
    """One line on stderr."""
    if is_main_rank():
        err.print(sentence, markup=False)


def show(thing: Table | str) -> None:
    """A table or a line on stdout."""
    if is_main_rank():
        if isinstance(thing, str):
            out.print(thing, markup=False)
        else:
            out.print(thing)


def show_json(data: Any) -> None:
    """JSON on stdout."""
    if is_main_rank():
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def progress_bars() -> Iterator[Callback]:
    """A callback that draws one bar a stage, with the time left; silent into a pipe."""
    if not (err.is_terminal and is_main_rank()):
        yield lambda stage, done, total: None
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def tell(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total or None)
        bars.update(tasks[stage], completed=done, total=total or None)

    with bars:
        yield tell


@contextlib.contextmanager
def needs_extra(verb: str) -> Iterator[None]:
    """Turn the absence of an extra's package into a message that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MissingExtraError(f"mien {verb}", extra) from error


def table(title: str, *columns: str) -> Table:
    """A plain table: the first column left, the others right."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return made
