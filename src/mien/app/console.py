"""The terminal: progress on stderr, results on stdout, no bars into a pipe, ``NO_COLOR`` kept."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
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
from mien.system import mute
from mien.types import Progress as Callback

_EXTRA_OF = {
    "torch": "train",
    "lightning_fabric": "train",
    "safetensors": "train",
    "scipy": "train",
    "sklearn": "train",
    "matplotlib": "train",
    "tensorboardX": "train",
    "captum": "train",
    "jinja2": "train",
    "onnx": "train",
    "pyarrow": "train",
    "onnxscript": "train",
    "markupsafe": "train",
    "optuna": "tune",
    "ray": "ray",
    "fsspec": "ray",
    "sqlalchemy": "tune",
    "fastapi": "serve",
    "starlette": "serve",
    "pydantic": "serve",
    "uvicorn": "serve",
    "prometheus_client": "serve",
    "python_multipart": "serve",
}


class _Console(Console):
    """Leaves it to ``cli.main`` to end the process where stdout's reader has gone; rich exits
    with 1. Where nobody hears what is said on stderr, the work goes on.
    """

    def on_broken_pipe(self) -> None:
        """Called by rich."""
        if not self.stderr:
            raise BrokenPipeError
        mute(sys.stderr)


# A pipe or a file has no width; tables in it are as wide as they need.
out = _Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 240)
err = _Console(stderr=True, highlight=False, soft_wrap=True)


_FOLDED = 12  # columns that a name is folded to, at the narrowest


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
        elif isinstance(thing, PlainTable) and out.is_terminal and thing.least > out.width:
            out.print(thing.stacked(), markup=False)
        else:
            out.print(thing)


def show_json(data: Any) -> None:
    """JSON on stdout."""
    if is_main_rank():
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


class Bars:
    """Draws one bar a stage, with the time left; silent into a pipe. Call it to tell progress."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` (0: unknown) of ``stage``."""
        if not (err.is_terminal and is_main_rank()):
            return
        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=err,
                transient=True,
            )
            self._bars.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total or None)
        self._bars.update(self._tasks[stage], completed=done, total=total or None)

    def close(self) -> None:
        """Take the bars off the screen; the next call draws new ones."""
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._tasks = None, {}


@contextlib.contextmanager
def progress_bars() -> Iterator[Callback]:
    """Bars that are gone at the end, however it comes."""
    bars = Bars()
    try:
        yield bars
    finally:
        bars.close()


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


class PlainTable(Table):
    """A table whose first column is left and the others right, and whose cells are no markup.

    A class of a user's may be called ``[/b]``; it is shown so.
    """

    def __init__(self, title: str, *columns: str) -> None:
        super().__init__(
            title=escape(title),
            title_justify="left",
            box=None,
            pad_edge=False,
            padding=(0, 2, 0, 0),
        )
        self._title, self._heads = title, columns
        self._plain: list[tuple[str, ...]] = []
        for number, column in enumerate(columns):
            side: Literal["left", "right"] = "left" if number == 0 else "right"
            self.add_column(escape(column), justify=side, no_wrap=True)

    def row(self, *cells: str) -> None:
        """Add a row of plain text."""
        self._plain.append(cells)
        self.add_row(*map(escape, cells))

    @property
    def least(self) -> int:
        """The narrowest that it can be shown without cutting a cell that is to stay whole."""
        whole = [
            max(map(cell_len, cells)) if column.no_wrap else _FOLDED
            for column, cells in zip(
                self.columns, zip(self._heads, *self._plain, strict=True), strict=True
            )
        ]
        return sum(whole) + 2 * len(whole)

    def stacked(self) -> str:
        """The rows below each other, a line a cell, for a terminal in which they do not fit."""
        wide = max(map(len, self._heads[1:]), default=0)
        blocks = [self._title] if self._title else []
        for first, *others in self._plain:
            lines = [
                f"  {head:<{wide}}  {cell}"
                for head, cell in zip(self._heads[1:], others, strict=False)
                if cell
            ]
            blocks.append("\n".join([first, *lines]))
        return "\n".join(blocks)
