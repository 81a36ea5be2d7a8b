"""Pictures that are no faces, drawn or made from faces: what a network should refuse to judge.

Kinds that are drawn: noise, textures, text, blobs, dead leaves. Made from given faces: patches
in another order (``scrambled``), ``upside_down``, ``turned`` by a quarter, enlarged ``parts``.
``crops`` cuts squares out of any pictures. ``worn`` makes bad pictures of faces that are faces.
Everything is seeded: picture i of a seed is the same however many are asked for. uint8
N×1×size×size, 0..255. Needs NumPy, OpenCV and Pillow only.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.errors import OptionError

Picture = NDArray[np.uint8]
_Rng = np.random.Generator
_Floats = NDArray[np.float64]
_LETTERS = "etaoinshrdlucmfwypvbgkqjxzETAOINSHRDLU0123456789.,:;!?"


def generate(kind: str, n: int, *, seed: int = 0, size: int = 48) -> Picture:
    """``n`` pictures of a kind of ``DRAWN``.

    Raises:
        OptionError: no such kind.
    """
    if kind not in DRAWN:
        raise OptionError(f"no kind of picture is called '{kind}'; there are {', '.join(DRAWN)}")
    number = list(DRAWN).index(kind)
    made = [DRAWN[kind](np.random.default_rng((seed, number, i)), size) for i in range(n)]
    return np.array(made, dtype=np.uint8).reshape(n, 1, size, size)


def scrambled(faces: Picture, *, seed: int = 0) -> Picture:
    """Each face cut into 3×3, 4×4 or 6×6 patches, none of which stays in its place.

    Args:
        faces: uint8 N×C×H×W with H = W divisible by 12.

    Raises:
        OptionError: another size.
    """
    size = faces.shape[-1]
    if faces.shape[-2] != size or size % 12:
        raise OptionError(f"faces of {faces.shape[-2]}×{size} cannot be cut: a multiple of 12")
    out = np.empty_like(faces)
    for i, face in enumerate(faces):
        rng = np.random.default_rng((seed, 100, i))
        grid = int(rng.choice([3, 4, 6]))
        side = size // grid
        patches = face.reshape(len(face), grid, side, grid, side).swapaxes(2, 3)
        patches = patches.reshape(len(face), grid * grid, side, side)
        mixed = patches[:, _derangement(rng, grid * grid)].reshape(
            len(face), grid, grid, side, side
        )
        out[i] = mixed.swapaxes(2, 3).reshape(face.shape)
    return out


def upside_down(faces: Picture) -> Picture:
    """Faces turned by half a circle, N×C×H×W."""
    return np.ascontiguousarray(faces[:, :, ::-1, ::-1])


def turned(faces: Picture, *, seed: int = 0) -> Picture:
    """Faces turned by a quarter, to the left or to the right, N×C×H×H."""
    left = np.random.default_rng((seed, 102)).random(len(faces)) < 0.5
    out = np.rot90(faces, k=1, axes=(2, 3)).copy()
    out[~left] = np.rot90(faces[~left], k=3, axes=(2, 3))
    return out


def parts(faces: Picture, *, seed: int = 0) -> Picture:
    """A random part of each face, a fifth to under a half of its side, enlarged to the whole."""
    out = np.empty_like(faces)
    for i, face in enumerate(faces):
        rng, size = np.random.default_rng((seed, 103, i)), faces.shape[-1]
        side = int(rng.integers(size // 5, size * 9 // 20))
        y, x = rng.integers(0, size - side, size=2)
        for channel, plane in enumerate(face):
            part = plane[y : y + side, x : x + side]
            out[i, channel] = cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR)
    return out


def worn(faces: Picture, *, seed: int = 0) -> Picture:
    """Faces as cameras deliver them: enlarged from half the size, lighter, darker, flatter.

    These are faces still; they keep a judge of faces from taking a bad picture for none.
    """
    out = np.empty_like(faces)
    size = faces.shape[-1]
    for i, face in enumerate(faces):
        rng = np.random.default_rng((seed, 104, i))
        small = int(rng.integers(size * 2 // 5, size))
        scale, shift = rng.uniform(0.5, 1.2), rng.uniform(-30, 30)
        for channel, plane in enumerate(face):
            low = cv2.resize(plane, (small, small), interpolation=cv2.INTER_AREA)
            back = cv2.resize(low, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float64)
            shown = (back - back.mean()) * scale + back.mean() + shift
            out[i, channel] = np.clip(np.round(shown), 0, 255)
    return out


def crops(pictures: Sequence[Picture], n: int, *, seed: int = 0, size: int = 48) -> Picture:
    """``n`` random squares of random scale out of grey pictures H×W; the pictures in turn.

    The side lies between ``size`` and the picture's shorter side, or is that side if it is
    smaller. Squares with hardly any contrast are drawn again, at most ten times.
    """
    made = []
    for i in range(n):
        picture, rng = pictures[i % len(pictures)], np.random.default_rng((seed, 101, i))
        for _ in range(10):
            cut = _square(picture, rng, size)
            if cut.std() > 4:
                break
        made.append(cut)
    return np.array(made, dtype=np.uint8).reshape(n, 1, size, size)


def _square(picture: Picture, rng: _Rng, size: int) -> Picture:
    most = min(picture.shape)
    side = round(np.exp(rng.uniform(np.log(min(size, most)), np.log(most))))
    y, x = (int(rng.integers(length - side + 1)) for length in picture.shape)
    cut = picture[y : y + side, x : x + side]
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (size, size), interpolation=how), dtype=np.uint8)


def _derangement(rng: _Rng, n: int) -> NDArray[np.int64]:
    while True:
        order = rng.permutation(n)
        if not (order == np.arange(n)).any():
            return np.asarray(order, dtype=np.int64)


def _exposed(rng: _Rng, field: NDArray[Any]) -> Picture:
    """A field of any range at a random brightness and contrast, with a little grain."""
    centred = (field - field.mean()) / (field.std() + 1e-9)
    shown = rng.uniform(80, 175) + rng.uniform(20, 70) * centred
    shown += rng.normal(scale=rng.uniform(0, 4), size=field.shape)
    return np.asarray(np.clip(np.round(shown), 0, 255), dtype=np.uint8)


def _white(rng: _Rng, size: int) -> Picture:
    return _exposed(rng, rng.normal(size=(size, size)))


def _pink(rng: _Rng, size: int) -> Picture:
    """Amplitude falls with the frequency to a power of 0.7 to 1.6, as in photographs."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(size, size))) / frequency ** rng.uniform(0.7, 1.6)
    spectrum[0, 0] = 0
    return _exposed(rng, np.fft.ifft2(spectrum).real)


