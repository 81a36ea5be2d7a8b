"""Filling outlines and drawing lines in flat tones, at twice the final size.

Light, shade, blur and noise come afterwards (``camera``). OpenCV draws polygons in fixed-point
integers, so the result is the same everywhere.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.faces.action_units import REGIONS
from mien.data.faces.chance import Floats
from mien.data.faces.identity import Identity
from mien.data.faces.shapes import Muscles

SHIFT = 5
OVER = 2  # supersampling
_AA, _STEPS = cv2.LINE_AA, cv2.LINE_8


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """One shape in the order of painting: filled where ``width`` is 0, else a line."""

    name: str
    width: int = 0
    closed: bool = False
    smooth: bool = True  # large shapes are smooth enough by the supersampling


# From back to front.
ORDER = (
    Stroke(name="cloth", smooth=False), Stroke(name="hair_back", smooth=False),
    Stroke(name="neck", smooth=False), Stroke(name="ear", smooth=False), Stroke(name="face"),
    Stroke(name="forehead", width=1),
    Stroke(name="glabella", width=1), Stroke(name="crow", width=1), Stroke(name="bag", width=1),
    Stroke(name="fold"), Stroke(name="marionette", width=1), Stroke(name="chin", width=1),
    Stroke(name="dimple", width=1), Stroke(name="beard"), Stroke(name="hair", smooth=False),
    Stroke(name="strand", width=1),
    Stroke(name="wing"), Stroke(name="septum", width=1), Stroke(name="nostril"),
    Stroke(name="wrinkle", width=1), Stroke(name="bunny", width=1), Stroke(name="moustache"),
    Stroke(name="lip_upper"), Stroke(name="lip_lower"), Stroke(name="cavity"),
    Stroke(name="tongue"), Stroke(name="teeth_lower"), Stroke(name="teeth_upper"),
    Stroke(name="meeting", width=1), Stroke(name="eye"), Stroke(name="iris"),
    Stroke(name="pupil"), Stroke(name="glint"), Stroke(name="crease", width=1),
    Stroke(name="lower_lid", width=1), Stroke(name="lash"), Stroke(name="brow"),
    Stroke(name="rim", width=1, closed=True), Stroke(name="bridge", width=2),
    Stroke(name="temple", width=1),
)  # fmt: skip
# Where masks meet, the later wins, as in the painting.
MASK_ORDER = ("nose", "mouth", "eyes", "brows")


def inks(who: Identity, pulls: dict[str, Muscles]) -> NDArray[np.int64]:
    """The tone of every stroke, N×len(ORDER), 0..255; -1 where it is not drawn."""
    skin, age, hair = who["skin"], who["age"], who["hair"]
    rest, lips, nose = pulls["rest"], pulls["mouth"], pulls["nose"]
    nothing = 0 * skin

    def mean(muscles: Muscles, number: int) -> Floats:
        return muscles.both(number)[:, 0]

    def crease(strength: Floats, depth: float = 0.45) -> Floats:
        """Skin, darker the stronger the line; absent when faint."""
        strength = np.clip(strength, 0, 1)
        return np.where(strength > 0.08, skin * (1 - depth * strength), -1)

    def only(shown: NDArray[np.bool_], tone: Floats) -> Floats:
        return np.where(shown, tone, -1)

    parted = mean(lips, 25) + mean(lips, 26) + mean(lips, 27)
    bald = who["hair_kind"] < 0.07
    bearded = (who["beard"] < 0.12) & (age < 0.9)
    moustached = (who["beard"] < 0.08) | ((who["beard"] > 0.12) & (who["beard"] < 0.16))
    glasses = who["glasses"] < 0.2
    inner, outer, frown = mean(rest, 1), mean(rest, 2), mean(rest, 4)
    smile, cheek = mean(rest, 12), mean(rest, 6)
    lip = skin * who["lip_tone"]
    white = np.minimum(0.62 + 0.3 * skin, 0.95)
    fold = 0.8 * smile + 0.6 * mean(rest, 10) + 0.55 * mean(rest, 9) + 0.3 * cheek
    fold = fold + 0.45 * mean(rest, 15) + 0.35 * mean(rest, 20) + 0.55 * age + 0.12
    teeth = who["teeth"] * (0.55 + 0.45 * skin)
    dark = 0.12 + 0.25 * skin
    growth = skin + (hair * 0.8 - skin) * who["beard_tone"]
    tones = {
        "cloth": who["cloth"], "hair_back": only(~bald, hair * 0.85), "neck": skin * 0.72,
        "ear": skin * 0.85, "face": skin, "beard": only(bearded, growth),
        "forehead": crease(0.85 * np.minimum(inner + 0.5 * outer, 1) + 0.8 * age, 0.4),
        "glabella": crease(0.95 * frown + 0.3 * mean(rest, 9) + 0.5 * age, 0.5),
        "crow": crease(0.9 * cheek + 0.3 * smile + 0.75 * age, 0.4),
        "bag": crease(0.7 * cheek + 0.3 * mean(rest, 7) + 0.8 * age + 0.1, 0.3),
        "fold": crease(fold, 0.36),
        "marionette": crease(0.7 * mean(rest, 15) + 0.75 * age, 0.35),
        "chin": crease(0.2 + 0.6 * mean(rest, 17) + 0.3 * age, 0.35),
        "dimple": crease(0.9 * mean(rest, 17), 0.35),
        "hair": only(~bald, hair), "strand": only(~bald, hair * 0.72 + 0.3 * hair * (1 - hair)),
        "wing": skin * (1 - who["nose_line"] * 0.75), "septum": skin * 0.62,
        "nostril": skin * 0.28,
        "wrinkle": crease(mean(nose, 9), 0.6), "bunny": crease(0.95 * mean(nose, 9), 0.55),
        "moustache": only(moustached, growth), "lip_upper": lip * 0.86, "lip_lower": lip,
        "cavity": 0.06 + 0.1 * skin,
        "tongue": only(mean(lips, 26) + mean(lips, 27) > 0.3, 0.2 + 0.2 * skin),
        "teeth_lower": only((parted > 0.25) & (mean(lips, 16) + mean(lips, 20)
                            + 0.5 * mean(lips, 10) + mean(lips, 23) * mean(lips, 25) > 0.3),
                            teeth * 0.88),
        "teeth_upper": only(parted > 0.3, teeth),
        "meeting": only(parted <= 0.3, skin * (0.42 - 0.12 * np.clip(mean(lips, 24), 0, 1))),
        "eye": white, "iris": np.minimum(who["iris_tone"], 0.5), "pupil": nothing + 0.03,
        "glint": nothing + 0.95, "crease": only(who["crease"] > 0.25, skin * 0.66),
        "lower_lid": skin * 0.66, "lash": dark * (1 - who["lash"] * 0.7),
        "brow": np.minimum(hair * 0.75, skin * 0.62), "rim": only(glasses, who["glasses_tone"]),
        "bridge": only(glasses, who["glasses_tone"]), "temple": only(glasses, who["glasses_tone"]),
    }  # fmt: skip
    table = np.stack([tones[stroke.name] for stroke in ORDER], axis=1)
    return np.where(table < 0, -1, np.rint(np.clip(table, 0, 1) * 255)).astype(np.int64)


def fixed(fractions: NDArray[np.float32], side: int) -> NDArray[np.int32]:
    """Points as OpenCV's fixed-point coordinates on a square canvas of ``side`` pixels."""
    # A fraction f lies at f·side, and OpenCV counts from the middle of the first pixel.
    units = np.float32(1 << SHIFT)
    return np.asarray(np.rint((fractions * side - 0.5) * units), dtype=np.int32)


