"""Times of a run: of the epoch, of its steps, until the next save, until the end."""

import time
from collections.abc import Callable
from dataclasses import dataclass

REPORT_SECONDS = 0.2


@dataclass
class Clock:
    """Counts on across interruptions: ``seconds`` and ``step_seconds`` start where they stood.

    seconds: spent in the unfinished epoch. step_seconds: of these, in training steps.
    """

    seconds: float = 0.0
    step_seconds: float = 0.0
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Start."""
        self._started = self._last = self._saved = self.now()
        self._reported = float("-inf")

    def tick(self, *, step: bool) -> None:
        """Add the time since the last tick; ``step`` says whether a training step took it."""
        now = self.now()
        self.seconds += now - self._last
        if step:
            self.step_seconds += now - self._last
        self._last = now

    def new_epoch(self) -> None:
        """The next epoch begins."""
        self.seconds = self.step_seconds = 0.0

    def report_due(self) -> bool:
        """True at most every ``REPORT_SECONDS``."""
        if self._last - self._reported < REPORT_SECONDS:
            return False
        self._reported = self._last
        return True

    def save_due(self, every: float) -> bool:
        """True where the last save began ``every`` seconds ago or more."""
        return self._last - self._saved >= every

    def saved(self) -> None:
        """A state was saved."""
        self._saved = self.now()

    def remaining(self, done: int, left: int) -> float:
        """Seconds for ``left`` steps at this process's pace over ``done`` (evaluation included)."""
        return (self._last - self._started) / max(done, 1) * left
