"""Procedural faces with expressions drawn from facial action units: the data that mien embeds.

Label → action units (``faces.action_units``, after Ekman, Friesen and Hager 2002) → outlines
(``features``, ``head``) → pose → paint → light, blur, noise. Who is shown, the pose, light,
age, glasses, hair and background vary and never depend on the label. Needs NumPy and OpenCV only.

Face ``i`` of ``seed`` is always the same picture, however many are asked for.

``region="mouth"`` (or another of ``REGIONS``) makes that region alone carry the label: its action
units come from ``REGION_CODES``, one pattern a class; every other region, and the skin between
them (furrows, cheeks, jaw), shows the expression of a class drawn at random of its own. Natural
expressions leave some regions alone (nothing about the brows tells happy from neutral), so parts
of these codes are artificial: they make all seven classes differ in the chosen region.

========  ==========================================================================
brows     angry 4, fear 1+2+4, sad 1+4, surprise 1+2 as in life; happy 2, disgust 2+4 made up
eyes      angry 7, happy 6, surprise 5, sad 64 as in life; fear 5+63, disgust 43 made up
nose      disgust 9, angry 38 as in life; the rest made up of 9, 38 (flare), 39 (narrow);
          angry, happy (half a flare) and neutral are the hardest to tell at 48×48
mouth     angry 23+24, disgust 10+16+25, fear 20+25+26, happy 12+25, sad 15+17, surprise 27
neutral   nothing, in every region
========  ==========================================================================
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.faces import camera, features, head, paint
from mien.data.faces.action_units import ACTION_UNITS, DRAWS, HOME, NUMBERS, REGIONS, ZONES
from mien.data.faces.action_units import coded as _coded
from mien.data.faces.action_units import natural as _natural
from mien.data.faces.chance import Floats, grain, uniforms
from mien.data.faces.identity import NAMES, Identity, identity
from mien.data.faces.pose import project
from mien.data.faces.shapes import Shapes, zones
from mien.errors import OptionError
from mien.labels import CLASSES
from mien.types import Progress, silent

__all__ = ["ACTION_UNITS", "NUMBERS", "REGIONS", "Faces", "draw", "generate"]

BLOCK = 7 * 32  # faces that share one key; every block holds each class 32 times
_BLOBS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Faces:
    """N drawn faces.

    images: uint8 N×1×size×size.
    labels: int64 N, index into ``mien.labels.CLASSES``; -1 where action units were given.
    action_units: float32 N×A, intensities 0..1 in the order of ``NUMBERS``, each as shown in
        the region where that unit acts first.
    masks: bool N×R×size×size in the order of ``REGIONS``, or None. Brows; eyes with their lids;
        nose; lips with all between them. Every pixel that the region touches, after the pose.
        They do not overlap: where two meet, brows win over eyes, eyes over mouth, mouth over
        nose. Hair and glasses in front are not cut out.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    action_units: NDArray[np.float32]
    masks: NDArray[np.bool_] | None

    def __len__(self) -> int:
        return len(self.labels)