def _curves(points: NDArray[np.int32], spans: list[tuple[int, int]]) -> Any:
    """Per face the curves of one name, equally long and one after the other in ``points``."""
    (start, _), (_, stop) = spans[0], spans[-1]
    return list(points[:, start:stop].reshape(len(points), len(spans), -1, 2))


def paint(
    canvas: NDArray[np.uint8],
    points: NDArray[np.int32],
    spans: dict[str, list[tuple[int, int]]],
    tones: NDArray[np.int64],
) -> None:
    """Draw the faces ``points`` (N×P×2) over the backgrounds in ``canvas`` (N×side×side)."""
    thicker = max(1, round(canvas.shape[1] / 96))
    fill, line = cv2.fillPoly, cv2.polylines
    plan = [(s.width * thicker, s.closed, _AA if s.smooth else _STEPS) for s in ORDER]
    curves = zip(*(_curves(points, spans[s.name]) for s in ORDER), strict=True)
    for picture, own, row in zip(canvas, curves, tones.tolist(), strict=True):
        for tone, curve, (width, closed, edge) in zip(row, own, plan, strict=True):
            if tone < 0:
                continue
            if width:
                line(picture, curve, closed, tone, width, edge, SHIFT)
            else:
                fill(picture, curve, tone, edge, SHIFT)


def region_masks(
    points: NDArray[np.int32], spans: dict[str, list[tuple[int, int]]], size: int
) -> NDArray[np.bool_]:
    """Masks N×R×size×size of the regions: every pixel that a region touches, disjoint."""
    curves = [_curves(points, spans[f"mask_{name}"]) for name in MASK_ORDER]
    numbers = [REGIONS.index(name) + 1 for name in MASK_ORDER]
    which = np.zeros((len(points), size, size), dtype=np.uint8)
    for picture, *own in zip(which, *curves, strict=True):
        for number, curve in zip(numbers, own, strict=True):
            cv2.fillPoly(picture, curve, number, _STEPS, SHIFT)
    numbers_R11 = np.arange(1, len(REGIONS) + 1, dtype=np.uint8)[:, None, None]
    return np.asarray(which[:, None] == numbers_R11)
