"""A rank's share of a batch, and random numbers that do not depend on how many ranks there are.

Every rank draws for the whole batch from the step's seed and keeps the numbers of its own rows: the
draws are a few numbers a picture, and so a batch looks the same however it is shared out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Rows ``start`` to ``stop`` of a batch of ``total``.

    neighbour: whether the row before the first one (of the first, the last) comes along, behind the
    own rows: mixing takes something of it.
    """

    total: int
    start: int
    stop: int
    neighbour: bool = False

    @classmethod
    def of(cls, total: int, ranks: int, rank: int, *, neighbour: bool = False) -> "Share":
        """The share of ``rank``; the shares differ by one row at most, the first are the larger."""
        each, more = divmod(total, ranks)
        start = rank * each + min(rank, more)
        return cls(total, start, start + each + (rank < more), neighbour and ranks > 1)

    @property
    def own(self) -> int:
        """How many rows are this rank's own."""
        return self.stop - self.start

    @property
    def rows(self) -> Tensor:
        """The rows, ``int64``: the own ones and then, where it comes along, the neighbour."""
        own = torch.arange(self.start, self.stop)
        if not self.neighbour:
            return own
        return torch.cat((own, torch.tensor([(self.start - 1) % self.total])))


class Draws:
    """Random numbers for the rows of a share (all rows where there is none), drawn for all."""

    def __init__(self, generator: torch.Generator, rows: int, share: Share | None) -> None:
        self.generator, self.total = generator, share.total if share else rows
        whole = share is None or (share.own == share.total and not share.neighbour)
        self.rows = None if whole or share is None else share.rows.to(generator.device)

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.generator.device

    def rand(self, *more: int, before: tuple[int, ...] = ()) -> Tensor:
        """Uniform in 0..1, ``float32`` before×rows×more."""
        shape = (*before, self.total, *more)
        draw = torch.rand(shape, generator=self.generator, device=self.device)
        return draw if self.rows is None else draw.index_select(len(before), self.rows)
