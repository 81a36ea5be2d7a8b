"""Training states on disk: saved atomically, the last two kept, the newest good one read back."""

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mien.errors import ModelFileError, RunError
from mien.models.checkpoint import pack, unpack
from mien.runs import write_atomic
from mien.train.history import Row
from mien.train.optim import Average

_NAME = re.compile(r"step-(\d{9})\.safetensors")
KEPT = 2


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a run has come: everything that is not a tensor.

    epoch: epochs finished. step: steps done in the next one. running_loss: sum over those steps of
    loss times images. rows: the history so far. seconds: time spent in the unfinished epoch.
    rank_losses: the same for each rank, where there are several: their sum may round differently.
    pieces: into how many parts each batch is cut because memory was too small for it whole.
    Order, augmentation and dropout draw from seeds derived from the recipe's seed, the epoch and
    the step, so these numbers are the random state too.
    """

    epoch: int = 0
    step: int = 0
    running_loss: float = 0.0
    seconds: float = 0.0
    step_seconds: float = 0.0
    rows: tuple[Row, ...] = ()
    pieces: int = 1
    rank_losses: tuple[float, ...] = ()

    def next_step(self) -> "Position":
        """One step further in the same epoch."""
        return replace(self, step=self.step + 1)

    def with_sums(
        self, losses: tuple[float, ...], seconds: float, step_seconds: float
    ) -> "Position":
        """The same place with what has been summed up on the way; losses: of each rank."""
        return replace(
            self,
            running_loss=math.fsum(losses),
            rank_losses=losses if len(losses) > 1 else (),
            seconds=seconds,
            step_seconds=step_seconds,
        )

    @property
    def ranks(self) -> int:
        """How many ranks had come so far."""
        return max(1, len(self.rank_losses))

    def loss_of(self, rank: int, ranks: int) -> float:
        """What ``rank`` goes on from: its own sum, or an equal share where the ranks are others."""
        if len(self.rank_losses) == ranks:
            return self.rank_losses[rank]
        return self.running_loss / ranks


class Holders(NamedTuple):
    """What holds a run's tensors."""

    model: nn.Module
    average: Average
    optimizer: torch.optim.Optimizer


def save_state(folder: Path, position: Position, steps: int, holders: Holders) -> None:
    """Write the state, then remove all but the last ``KEPT``.

    ``steps`` is the number of steps an epoch; the files are named by steps since the start.
    """
    tensors = dict(_tensors(holders))
    content = pack("state", tensors, {"position": asdict(position)})
    write_atomic(folder / f"step-{position.epoch * steps + position.step:09d}.safetensors", content)
    for _, path in _saved(folder)[:-KEPT]:
        path.unlink(missing_ok=True)


def load_state(folder: Path, holders: Holders) -> Position:
    """Put the newest undamaged state into place; a run that saved none starts at the beginning.

    Raises:
        RunError: states are there, but none can be used.
    """
    for left_over in folder.glob(".*.tmp"):
        left_over.unlink(missing_ok=True)
    saved = _saved(folder)
    problem = ""
    for _, path in reversed(saved):
        try:
            tensors, meta = unpack(path, "state")
        except ModelFileError as error:
            problem = str(error)
            continue
        return _restore(tensors, meta, path, holders)
    if saved:
        raise RunError(f"no saved state can be used: {problem}")
    return Position()


def _restore(
    tensors: dict[str, Tensor], meta: dict[str, Any], path: Path, holders: Holders
) -> Position:
    model, average, optimizer = holders
    try:
        model.load_state_dict(_part(tensors, "model."))
        average.model.load_state_dict(_part(tensors, "average."))
        for index, parameter in enumerate(_parameters(optimizer)):
            for name, value in _part(tensors, f"optimizer.{index}.").items():
                # As torch itself would have made it: same device and memory format as the weight,
                # so that the resumed arithmetic is the same to the bit.
                own = torch.empty_like(parameter).copy_(value)
                optimizer.state[parameter][name] = own
        plain = dict(meta["position"])
        plain["rows"] = tuple(Row(**row) for row in plain["rows"])
        plain["rank_losses"] = tuple(plain.get("rank_losses", ()))
        return Position(**plain)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: does not fit this run ({error})") from error


def _tensors(holders: Holders) -> Iterator[tuple[str, Tensor]]:
    model, average, optimizer = holders
    for name, value in model.state_dict().items():
        yield f"model.{name}", value
    for name, value in average.model.state_dict().items():
        yield f"average.{name}", value
    for index, parameter in enumerate(_parameters(optimizer)):
        for name, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                yield f"optimizer.{index}.{name}", value


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _saved(folder: Path) -> list[tuple[int, Path]]:
    found = [(_NAME.fullmatch(path.name), path) for path in folder.glob("step-*.safetensors")]
    return sorted((int(match[1]), path) for match, path in found if match)