def generate(
    n: int,
    *,
    seed: int = 0,
    region: str | None = None,
    masks: bool = False,
    size: int = 48,
    progress: Progress = silent,
) -> Faces:
    """``n`` labelled faces, shuffled; every class is in each 224 of them equally often.

    Args:
        n: how many. The first of many are the same faces as few.
        seed: which faces; 0 or more.
        region: None, or the one of ``REGIONS`` that alone carries the label.
        masks: whether to return the masks of the regions (4 times the pictures' memory).
        size: side of the picture in pixels, 24..256.
        progress: told the faces done, after each block.

    Raises:
        OptionError: a value that cannot be used.
    """
    if region is not None and region not in REGIONS:
        raise OptionError(f"region '{region}': choose one of {', '.join(REGIONS)}, or none")
    out = _empty(n, seed, size, masks)
    for start in range(0, n, BLOCK):
        key = (seed, start // BLOCK)
        labels = _shuffled(key)
        count = min(BLOCK, n - start)
        intensities = _intensities(labels, region, key)[:count]
        _fill(out, start, labels[:count], intensities, key)
        progress("drawing faces", start + count, n)
    return out


def draw(
    intensities: NDArray[np.floating],
    *,
    seed: int = 0,
    masks: bool = False,
    size: int = 48,
) -> Faces:
    """Faces that show the given action units, N×A in the order of ``NUMBERS``, 0..1.

    Person, pose, light and background of face ``i`` are those of ``generate(…, seed=seed)``.

    Raises:
        OptionError: a value that cannot be used.
    """
    given = np.asarray(intensities, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != len(NUMBERS):
        raise OptionError(f"intensities of shape {given.shape}: give N×{len(NUMBERS)}")
    if not (np.all(given >= 0) and np.all(given <= 1)):
        raise OptionError("an intensity lies outside 0..1: scale it, 1 is maximal")
    out = _empty(len(given), seed, size, masks)
    for start in range(0, len(given), BLOCK):
        part = given[start : start + BLOCK]
        everywhere = np.repeat(part[:, None], len(ZONES), axis=1)
        _fill(out, start, np.full(len(part), -1), everywhere, (seed, start // BLOCK))
    return out


def _empty(n: int, seed: int, size: int, masks: bool) -> Faces:
    if n < 0:
        raise OptionError(f"{n} faces cannot be drawn: ask for 0 or more")
    if seed < 0:
        raise OptionError(f"seed {seed}: use 0 or more")
    if not 24 <= size <= 256:
        raise OptionError(f"size {size}: choose 24 to 256 pixels")
    return Faces(
        images=np.empty((n, 1, size, size), dtype=np.uint8),
        labels=np.empty(n, dtype=np.int64),
        action_units=np.empty((n, len(NUMBERS)), dtype=np.float32),
        masks=np.empty((n, len(REGIONS), size, size), dtype=np.bool_) if masks else None,
    )


def _shuffled(key: tuple[int, int]) -> NDArray[np.int64]:
    """The labels of a block: each class equally often, in random order."""
    order = np.argsort(uniforms((*key, 0), 1, BLOCK)[0], kind="stable")
    return np.asarray(order % len(CLASSES), dtype=np.int64)


def _intensities(labels: NDArray[np.int64], region: str | None, key: tuple[int, int]) -> Floats:
    """Intensities N×Z×A of every zone, for a whole block."""
    if region is None:
        shown = _natural(labels, uniforms((*key, 1), BLOCK, DRAWS))
        return np.repeat(shown[:, None], len(ZONES), axis=1)
    parts = []
    for z, zone in enumerate(ZONES):
        chance = uniforms((*key, 2 + z), BLOCK, DRAWS + 1)
        if zone == region:
            parts.append(_coded(labels, zone, chance[:, 1:]))
        else:
            other = np.asarray(chance[:, 0] * len(CLASSES), dtype=np.int64)
            parts.append(_natural(other, chance[:, 1:]))
    return np.stack(parts, axis=1)


def _outlines(intensities: Floats, who: Identity) -> Shapes:
    pulls, shapes = zones(intensities, who), Shapes()
    head.head(shapes, who, pulls["rest"])
    head.hair(shapes, who)
    head.furrows(shapes, who, pulls["rest"])
    head.glasses(shapes, who)
    features.brows(shapes, who, pulls["brows"])
    features.eyes(shapes, who, pulls["eyes"])
    features.nose(shapes, who, pulls["nose"])
    features.mouth(shapes, who, pulls["mouth"])
    return shapes


def _fill(
    out: Faces, start: int, labels: NDArray[np.int64], intensities: Floats, key: tuple[int, int]
) -> None:
    """Draw the first ``len(labels)`` faces of block ``key`` into ``out`` from ``start`` on."""
    count, size = len(labels), out.images.shape[-1]
    rows = slice(start, start + count)
    chance = uniforms((*key, 10), BLOCK, len(NAMES) + 4 * _BLOBS)[:count]
    who = identity(chance[:, : len(NAMES)])
    pulls = zones(intensities, who)
    shapes = _outlines(intensities, who)
    places = project(shapes.points(), shapes.depth(), who)
    canvas = camera.background(who, chance[:, len(NAMES) :], size, paint.OVER)
    paint.paint(canvas, paint.fixed(places, canvas.shape[1]), shapes.spans, paint.inks(who, pulls))
    flat = canvas[:, ::2, ::2].astype(np.float32)
    for dy, dx in ((0, 1), (1, 0), (1, 1)):
        flat += canvas[:, dy::2, dx::2]
    flat *= np.float32(0.25)
    noise = grain((*key, 11), (count, size, size))
    shading = camera.shade(who, pulls["rest"], size)
    out.images[rows, 0] = camera.expose(flat, shading, who, noise)
    out.labels[rows] = labels
    out.action_units[rows] = intensities[:, HOME, np.arange(len(NUMBERS))]
    if out.masks is not None:
        out.masks[rows] = paint.region_masks(paint.fixed(places, size), shapes.spans, size)
