"""Boxes, answers and bars drawn over a picture, legible on any ground and at any size.

Lines and letters grow with the picture. Each class has one of Okabe and Ito's colours, as in the
figures, which people with any colour vision can tell apart; every stroke has a dark rim, so that
it shows on light and dark alike. Needs Pillow and NumPy, no matplotlib.

Pillow's own font has Latin letters only. For Chinese names a font of the system is looked for;
where there is none, ``language_here`` says "en".
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.explain.display import overlay, scaled, shared_limit
from mien.labels import CLASSES, display_name
from mien.types import Box, Face
from mien.words import catalogue

# Okabe and Ito's eight, black for none of the seven: angry … neutral.
_COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#0072B2", "#56B4E9", "#C9D1D9")
_OTHER = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_UNKNOWN = "#9AA4AE"
_PANEL = (16, 20, 24, 205)
_TRACK = "#414A53"
_FONTS = ("NotoSansCJK-Regular.ttc", "NotoSansTC-Regular.otf", "NotoSansCJKtc-Regular.otf",
          "SourceHanSansTC-Regular.otf", "PingFang.ttc", "msjh.ttc", "wqy-microhei.ttc",
          "uming.ttc", "STHeiti Medium.ttc")  # fmt: skip
_PLACES = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts",
           "/System/Library/Fonts", "/Library/Fonts", "C:/Windows/Fonts")  # fmt: skip
_TAIWAN = {"NotoSansCJK-Regular.ttc": 3}  # the face with Taiwan's forms in a collection
_BARS = 3
_HIDDEN = 0.08  # of a panel's area, that it may hide of faces and other panels
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def colour_of(name: str, classes: Sequence[str]) -> str:
    """A class's colour, the same in every picture."""
    if name in CLASSES:
        return _COLOURS[CLASSES.index(name)]
    return _OTHER[list(classes).index(name) % len(_OTHER)] if name in classes else _UNKNOWN


@cache
def _cjk_file() -> str | None:
    there: dict[str, str] = {}
    for place in _PLACES:
        for folder, _, files in os.walk(Path(place).expanduser()):
            for name in files:
                if name in _FONTS:
                    there.setdefault(name, str(Path(folder, name)))
    return next((there[name] for name in _FONTS if name in there), None)


def language_here(language: str) -> str:
    """``language`` where its letters can be drawn here, else "en"."""
    return "en" if language == "zh-Hant" and _cjk_file() is None else language


@lru_cache(maxsize=64)
def _font(size: int, language: str) -> Font:
    file = _cjk_file() if language == "zh-Hant" else None
    if file:
        return ImageFont.truetype(file, size, index=_TAIWAN.get(Path(file).name, 0))
    return ImageFont.load_default(size)


def annotate(
    picture: NDArray[np.uint8],
    faces: Sequence[Face],
    *,
    seconds: float | None = None,
    maps: NDArray[np.float32] | None = None,
    crops: NDArray[np.uint8] | None = None,
    language: str = "en",
) -> NDArray[np.uint8]:
    """A copy of a picture with its faces marked.

    Args:
        picture: uint8 H×W×3 RGB.
        faces: as predicted on it; one without a box is the picture as a whole.
        seconds: of a clip's frame; shown in the corner.
        maps: float32 N×H×W, what in each face's crop speaks for and against its class.
        crops: uint8 N×C×H×W, the faces' crops, which the maps are laid over.
        language: en or zh-Hant, see ``language_here``.

    Returns:
        uint8 H×W×3 RGB, of the picture's size.
    """
    canvas = Image.fromarray(picture).convert("RGB")
    pen = _Pen(canvas, language_here(language))
    # The smaller faces last, so that they stay on top of larger ones that they lie in.
    order = sorted(range(len(faces)), key=lambda n: -_area(faces[n].box))
    for n in order:
        pen.box(faces[n])
    for n in order:
        inset = None
        if maps is not None and crops is not None:
            inset = _inset(maps[n], crops[n])
        pen.label(faces[n], inset)
    if seconds is not None:
        pen.clock(seconds)
    return np.asarray(pen.canvas, dtype=np.uint8)


