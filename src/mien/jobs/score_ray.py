"""The engine of ``score`` that runs on many machines: Ray Data, with a model in each actor.

Ray hands out parts, not pictures: an actor reads its part's pictures from the store and puts the
part's file in place itself, so nothing large goes through Ray, and an actor that is killed is
started anew and does its part again, to the same bytes under the same name.
"""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import ray
import ray.data

from mien.errors import MienError, OptionError, RunError
from mien.jobs.score import Engine
from mien.jobs.score_part import Done, Part, ScoreOptions, Scorer

# Ray keeps a few kilobytes of books a block; a block holds several parts where there are more.
_BLOCKS = 4096
_STORE = 100 * 2**20  # of memory for Ray's objects on this machine; only names of files go there


def with_ray(workers: int, address: str = "") -> Engine:
    """An engine of ``workers`` actors, a core each.

    address: of a Ray cluster, ``auto`` for that of this machine; empty for ``RAY_ADDRESS`` or else
    processes of this machine alone.

    Raises:
        OptionError: no worker, or no cluster there.
    """
    if workers < 1:
        raise OptionError(f"--workers {workers}: at least 1")

    def engine(options: ScoreOptions, about: str, parts: Sequence[Part]) -> Iterator[Done]:
        if not parts:
            return
        with _connected(workers, address):
            yield from _through(options, about, parts, workers)

    return engine


@contextmanager
def _connected(workers: int, address: str) -> Iterator[None]:
    if ray.is_initialized():  # the caller's own cluster stays as it is
        yield
        return
    where = address or os.environ.get("RAY_ADDRESS", "")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its notes are for Ray's developers
    # One core more than actors: without it Ray might have no place for its own short tasks.
    here: dict[str, Any] = {"num_cpus": workers + 1, "object_store_memory": _STORE}
    try:
        ray.init(
            where or "local", include_dashboard=None if where else False, log_to_driver=False,
            logging_level=logging.ERROR, **({} if where else here),
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise OptionError(f"--address {where}: Ray cannot be reached ({_first(error)})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _through(
    options: ScoreOptions, about: str, parts: Sequence[Part], workers: int
) -> Iterator[Done]:
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    items = [{"part": json.dumps(asdict(part))} for part in parts]
    blocks = min(len(items), _BLOCKS)
    try:
        done = ray.data.from_items(items, override_num_blocks=blocks).map_batches(
            _Actor,
            fn_constructor_args=(options, about),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(parts))),
            num_cpus=1,  # and restarts without end, which is Ray Data's own default
        )
        for row in done.iter_rows():
            if row["error"]:
                raise RunError(str(row["error"]))
            yield Done(**{name: int(row[name]) for name in Done.__dataclass_fields__})
    except ray.exceptions.RayError as error:
        raise RunError(f"Ray gave up ({_first(error)}); the same command goes on") from error
    finally:
        context.enable_progress_bars = before


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


class _Actor:
    """A worker: a model in memory, which scores parts as they come."""

    def __init__(self, options: ScoreOptions, about: str) -> None:
        self.problem, self.scorer = "", None
        try:
            self.scorer = Scorer(options)
            self.scorer.check(about)
        except MienError as error:
            # Raised here it would be told as a failing actor, started again and again.
            self.problem = str(error)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Parts as JSON in, what became of them out."""
        columns: dict[str, list[Any]] = {name: [] for name in (*Done.__dataclass_fields__, "error")}
        for text in batch["part"]:
            plain = json.loads(str(text))
            part = Part(**{**plain, "files": tuple(plain["files"])})
            for name, value in self._done(part).items():
                columns[name].append(value)
        return {name: np.array(values) for name, values in columns.items()}

    def _done(self, part: Part) -> dict[str, Any]:
        if self.scorer is not None and not self.problem:
            try:
                return {**asdict(self.scorer.score(part)), "error": ""}
            except MienError as error:
                self.problem = str(error)
        nothing = Done(number=part.number, pictures=0, faces=0, problems=0)
        return {**asdict(nothing), "error": self.problem}
