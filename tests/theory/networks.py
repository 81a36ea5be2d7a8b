"""Three networks that mien does not know, and ways to break one."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.BatchNorm2d(4), nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(4, 6, 3, stride=2), nn.LeakyReLU(0.2), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(150, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 7),
    )  # fmt: skip


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.short = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.short is None else self.short(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.blocks = nn.Sequential(Residual(4, 4, 1), Residual(4, 8, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.pool(self.blocks(functional.relu(self.stem(x)))), 1))


class Dilated(nn.Module):
    """Dilated, grouped and depthwise convolutions, one a function with weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding="same", dilation=2)
        self.grouped = nn.Conv2d(8, 8, 3, padding=3, dilation=3, groups=4, padding_mode="reflect")
        self.depthwise = nn.Conv2d(8, 8, (5, 3), stride=(2, 1), padding=(2, 1), groups=8)
        self.weight = nn.Parameter(torch.randn(6, 8, 1, 1) * 0.3)
        self.head = nn.Linear(12, 7)

    def forward(self, x: Tensor) -> Tensor:
        a = functional.leaky_relu(self.stem(x), 0.1)
        b = torch.tanh(self.grouped(a)) + a
        c = functional.avg_pool2d(self.depthwise(b), 2)
        d = functional.conv2d(c, self.weight)
        return self.head(torch.cat([d.mean((2, 3)), d.amax((2, 3))], dim=1))


def factory() -> nn.Module:
    return plain()


def impossible() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(4), nn.Conv2d(4, 4, 7))


def explodes() -> nn.Module:
    raise ZeroDivisionError("on purpose")
