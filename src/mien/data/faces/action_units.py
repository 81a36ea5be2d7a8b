"""Which muscles an expression moves: action units (AUs), and their intensities drawn at random.

The prototypes and major variants follow the table of emotion predictions in Ekman, Friesen and
Hager (2002), *Facial Action Coding System: Investigator's Guide*, chapter 12 (the base of
EMFACS, Friesen and Ekman 1983); how often which AU is seen is guided by Du, Tao and Martinez
(2014), "Compound facial expressions of emotion", PNAS 111(15), table 1.

An intensity is 0 (absent) .. 1 (maximal, FACS's E). Knows nothing of pixels.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.data.faces.chance import Floats
from mien.labels import CLASSES

# number: (name, the region where it acts first)
ACTION_UNITS = {
    1: ("inner brow raiser", "brows"),
    2: ("outer brow raiser", "brows"),
    4: ("brow lowerer", "brows"),
    5: ("upper lid raiser", "eyes"),
    6: ("cheek raiser", "eyes"),
    7: ("lid tightener", "eyes"),
    9: ("nose wrinkler", "nose"),
    10: ("upper lip raiser", "mouth"),
    12: ("lip corner puller", "mouth"),
    15: ("lip corner depressor", "mouth"),
    16: ("lower lip depressor", "mouth"),
    17: ("chin raiser", "mouth"),
    20: ("lip stretcher", "mouth"),
    23: ("lip tightener", "mouth"),
    24: ("lip pressor", "mouth"),
    25: ("lips part", "mouth"),
    26: ("jaw drop", "mouth"),
    27: ("mouth stretch", "mouth"),
    38: ("nostril dilator", "nose"),
    39: ("nostril compressor", "nose"),
    43: ("eyes closed", "eyes"),
    63: ("eyes up", "eyes"),
    64: ("eyes down", "eyes"),
}
NUMBERS = tuple(ACTION_UNITS)
REGIONS = ("brows", "eyes", "nose", "mouth")
# Furrows, cheeks, jaw and chin lie between the regions and are moved by a vector of their own.
ZONES = (*REGIONS, "rest")
HOME = np.array([REGIONS.index(region) for _, region in ACTION_UNITS.values()])


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to show an expression: AUs that are always there, and AUs that may be missing."""

    weight: float
    core: dict[int, float] = field(default_factory=dict)
    extra: dict[int, float] = field(default_factory=dict)


# fmt: off
VARIANTS: dict[str, tuple[Variant, ...]] = {
    "angry": (
        Variant(weight=4, core={4: 1.0, 23: 0.9}, extra={7: 0.9, 5: 0.4}),
        Variant(weight=3, core={4: 1.0, 24: 0.9}, extra={7: 0.9, 17: 0.4, 5: 0.4}),
        Variant(weight=3, core={4: 1.0, 10: 0.6, 25: 1.0, 23: 0.5}, extra={7: 0.9, 16: 0.4}),
    ),
    "disgust": (
        Variant(weight=4, core={9: 1.0, 15: 0.6, 16: 0.6, 25: 0.5}, extra={4: 0.3, 7: 0.6}),
        Variant(weight=4, core={9: 1.0, 10: 0.9}, extra={17: 0.7, 7: 0.6, 4: 0.3}),
        Variant(weight=2, core={9: 1.0, 10: 1.0, 25: 0.8}, extra={16: 0.6, 7: 0.6}),
    ),
    "fear": (
        Variant(weight=5, core={1: 1.0, 4: 0.7, 5: 1.0, 20: 1.0, 25: 1.0}, extra={2: 0.5, 26: 0.4}),
        Variant(weight=3, core={1: 1.0, 4: 0.6, 5: 1.0, 20: 0.8, 26: 0.5}, extra={2: 0.6, 25: 1.0}),
        Variant(weight=1, core={1: 1.0, 4: 0.7, 5: 1.0, 20: 1.0}, extra={2: 0.5, 25: 0.5}),
    ),
    "happy": (
        Variant(weight=4, core={12: 1.0, 25: 1.0}, extra={6: 0.9}),
        Variant(weight=3, core={12: 1.0}, extra={6: 0.9}),
        Variant(weight=2, core={12: 1.0, 25: 1.0, 26: 0.5}, extra={6: 1.0}),
    ),
    "sad": (
        Variant(weight=4, core={1: 1.0, 4: 0.8, 15: 0.9}, extra={64: 0.5}),
        Variant(weight=4, core={1: 1.0, 4: 0.8, 15: 0.9, 17: 0.8}, extra={64: 0.4, 43: 0.3}),
        Variant(weight=1, core={1: 1.0, 4: 0.7, 15: 1.0}, extra={6: 0.5, 25: 0.4}),
    ),
    "surprise": (
        Variant(weight=4, core={1: 1.0, 2: 1.0, 26: 1.0}, extra={5: 0.9, 25: 1.0}),
        Variant(weight=4, core={1: 1.0, 2: 1.0, 27: 0.9}, extra={5: 0.9, 25: 1.0}),
        Variant(weight=1, core={1: 1.0, 2: 1.0, 5: 1.0, 25: 1.0}, extra={26: 0.5}),
    ),
    "neutral": (Variant(weight=1),),
}
# fmt: on