def _blurred(rng: _Rng, size: int) -> Picture:
    return _exposed(rng, cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0),
                                          rng.uniform(0.8, 6)))  # fmt: skip


def _axes(rng: _Rng, size: int) -> tuple[_Floats, _Floats]:
    """Coordinates in pixels, turned by a random angle and shifted."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:size, :size] + rng.uniform(0, size, size=(2, 1, 1))
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _stripes(rng: _Rng, size: int) -> Picture:
    u, v = _axes(rng, size)
    wave = np.sin(2 * np.pi * u / rng.uniform(3, 24) + rng.uniform(0, 4) * np.sin(v / 8))
    return _exposed(rng, np.sign(wave) if rng.random() < 0.5 else wave)


def _checks(rng: _Rng, size: int) -> Picture:
    u, v = _axes(rng, size)
    a, b = rng.uniform(3, 14, size=2)
    return _exposed(rng, np.asarray((np.floor(u / a) + np.floor(v / b)) % 2))


def _bricks(rng: _Rng, size: int) -> Picture:
    u, v = _axes(rng, size)
    height = rng.uniform(4, 12)
    length, joint = height * rng.uniform(1.5, 3), rng.uniform(0.8, 2)
    row = np.floor(v / height)
    along = (u + row % 2 * length / 2) % length
    tone = np.sin(12.9898 * row + 78.233 * np.floor((u + row % 2 * length / 2) / length))
    return _exposed(rng, np.where((v % height < joint) | (along < joint), -2.0, 0.7 * tone + 1))


def _cells(rng: _Rng, size: int) -> Picture:
    """Voronoi cells, each of one tone or shaded by the distance to its centre."""
    count = int(rng.integers(5, 60))
    centres = rng.uniform(0, size, size=(count, 2, 1, 1))
    distance = np.hypot(*(np.mgrid[:size, :size][:, None] - centres.swapaxes(0, 1)))
    nearest = distance.argmin(axis=0)
    return _exposed(
        rng, distance.min(axis=0) if rng.random() < 0.5 else rng.normal(size=count)[nearest]
    )


def _dots(rng: _Rng, size: int) -> Picture:
    u, v = _axes(rng, size)
    step = rng.uniform(5, 16)
    distance = np.hypot(u % step - step / 2, v % step - step / 2)
    return _exposed(rng, np.tanh(step * rng.uniform(0.15, 0.4) - distance))


def _text(rng: _Rng, size: int) -> Picture:
    """Lines of random letters in Pillow's own font, light on dark or dark on light."""
    height = int(rng.integers(8, 30))
    ink, paper = (0, 255) if rng.random() < 0.7 else (255, 0)
    image = Image.new("L", (2 * size, 2 * size), paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=height)
    for top in range(int(rng.integers(-height, 1)), 2 * size, round(height * 1.15)):
        letters = rng.choice(list(_LETTERS + "    "), size=40)
        draw.text((int(rng.integers(-size, 1)), top), "".join(letters), fill=ink, font=font)
    around = cv2.getRotationMatrix2D((size, size), rng.uniform(-12, 12), 1)
    turned = cv2.warpAffine(np.asarray(image), around, image.size, borderValue=paper)
    start = size // 2
    return _exposed(rng, turned[start : start + size, start : start + size].astype(np.float64))


