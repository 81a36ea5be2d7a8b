"""What the training loop is given and what it tells: the task, its progress, its early end."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mien.data.loader import Pictures
from mien.errors import MienError
from mien.runs import Run
from mien.train.history import Row
from mien.train.recipes import Recipe


class Interrupted(MienError):  # noqa: N818 - it is a wish granted, not a fault
    """Training was asked to stop, and has saved a state from which it can go on."""

    exit_code = 130


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a run is. loss: mean of what is minimised, this epoch so far. remaining: seconds."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    images_per_second: float
    remaining: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained on what, and by which teachers' example.

    ``report`` hears of progress, ``told`` sentences; ``stop`` asks for an early end. ``sound`` is
    asked before each save, and raises where the pictures are no longer what training began with.
    """

    network: nn.Module
    training: Pictures
    validation: Pictures
    recipe: Recipe
    run: Run
    teachers: tuple[nn.Module, ...] = ()
    save_seconds: float = 60.0
    report: Callable[[Status], None] = lambda status: None
    stop: Callable[[], bool] = lambda: False
    told: Callable[[str], None] = lambda sentence: None
    sound: Callable[[], None] = lambda: None