# When one region alone carries the label, each class has one pattern there. Those of the mouth
# and most of the brows are natural; the others are a code, made so that all seven differ.
REGION_CODES: dict[str, dict[str, dict[int, float]]] = {
    "brows": {
        "angry": {4: 1.0},
        "disgust": {2: 1.0, 4: 1.0},
        "fear": {1: 1.0, 2: 1.0, 4: 1.0},
        "happy": {2: 1.0},
        "sad": {1: 1.0, 4: 0.7},
        "surprise": {1: 1.0, 2: 1.0},
        "neutral": {},
    },
    "eyes": {
        "angry": {7: 1.0},
        "disgust": {43: 1.0},
        "fear": {5: 1.0, 63: 1.0},
        "happy": {6: 1.0},
        "sad": {64: 1.0},
        "surprise": {5: 1.0},
        "neutral": {},
    },
    "nose": {
        "angry": {38: 1.0},
        "disgust": {9: 1.0},
        "fear": {9: 1.0, 39: 1.0},
        "happy": {38: 0.5},
        "sad": {39: 1.0},
        "surprise": {9: 1.0, 38: 1.0},
        "neutral": {},
    },
    "mouth": {
        "angry": {23: 0.9, 24: 0.9},
        "disgust": {10: 1.0, 16: 0.8, 25: 0.8},
        "fear": {20: 1.0, 25: 1.0, 26: 0.3},
        "happy": {12: 1.0, 25: 0.8},
        "sad": {15: 1.0, 17: 0.8},
        "surprise": {27: 0.9},
        "neutral": {},
    },
}
_MISSING = 0.18  # how often an AU of ``extra`` is left out
_STRAY = 0.05  # how often an AU that does not belong is there, weakly
DRAWS = 2 + 2 * len(NUMBERS)  # random numbers that ``natural`` or ``coded`` uses for one face


def _row(values: dict[int, float]) -> Floats:
    return np.array([values.get(number, 0.0) for number in NUMBERS])


_BASE = [np.stack([_row(v.core | v.extra) for v in VARIANTS[c]]) for c in CLASSES]
_EXTRA = [np.stack([_row(v.extra) > 0 for v in VARIANTS[c]]) for c in CLASSES]
_SHARE = [np.cumsum([v.weight for v in VARIANTS[c]]) / sum(v.weight for v in VARIANTS[c])
          for c in CLASSES]  # fmt: skip


def natural(labels: NDArray[np.int64], chance: Floats) -> Floats:
    """Intensities N×A of the expressions ``labels``, from ``chance`` (N×DRAWS uniforms)."""
    base = np.zeros((len(labels), len(NUMBERS)))
    extra = np.zeros(base.shape, dtype=bool)
    for label in range(len(CLASSES)):
        rows = np.flatnonzero(labels == label)
        variant = np.searchsorted(_SHARE[label][:-1], chance[rows, 0], side="right")
        base[rows], extra[rows] = _BASE[label][variant], _EXTRA[label][variant]
    first, second = np.split(chance[:, 2:], 2, axis=1)
    strength = _strength(chance[:, 1:2])
    shown = base * strength * (0.8 + 0.4 * first) * ~(extra & (second < _MISSING))
    stray = np.where((base == 0) & (second > 1 - _STRAY), 0.3 * first, 0.0)
    return np.asarray(np.clip(shown + stray, 0, 1))


def coded(labels: NDArray[np.int64], region: str, chance: Floats) -> Floats:
    """Intensities N×A by ``REGION_CODES[region]``: strong, nothing missing, nothing astray."""
    table = np.stack([_row(REGION_CODES[region][name]) for name in CLASSES])
    strength = 0.75 + 0.25 * chance[:, 1:2]
    return np.asarray(np.clip(table[labels] * strength * (0.9 + 0.2 * chance[:, 2::2]), 0, 1))


def _strength(chance: Floats) -> Floats:
    """How intense an expression is as a whole: mostly 0.65 .. 1.05, one in eight 0.4 .. 0.65."""
    return np.where(chance < 0.125, 0.4 + 2.0 * chance, 0.65 + 0.457 * (chance - 0.125))