def _blobs(rng: _Rng, size: int) -> Picture:
    """A bright or dark oval on a gradient with a few soft spots on it, out of focus."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    field = rng.normal() * x + rng.normal() * y
    spots = int(rng.integers(2, 8))
    widths = np.concatenate(
        [rng.uniform(0.18, 0.4, size=(1, 2)), rng.uniform(0.03, 0.15, (spots, 2))]
    )
    places = np.concatenate(
        [rng.normal(scale=0.06, size=(1, 2)), rng.uniform(-0.4, 0.4, (spots, 2))]
    )
    heights = np.concatenate([rng.normal(scale=2, size=1), rng.normal(size=spots)])
    for (wx, wy), (cx, cy), tall in zip(widths, places, heights, strict=True):
        field += tall * np.exp(-(((x - cx) / wx) ** 2) - ((y - cy) / wy) ** 2)
    return _exposed(rng, cv2.GaussianBlur(field, (0, 0), rng.uniform(0.5, 3)))


def _leaves(rng: _Rng, size: int) -> Picture:
    """Dead leaves: shapes of all sizes that cover each other, with the statistics of photographs.

    After Lee, Mumford and Huang 2001, "Occlusion Models for Natural Images", IJCV 41:35.
    """
    canvas = np.full((2 * size, 2 * size), rng.uniform(0, 255))
    y, x = np.mgrid[: 2 * size, : 2 * size] / size - 1
    grain = rng.uniform(0, 25)
    for _ in range(int(rng.integers(40, 160))):
        # The density of radii falls as their third power between 3 pixels and the whole picture.
        radius = (3**-2.0 - rng.random() * (3**-2.0 - size**-2.0)) ** -0.5
        centre = tuple(int(c) for c in rng.integers(0, 2 * size, size=2))
        axes = (round(radius), max(1, round(radius * rng.uniform(0.3, 1))))
        mask = np.zeros(canvas.shape, dtype=np.uint8)
        if rng.random() < 0.5:
            cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 1, -1)
        else:
            box = cv2.boxPoints((centre, (2.0 * axes[0], 2.0 * axes[1]), rng.uniform(0, 180)))
            cv2.fillPoly(mask, [box.astype(np.int32)], 1)
        covered = mask > 0
        tone = rng.uniform(0, 255) + rng.normal(scale=40) * x[covered]
        tone += rng.normal(scale=40) * y[covered]
        canvas[covered] = tone + rng.normal(scale=grain * rng.random(), size=tone.shape)
    soft = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.6, 3))
    return _exposed(rng, cv2.resize(soft, (size, size), interpolation=cv2.INTER_AREA).astype(float))


DRAWN: dict[str, Callable[[_Rng, int], Picture]] = {
    "white noise": _white,
    "pink noise": _pink,
    "blurred noise": _blurred,
    "stripes": _stripes,
    "checks": _checks,
    "bricks": _bricks,
    "cells": _cells,
    "dots": _dots,
    "text": _text,
    "blobs": _blobs,
    "leaves": _leaves,
}
