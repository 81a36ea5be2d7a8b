"""What a person sees of a training run: its progress, its end, and how Ctrl-C is heard."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from mien.app import console
from mien.jobs.train import Listeners, TrainOptions, TrainResult, resume, train
from mien.runs import Run
from mien.train.history import Row
from mien.train.recipes import Recipe
from mien.train.task import Status

_ROWS_SHOWN = 12


def run_training(
    options: TrainOptions | None,
    recipe: Recipe | None,
    folder: Path | None,
    *,
    save_every: float,
    as_json: bool,
    with_report: bool = True,
) -> TrainResult:
    """Train (or, without options, resume ``folder``), evaluate on validation, show the result.

    with_report: also analyse the model, for at most three minutes, and write the report.
    """
    with Display() as display, heard_signals() as stop:
        listeners = Listeners(
            reading=display.reading, told=console.say, training=display.update, stop=stop
        )
        if options is None:
            assert folder is not None
            result = resume(folder, save_seconds=save_every, listeners=listeners)
        else:
            assert recipe is not None
            out = folder or Run.fresh_name(Path("runs"), recipe.name)
            result = train(
                options, out=out, recipe=recipe, save_seconds=save_every, listeners=listeners
            )
    if result.main:
        finish(result, as_json=as_json, with_report=with_report)
    return result


def finish(result: TrainResult, *, as_json: bool, with_report: bool = True) -> None:
    """Evaluate a finished run on its validation split, write figures and report, show all."""
    # SciPy and matplotlib take as long to import as torch; training need not wait for them.
    from mien.app.evaluation import as_json as evaluation_json
    from mien.app.evaluation import show_evaluation, write_figures
    from mien.jobs.calibrate import calibrate_if_possible
    from mien.jobs.evaluate import EvaluateOptions, evaluate_images

    run = result.run
    with console.progress_bars() as progress:
        evaluated = evaluate_images(run.path, result.images, EvaluateOptions(), progress=progress)
    if calibrate_if_possible(run.path) is None:
        console.say("too few validation images to calibrate the model's confidence")
    write_figures(evaluated, run.figures, history=result.rows)
    if not as_json:
        show_evaluation(evaluated)
    page = _report(result) if with_report else None
    if as_json:
        written = {"report": str(page)} if page else {}
        console.show_json({"run": str(run.path), **written, **evaluation_json(evaluated)})
        return
    console.show(f"\nThe run is in {run.path}: model.safetensors, history.csv, figures/")
    if page:
        console.show(f"Its report is {page}; open it in a browser")


def _report(result: TrainResult) -> Path:
    """Analyse and report; the run itself is safe whatever happens here."""
    from mien.app.reporting import write_report
    from mien.jobs.analyse import BUDGET

    console.say(
        f"analysing the model, at most {BUDGET / 60:.0f} minutes (--no-report leaves it out)"
    )
    page, notes = write_report(result.run.path, images=result.images, budget=BUDGET)
    for note in notes:
        console.say(note)
    return page


class Display:
    """Epochs as they come: a live table and bar on a terminal, one line an epoch into a pipe."""

    def __init__(self) -> None:
        # Two live displays cannot share a screen: the bars of reading go before training's come.
        self.reading = console.Bars()
        self._shown = 0
        self._numbers = ""
        self._live: Live | None = None
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[numbers]}")
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.reading.close()
        if self._live:
            self._live.stop()

    def update(self, status: Status) -> None:
        """Show where the run is."""
        if not console.is_main_rank():
            return
        if not console.err.is_terminal:
            for row in status.rows[self._shown :]:
                console.say(_line(row, status.epochs))
            self._shown = len(status.rows)
            return
        if self._live is None:
            self.reading.close()
            self._live = Live(console=console.err, refresh_per_second=4)
            self._live.start()
            self._task = self._bar.add_task("", total=status.epochs * status.steps, numbers="")
        assert self._task is not None
        if status.step:  # between epochs the numbers of the last step stay
            self._numbers = f"loss {status.loss:.3f}  {status.images_per_second:,.0f} images/s"
        self._bar.update(
            self._task,
            completed=len(status.rows) * status.steps + status.step,
            description=f"epoch {status.epoch}/{status.epochs}",
            numbers=f"{self._numbers}  {_time(status.remaining)} left",
        )
        self._live.update(_screen(status, self._bar))


def _screen(status: Status, bar: Progress) -> Table:
    screen = Table.grid()
    if status.rows:
        table = console.PlainTable(
            "", "epoch", "train loss", "accuracy", "validation loss", "accuracy", "images/s"
        )
        for row in status.rows[-_ROWS_SHOWN:]:
            table.row(
                str(row.epoch),
                f"{row.train_loss:.3f}",
                f"{row.train_accuracy:.1%}",
                f"{row.validation_loss:.3f}",
                f"{row.validation_accuracy:.1%}",
                f"{row.images_per_second:,.0f}",
            )
        screen.add_row(table)
    screen.add_row(bar)
    return screen


def _line(row: Row, epochs: int) -> str:
    return (
        f"epoch {row.epoch}/{epochs}  train {row.train_loss:.3f} {row.train_accuracy:.1%}  "
        f"validation {row.validation_loss:.3f} {row.validation_accuracy:.1%}  "
        f"{row.images_per_second:,.0f} images/s  {row.seconds:.0f} s"
    )


def _time(seconds: float) -> str:
    return time.strftime("%H:%M:%S" if seconds >= 3600 else "%M:%S", time.gmtime(seconds))


@contextlib.contextmanager
def heard_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask for a stop after the step in hand; a second Ctrl-C ends at once."""
    asked: list[int] = []
    training: list[bool] = []

    def hear(number: int, frame: FrameType | None) -> None:
        if not training or (asked and number == signal.SIGINT):
            raise KeyboardInterrupt
        asked.append(number)
        console.say("stopping after this step (Ctrl-C again: at once)")

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop() -> bool:
        # Asked after each step: from the first one on there is something to save.
        training[:] = [True]
        return bool(asked)

    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
