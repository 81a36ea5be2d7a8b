"""Outlines of a face before it is posed: a growing list of points under names.

Legend: N faces, S = 2 sides (0 is the image's left), K points along a curve. A curve is N×K×2;
a pair of curves, one a side, N×S×K×2. Coordinates as in ``identity``.
"""

from dataclasses import dataclass, field

import numpy as np

from mien.data.faces.action_units import NUMBERS, ZONES
from mien.data.faces.chance import Floats
from mien.data.faces.identity import Identity

SIGN = np.array([-1.0, 1.0])[:, None]  # S×1: what outward means on a side


class Muscles:
    """The action units of one zone; every one is N×S×1, stronger on one side by ``bias``."""

    def __init__(self, intensities: Floats, bias: Floats) -> None:
        sides = np.stack([1 - bias, 1 + bias], axis=1)[:, :, None]
        self._pull = intensities.T[:, :, None, None] * sides

    def __getitem__(self, number: int) -> Floats:
        return np.asarray(self._pull[NUMBERS.index(number)])

    def both(self, number: int) -> Floats:
        """The mean of the two sides, N×1."""
        return np.asarray(self[number].mean(axis=1))

    def across(self, number: int, along: Floats) -> Floats:
        """N×K: from the left side's pull at -1 to the right side's at +1 of ``along``."""
        pull = self[number][:, :, 0]
        return np.asarray(pull[:, :1] * (1 - along) / 2 + pull[:, 1:] * (1 + along) / 2)


@dataclass
class Shapes:
    """Named curves and how far each stands out of the head (``depth``)."""

    curves: list[Floats] = field(default_factory=list)
    depths: list[Floats] = field(default_factory=list)
    spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    total: int = 0

    def add(self, name: str, x: Floats, y: Floats, depth: float | Floats = 0.0) -> None:
        """Curve or pair of curves ``name``; more under one name are drawn together."""
        x, y = np.broadcast_arrays(x, y)
        curve = np.stack([x, y], axis=-1)
        n, k = len(curve), curve.shape[-2]
        sides = curve.shape[1] if curve.ndim == 4 else 1
        self.curves.append(curve.reshape(n, sides * k, 2))
        self.depths.append(np.broadcast_to(np.asarray(depth, dtype=np.float64), (sides * k,)))
        for _ in range(sides):
            self.spans.setdefault(name, []).append((self.total, self.total + k))
            self.total += k

    def points(self) -> Floats:
        """All points, N×P×2."""
        return np.concatenate(self.curves, axis=1)

    def depth(self) -> Floats:
        """All depths, P."""
        return np.concatenate(self.depths)


def zones(intensities: Floats, who: Identity) -> dict[str, Muscles]:
    """The muscles of every zone, from intensities N×Z×A."""
    bias = {"brows": "bias_upper", "eyes": "bias_upper"}
    return {
        zone: Muscles(intensities[:, z], who[bias.get(zone, "bias_lower")])
        for z, zone in enumerate(ZONES)
    }


def col(values: Floats) -> Floats:
    """N as N×1, to go along a curve."""
    return np.asarray(values[:, None])


def side(values: Floats) -> Floats:
    """N as N×1×1, to go along a pair of curves."""
    return np.asarray(values[:, None, None])


def strip(x: Floats, y: Floats, half: Floats) -> tuple[Floats, Floats]:
    """A line as the outline (x, y) of a strip, ``half`` wide to each side of its points."""
    step_x, step_y = np.gradient(x, axis=-1), np.gradient(y, axis=-1)
    size = half / np.sqrt(step_x * step_x + step_y * step_y + 1e-9)
    across, down = -step_y * size, step_x * size
    return loop(x + across, x - across), loop(y + down, y - down)


def loop(upper: Floats, lower: Floats) -> Floats:
    """A closed outline from its upper and lower edge, both running the same way."""
    return np.concatenate([upper, lower[..., ::-1]], axis=-1)
