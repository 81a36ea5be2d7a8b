"""Stochastic gradient descent or Muon, the learning-rate schedule, and the averaged model."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import OptionError
from mien.train.muon import MuonSGD

SCHEDULES = ("linear", "cosine")


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """SGD with Nesterov momentum.

    learning_rate: the peak. warm_up: share of all steps over which it rises from 0; afterwards it
    falls to 0 along ``schedule``. weight_decay: on weights of convolutions and linear layers only,
    not on biases and batch normalisation. ema: decay of the averaged model a step; 0 for none.
    muon: the peak for convolution filters, which Muon updates then (``train/muon.py``); 0 for SGD.
    """

    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warm_up: float = 0.15
    schedule: str = "linear"
    ema: float = 0.999
    muon: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a field cannot be used.
        """
        # Beyond what float32 holds, torch itself would fail; nothing near it can be meant.
        if not 0 < self.learning_rate <= 1e30:
            raise OptionError(f"learning_rate {self.learning_rate}: above 0, at most 1e30")
        if not 0 <= self.muon <= 1e30:
            raise OptionError(f"muon {self.muon}: a learning rate from 0 (none) to 1e30")
        for name in ("momentum", "warm_up", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise OptionError(f"{name} {getattr(self, name)}: from 0 to below 1")
        if not 0 <= self.weight_decay <= 1e30:
            raise OptionError(f"weight_decay {self.weight_decay}: from 0 to 1e30")
        if self.schedule not in SCHEDULES:
            raise OptionError(f"schedule '{self.schedule}': one of {', '.join(SCHEDULES)}")


def make_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.SGD:
    """SGD over a model's parameters in groups: with weight decay, without, and Muon's if any.

    A group's ``factor`` is what the schedule's learning rate is multiplied with for it.
    """
    learnt = [p for p in model.parameters() if p.requires_grad]
    filters = [p for p in learnt if p.ndim == 4 and config.muon]
    weights = [p for p in learnt if p.ndim > 1 and not (p.ndim == 4 and config.muon)]
    others = [p for p in learnt if p.ndim <= 1]
    decay = config.weight_decay
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": decay, "factor": 1.0, "muon": False},
        {"params": others, "weight_decay": 0.0, "factor": 1.0, "muon": False},
    ]
    if filters:
        factor = config.muon / config.learning_rate
        # Muon keeps its own momentum: what it hands to SGD is the step itself.
        own = {"momentum": 0.0, "nesterov": False, "muon_momentum": config.momentum}
        groups.append(
            {"params": filters, "weight_decay": decay, "factor": factor, "muon": True, **own}
        )
    return MuonSGD(
        groups,
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.momentum > 0,
        foreach=True,
    )


def learning_rate(step: int, total: int, config: OptimConfig) -> float:
    """The learning rate of step ``step`` (from 0) of ``total``."""
    position = (step + 0.5) / total
    if position < config.warm_up:
        return config.learning_rate * position / config.warm_up
    left = (1 - position) / (1 - config.warm_up)
    if config.schedule == "cosine":
        left = 0.5 * (1 - math.cos(math.pi * left))
    return config.learning_rate * left


class Average:
    """An exponential moving average of a model, its batch-normalisation statistics included.

    Over the first steps the decay is (1 + step) / (10 + step), so that the average forgets the
    random start quickly. Its network is the result of training: no epoch is picked.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step ``step`` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine, theirs = self._floats(self.model), self._floats(model)
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for own, other in zip(self.model.buffers(), model.buffers(), strict=True):
            if not own.is_floating_point():
                own.copy_(other)

    @staticmethod
    def _floats(model: nn.Module) -> list[Tensor]:
        values = [*model.parameters(), *model.buffers()]
        return [value.detach() for value in values if value.is_floating_point()]