class _Pen:
    """Draws on one picture, in units of its size."""

    def __init__(self, canvas: Image.Image, language: str) -> None:
        self.canvas, self.language = canvas, language
        # A hundredth of the picture's geometric mean side: 5.5 at 640×480, 14 at 12 megapixels.
        self.unit = max(2.0, (canvas.width * canvas.height) ** 0.5 / 100)
        self._texts = catalogue(language)
        # What a panel should not hide: faces, and panels that are there already.
        self._taken: list[tuple[int, int, int, int]] = []

    def box(self, face: Face) -> None:
        """The outline, turned as the face is."""
        if face.box is None:
            return
        draw = ImageDraw.Draw(self.canvas)
        corners = _corners(face.box)
        self._taken.append(_around(corners))
        line = max(2, round(0.42 * self.unit))
        for width, colour in ((line + 2 * max(1, line // 3), "#14181C"), (line, _colour(face))):
            draw.line([*corners, corners[0], corners[1]], fill=colour, width=width, joint="curve")

    def label(self, face: Face, inset: Image.Image | None) -> None:
        """The panel with the answer and the bars of the most probable classes."""
        panel = self._panel(face, inset)
        left, top, hidden = self._place(face.box, *panel.size)
        if inset is not None and hidden > _HIDDEN * panel.width * panel.height:
            panel = self._panel(face, inset, bars=0)
            left, top, hidden = self._place(face.box, *panel.size)
        if face.box is not None and hidden > _HIDDEN * panel.width * panel.height:
            # In a crowd the bars would cover other faces: a name along this one's lower edge.
            panel = self._panel(face, None, bars=0)
            box = _around(_corners(face.box))
            left = min(max(0, box[0]), max(0, self.canvas.width - panel.width))
            top = min(max(0, box[3] - panel.height), max(0, self.canvas.height - panel.height))
        self.canvas.paste(panel, (left, top), panel)
        self._taken.append((left, top, left + panel.width, top + panel.height))

    def clock(self, seconds: float) -> None:
        """The time in the lower left corner."""
        font = _font(self._letters(2.4), self.language)
        text = f"{int(seconds // 60)}:{seconds % 60:05.2f}"
        draw = ImageDraw.Draw(self.canvas, "RGBA")
        x, y = round(1.4 * self.unit), self.canvas.height - round(4.4 * self.unit)
        wide = draw.textlength(text, font=font)
        ground = (x - 0.6 * self.unit, y - 0.4 * self.unit, x + wide + 0.6 * self.unit,
                  y + 3.2 * self.unit)  # fmt: skip
        draw.rounded_rectangle(ground, radius=self.unit * 0.5, fill=_PANEL)
        draw.text((x, y), text, font=font, fill="white")

    def _letters(self, units: float, box: Box | None = None) -> int:
        """Size of letters: of the picture's, but no wider panels than small faces allow."""
        size: float = units * self.unit
        if box is not None:
            size = min(size, max(0.16 * box.width, 0.55 * size))
        return max(9, round(size))

    def _panel(self, face: Face, inset: Image.Image | None, bars: int = _BARS) -> Image.Image:
        large = self._letters(2.9, face.box)
        if not bars and inset is None and face.box is not None:
            large = max(8, min(large, round(0.14 * face.box.width)))
        small = max(8, round(0.74 * large))
        big, plain = _font(large, self.language), _font(small, self.language)
        answer = self._title(face)
        share = "" if face.not_a_face else f"{100 * face.confidence:.0f} %"
        pad, gap = round(0.45 * large), round(0.28 * large)
        ranked = [] if face.not_a_face else sorted(face.probabilities.items(), key=_down)[:bars]
        names = [self._name(name) for name, _ in ranked]
        wide_name = max((plain.getlength(name) for name in names), default=0)
        head = big.getlength(answer) + (1.0 * large + plain.getlength(share) if share else 0)
        bar = 4.2 * small
        wide = (max(head, wide_name + gap + bar) if ranked else head) + 2 * pad
        row = round(1.28 * small)
        high = 2 * pad + large + (gap + row * len(ranked) if ranked else 0)
        extra = 0
        if inset is not None:
            extra = max(round(high), 5 * large)
            high = max(high, extra)
        panel = Image.new("RGBA", (round(wide) + extra, round(high)))
        draw = ImageDraw.Draw(panel, "RGBA")
        draw.rounded_rectangle((0, 0, panel.width - 1, panel.height - 1), radius=pad * 0.7,
                               fill=_PANEL)  # fmt: skip
        draw.rectangle((0, pad * 0.7, max(2, 0.18 * large), panel.height - pad * 0.7),
                       fill=_colour(face))  # fmt: skip
        draw.text((pad, pad + large / 2), answer, font=big, fill="white", anchor="lm")
        draw.text((wide - pad, pad + large / 2), share, font=plain, fill="#D5DBE1", anchor="rm")
        top = pad + large + gap
        start = pad + wide_name + gap
        for (name, value), shown in zip(ranked, names, strict=True):
            middle, thick = top + row / 2, max(2, round(0.36 * small))
            draw.text((pad, middle), shown, font=plain, fill="#E8ECEF", anchor="lm")
            whole = (start, middle - thick / 2, wide - pad, middle + thick / 2)
            draw.rectangle(whole, fill=_TRACK)
            full = (wide - pad - start) * value
            draw.rectangle((start, whole[1], start + max(1, full), whole[3]),
                           fill=colour_of(name, list(face.probabilities)))  # fmt: skip
            top += row
        if inset is not None:
            side = round(extra - 2 * gap)
            shown_map = inset.resize((side, side), Image.Resampling.BICUBIC)
            panel.paste(shown_map, (round(wide), round((panel.height - side) / 2)))
        return panel

    def _title(self, face: Face) -> str:
        number = "" if face.id is None else f"{face.id}  "
        if face.not_a_face:
            return number + self._name(face.answer)
        name = self._name(face.label)
        return number + (self._texts["figure-unsure"].format(name=name) if face.unsure else name)

    def _name(self, name: str) -> str:
        return display_name(name, self.language)

    def _place(self, box: Box | None, wide: int, high: int) -> tuple[int, int, float]:
        """Left and top of a panel below, above or beside the box, and how many pixels it hides."""
        width, height = self.canvas.size
        if box is None:
            return round(self.unit), max(0, height - high - round(self.unit)), 0.0
        left, top, right, bottom = _around(_corners(box))
        gap = 0.7 * self.unit
        spots = [(left, bottom + gap), (left, top - gap - high), (right + gap, top),
                 (left - gap - wide, top), (right - wide, bottom + gap),
                 (right - wide, top - gap - high), (right + gap, bottom - high),
                 (left - gap - wide, bottom - high), (left, bottom - high - gap)]  # fmt: skip
        best, least = (0, 0), float("inf")
        for x, y in spots:
            inside_x = min(max(0, round(x)), max(0, width - wide))
            inside_y = min(max(0, round(y)), max(0, height - high))
            spot = (inside_x, inside_y, inside_x + wide, inside_y + high)
            hidden = sum(_common(spot, other) for other in self._taken)
            if hidden < least:
                best, least = (inside_x, inside_y), hidden
        return *best, least


def _colour(face: Face) -> str:
    if face.not_a_face:
        return _UNKNOWN
    return colour_of(face.label, list(face.probabilities))


def _inset(values: NDArray[np.float32], crop: NDArray[np.uint8]) -> Image.Image:
    under = crop[0] if len(crop) == 1 else np.moveaxis(crop, 0, -1)
    return Image.fromarray(overlay(scaled(values, shared_limit([values])), under))


def _down(one: tuple[str, float]) -> float:
    return -one[1]


def _area(box: Box | None) -> float:
    return float("inf") if box is None else box.width * box.height


def _corners(box: Box) -> list[tuple[float, float]]:
    """The four corners of a box, turned clockwise by its angle about its middle."""
    angle = np.deg2rad(box.angle)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.array([box.width, box.height]) / 2
    middle = np.array([box.left, box.top]) + half
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    points: Mapping[int, tuple[float, float]] = {
        n: (float(x), float(y)) for n, (x, y) in enumerate((signs * half) @ turn.T + middle)
    }
    return [points[n] for n in range(4)]


def _around(points: Sequence[tuple[float, float]]) -> tuple[int, int, int, int]:
    """The upright rectangle about points: left, top, right, bottom."""
    across, down = [x for x, _ in points], [y for _, y in points]
    return round(min(across)), round(min(down)), round(max(across)), round(max(down))


def _common(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> int:
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
