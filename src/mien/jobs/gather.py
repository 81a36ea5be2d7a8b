"""Many small questions to a classifier, answered together: batches, and how many may wait.

Knows nothing of HTTP. ``Places`` says at once whether one more request is taken on, before any work
is done for it; ``Gather`` puts the crops of requests that wait at the same time into one call of
the classifier, in threads of its own. N crops, C channels, K classes.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.types import Scores

Classify = Callable[[NDArray[np.uint8]], Scores]


# Of a thread that computes, on Linux: one that answers and wakes up goes first.
_NICE = 10
# How much the last piece of work weighs in what a ``Pace`` tells: one slow picture among many
# crops must not close the house.
_LATEST = 0.05


def give_way() -> None:
    """Make this thread, and the threads that it starts, yield to the others of this process."""
    if sys.platform == "linux":  # elsewhere the number belongs to the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


class Pace:
    """How long one request keeps a stage busy, as lately measured; safe between threads."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()

    def worked(self, seconds: float, requests: int = 1) -> None:
        """So many requests were done in so many seconds."""
        with self._lock:
            self.seconds += _LATEST * (seconds / requests - self.seconds)


class Places:
    """So many requests are in the house at once, and no more; safe between threads.

    The last of them shall wait about ``wait`` seconds: places = wait / seconds a request. As that
    pace moves, so does the number of places, between ``least`` and ``limit``.

    Args:
        limit: places at most. wait: seconds. least: places however slow the work is.
        each: tells the seconds that one request takes of the slowest stage; 0 for not known.
    """

    def __init__(
        self,
        limit: int,
        *,
        wait: float = float("inf"),
        least: int = 4,
        each: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.limit, self.wait, self.least, self.each = limit, wait, least, each
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """How many are taken now."""
        return self._taken

    @property
    def room(self) -> int:
        """How many there are now."""
        each = self.each()
        if each <= 0 or self.wait >= each * self.limit:
            return self.limit
        return min(self.limit, max(self.least, int(self.wait / each)))

    @property
    def full(self) -> bool:
        """Whether all are taken."""
        return self._taken >= self.room

    def take(self) -> bool:
        """Take a place; False where all are taken. Never waits."""
        room = self.room
        with self._lock:
            if self._taken >= room:
                return False
            self._taken += 1
            return True

    def give(self) -> None:
        """Give a place back."""
        with self._lock:
            self._taken -= 1


@dataclass(frozen=True, eq=False)
class _Question:
    crops: NDArray[np.uint8]
    answer: Future[Scores] = field(default_factory=Future)


class Gather:
    """Batches for a classifier.

    The first question that waits opens a batch; it closes when it holds ``most`` crops or after
    ``wait`` seconds. While batches are being answered the next one fills, so under load nobody
    waits for the clock. Each crop's answer is what it would be alone, up to rounding.

    Args:
        classify: uint8 N×C×H×W to scores of the same N.
        workers: batches that are answered at once, each in a thread of its own.
        told: called with the number of questions and of crops of each batch.
    """

    def __init__(
        self,
        classify: Classify,
        *,
        most: int = 64,
        wait: float = 0.002,
        workers: int = 1,
        told: Callable[[int, int], None] | None = None,
    ) -> None:
        self._classify, self._most, self._wait = classify, most, wait
        self._told = told or (lambda questions, crops: None)
        self._pace = Pace()
        self._waiting: deque[_Question] = deque()
        self._crops = 0
        self._filling = False
        self._changed = threading.Condition()
        self._open = True
        self._threads = [
            threading.Thread(target=self._work, name="mien-gather", daemon=True)
            for _ in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def each(self) -> float:
        """Seconds between two answers while all is busy, as lately measured."""
        return self._pace.seconds / len(self._threads)

    @property
    def waiting(self) -> int:
        """Crops that no batch has taken yet."""
        return self._crops

    def submit(self, crops: NDArray[np.uint8]) -> Future[Scores]:
        """Ask for the scores of N×C×H×W crops; those of one question are never split.

        Raises:
            RuntimeError: after ``close``.
        """
        question = _Question(crops)
        with self._changed:
            if not self._open:
                raise RuntimeError("closed")
            self._waiting.append(question)
            self._crops += len(crops)
            # A thread is woken for the first question and for a full batch, not for each: a wake-up
            # costs more than a question.
            if not self._filling:
                self._changed.notify()
            elif self._crops >= self._most:
                self._changed.notify_all()
        return question.answer

    def close(self) -> None:
        """Answer all that was asked, then end the threads."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        give_way()
        while batch := self._next():
            asked = [one for one in batch if one.answer.set_running_or_notify_cancel()]
            if asked:
                self._told(len(asked), sum(len(one.crops) for one in asked))
                begin = time.perf_counter()
                _answer(self._classify, asked)
                self._pace.worked(time.perf_counter() - begin, len(asked))

    def _next(self) -> list[_Question]:
        """The questions of the next batch; none after the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: (self._waiting and not self._filling) or not (self._open or self._waiting)
            )
            if self._open and self._crops < self._most:
                self._filling = True
                self._changed.wait_for(
                    lambda: not self._open or self._crops >= self._most, timeout=self._wait
                )
                self._filling = False
            batch: list[_Question] = []
            count = 0
            while self._waiting and (
                not batch or count + len(self._waiting[0].crops) <= self._most
            ):
                batch.append(self._waiting.popleft())
                count += len(batch[-1].crops)
            self._crops -= count
            if self._waiting or not self._open:  # the others slept while this one filled its batch
                self._changed.notify_all()
            return batch


def _answer(classify: Classify, asked: list[_Question]) -> None:
    """Set every answer; where a batch fails, each question is tried alone, so one spoils none."""
    try:
        scores = classify(np.concatenate([one.crops for one in asked]))
        parts = _split(scores, [len(one.crops) for one in asked])
    except Exception as error:  # noqa: BLE001  it is the asker's
        if len(asked) == 1:
            asked[0].answer.set_exception(error)
        else:
            for one in asked:
                _answer(classify, [one])
        return
    for one, part in zip(asked, parts, strict=True):
        one.answer.set_result(part)


def _split(scores: Scores, counts: list[int]) -> list[Scores]:
    ends = np.cumsum(counts)[:-1]
    shares = np.split(scores.probabilities, ends)
    novel = [None] * len(counts) if scores.novelty is None else np.split(scores.novelty, ends)
    return [
        Scores(probabilities=share, novelty=new) for share, new in zip(shares, novel, strict=True)
    ]
