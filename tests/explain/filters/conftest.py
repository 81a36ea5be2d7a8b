"""Networks whose filters are known, and drawn faces."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.data.synthetic import generate

SIDE = 15


def gabor(angle: float, wavelength: float, sigma: float, side: int = SIDE) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    envelope = np.exp(-(u**2) / (2 * sigma**2) - v**2 / (2 * (1.4 * sigma) ** 2))
    return envelope * np.cos(2 * np.pi * u / wavelength)


class Known(nn.Module):
    """One convolution (a Gabor, a bar, a face's part, nothing, one that never fires), a head."""

    def __init__(self, part: np.ndarray) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 5, SIDE, stride=3)
        self.gate = nn.ReLU(inplace=True)
        self.linear = nn.Linear(5, 3, bias=False)
        y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
        bar = np.exp(-((x * np.cos(1.2) + y * np.sin(1.2)) ** 2) / (2 * 1.5**2))
        kernels = [gabor(0.5, 7.0, 3.0), bar, part, np.zeros((SIDE, SIDE)), part[::-1]]
        with torch.no_grad():
            for row, kernel in enumerate(kernels):
                flat = kernel - kernel.mean()
                self.conv.weight[row, 0] = torch.tensor(flat / max(np.abs(flat).sum(), 1e-9))
            self.conv.bias.copy_(torch.tensor([0.1, 0.1, 0.1, 0.5, -3.0]))
            head = [[1.0, 0, 0, 5, 9], [0, 2.0, -1, 5, 9], [-1, 0, 1.0, 5, 9]]
            self.linear.weight.copy_(torch.tensor(head))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.gate(self.conv(x)).mean(dim=(2, 3)))


@pytest.fixture(scope="session")
def faces() -> np.ndarray:
    return generate(140, seed=3).images


@pytest.fixture(scope="session")
def part(faces: np.ndarray) -> np.ndarray:
    """An eye with its brow, of one drawn face."""
    return faces[0, 0, 12 : 12 + SIDE, 8 : 8 + SIDE].astype(np.float64)


@pytest.fixture
def known(part: np.ndarray) -> Known:
    return Known(part)
