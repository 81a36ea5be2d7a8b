"""Toy networks and pictures whose right answers are known."""

import numpy as np
import torch
from torch import nn


class Linear(nn.Module):
    """Two logits: Σ weight · pixel / 255, and 0."""

    def __init__(self, weight_HW):
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(weight_HW, dtype=torch.float32)[None, None])

    def forward(self, x_NCHW):
        score = (x_NCHW.float() / 255 * self.weight).sum(dim=(1, 2, 3))
        return torch.stack([score, torch.zeros_like(score)], dim=1)


class Corner(nn.Module):
    """A small convolutional network whose class depends on the upper left quarter alone."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Linear(6, 2)

    def forward(self, x_NCHW):
        x = x_NCHW.float() / 255 - 0.5
        x = self.second(self.first(x).relu()).relu()
        half = x.shape[-1] // 2
        return self.last(x[..., :half, :half].mean(dim=(2, 3)))


def pictures(n, side=16, seed=0):
    """uint8 n×1×side×side noise with a smooth part, so that blur and edges mean something."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 1, -(-side // 4), -(-side // 4)))
    fine = rng.integers(-40, 41, (n, 1, side, side))
    return np.clip(coarse.repeat(4, 2).repeat(4, 3)[..., :side, :side] + fine, 0, 255).astype(
        np.uint8
    )
