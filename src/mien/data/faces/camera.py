"""Background before the painting; light, shade, blur, contrast and noise after it.

Only additions, products and square roots, and sums of whole numbers below 2^24: the same bytes
on every machine, whatever its BLAS.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.faces.chance import Floats
from mien.data.faces.identity import Identity
from mien.data.faces.pose import project
from mien.data.faces.shapes import Muscles

Singles = NDArray[np.float32]


def _bump(size: int, centre: NDArray[Any], radius: Floats) -> Floats:
    """(1 - d²)² within ``radius`` of ``centre``: N×B×size (positions as fractions)."""
    at = (np.arange(size) + 0.5) / size
    d = (at - centre[..., None]) / radius[..., None]
    return np.asarray(np.square(np.maximum(1 - d * d, 0)))


def background(who: Identity, chance: Floats, side: int, over: int) -> NDArray[np.uint8]:
    """Flat, a gradient, or a gradient with blobs: ``side``×``side``, each pixel ``over`` times."""
    at = (np.arange(side) + 0.5) / side - 0.5
    sloped = np.minimum(who["back_kind"] * 2, 1)[:, None]
    across = who["back"][:, None] + sloped * who["back_dx"][:, None] * at
    down = sloped * who["back_dy"][:, None] * at
    blobs = chance.reshape(len(chance), -1, 4)  # x, y, radius, tone of each
    busy = np.where(who["back_kind"] > 0.5, 1.0, 0.0)[:, None]
    tone = np.rint((blobs[..., 3] - 0.5) * 200 * busy)
    size = 0.12 + 0.4 * blobs[..., 2]
    rows = np.rint(_bump(side, blobs[..., 1], size) * 127) * tone[..., None]
    columns = np.rint(_bump(side, blobs[..., 0], size) * 127)
    spots = _sum_of_products(rows, columns) * np.float32(1 / (127 * 127))
    tones = (across * 200 + 25).astype(np.float32)[:, None, :] + (down * 200).astype(np.float32)[
        :, :, None
    ]
    fine = np.clip(np.rint(tones + spots), 0, 255).astype(np.uint8)
    return fine.repeat(over, axis=1).repeat(over, axis=2)


def _sum_of_products(rows: Floats, columns: Floats) -> Singles:
    """Σ_b rows[b]⊗columns[b], N×H×W, exact while whole numbers stay below 2^24."""
    left = np.ascontiguousarray(rows.astype(np.float32).transpose(0, 2, 1))
    return np.asarray(np.matmul(left, columns.astype(np.float32)), dtype=np.float32)


def shade(who: Identity, rest: Muscles, size: int) -> Singles:
    """N×size×size factors: light from one side, hollows and swellings of the face."""
    n = len(who["skin"])
    zero = np.zeros(n)
    lit, age = who["light_x"], who["age"]

    def au(number: int) -> Floats:
        return rest.both(number)[:, 0]

    smile = np.minimum(au(12) + 0.5 * au(6), 1.2)
    eye_x, eye_y, nose_y = who["eye_x"], who["eye_y"], who["nose_y"]
    width, chin, mouth_y = who["width"], who["chin"], who["mouth_y"]
    # x, y, radius across, radius down, amount
    spots: list[tuple[Floats | float, ...]] = []
    for sign in (-1.0, 1.0):
        spots += [
            (sign * (eye_x - 0.06), eye_y - 0.07, 0.36, 0.27, -0.2),
            (sign * 0.15, eye_y + 0.28, 0.12, 0.42, -0.09 + sign * 0.2 * lit),
            (sign * eye_x * 1.25, 0.14 - 0.05 * smile, 0.36, 0.28, 0.09 + 0.12 * smile),
            (sign * width * 0.72, 0.55, 0.32, 0.5, -0.1 - 0.08 * smile),
            (sign * width * 0.95, -0.5, 0.3, 0.5, -0.12),
            (sign * eye_x, eye_y + 0.17, 0.25, 0.09, -0.05 - 0.1 * age - 0.08 * au(6)),
        ]
    spots += [
        (0.0, 0.0, 0.1, 0.42, 0.13),
        (0.0, nose_y - 0.02, 0.12, 0.12, 0.14),
        (0.0, nose_y + 0.15, 0.2, 0.1, -0.16),
        (0.0, mouth_y + 0.24, 0.24, 0.1, -0.1),
        (0.0, chin - 0.12, 0.25, 0.16, 0.08),
        (0.0, -0.78, 0.6, 0.26, 0.08),
        (0.0, eye_y - 0.27, 0.14, 0.16, -0.14 * au(4)),
        (0.0, chin + 0.18, 0.9, 0.2, -0.25),
    ]
    table = np.stack([np.stack([zero + v for v in spot], axis=1) for spot in spots], axis=1)
    centre = project(table[..., :2], np.zeros(len(spots)), who)
    radius = table[..., 2:4] * (who["scale"] * 0.425)[:, None, None]
    rows = np.rint(_bump(size, centre[..., 1], radius[..., 1]) * 127)
    rows = np.rint(rows * table[..., 4:5])
    columns = np.rint(_bump(size, centre[..., 0], radius[..., 0]) * 127)
    relief = _sum_of_products(rows, columns) * np.float32(1 / (127 * 127))
    return (np.float32(1) + relief) * _light(who, size)


def _light(who: Identity, size: int) -> Singles:
    """Lambert's law on an ellipsoid filling the picture, flattened beyond its edge."""
    at = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) * 2 - 1
    x = np.clip(at * np.float32(0.95), -0.9, 0.9)
    y = np.clip(at * np.float32(0.7), -0.7, 0.7)
    out = np.sqrt(np.maximum(1 - x[None, :] * x[None, :] - y[:, None] * y[:, None], 0.08))
    amount = who["light"].astype(np.float32)[:, None, None]
    toward_x = who["light_x"].astype(np.float32)[:, None, None]
    toward_y = who["light_y"].astype(np.float32)[:, None, None]
    lambert = toward_x * x[None, None, :] + toward_y * y[None, :, None] + out[None] * 0.7
    return np.asarray(np.float32(1) + amount * (lambert - np.float32(0.5)), dtype=np.float32)


def _soften(light: Singles, weight: Singles) -> None:
    """Each pixel takes ``weight`` of either neighbour, first along columns, then along rows."""
    for view in (light, light.transpose(0, 2, 1)):
        inner = view[:, 1:-1]
        change = view[:, :-2] + view[:, 2:]
        change -= inner
        change -= inner
        change *= weight
        inner += change


def expose(flat: Singles, shading: Singles, who: Identity, noise: Singles) -> NDArray[np.uint8]:
    """Flat tones (N×H×W, 0..255) as a photograph: shaded, blurred, with contrast and noise."""

    def per_face(values: Floats) -> Singles:
        return values.astype(np.float32)[:, None, None]

    light = flat * shading
    _soften(light, per_face(0.26 * np.minimum(2 * who["blur"], 1)))
    more = np.flatnonzero(who["blur"] > 0.5)
    softer = light[more]
    _soften(softer, per_face(0.52 * (who["blur"] - 0.5))[more])
    light[more] = softer
    light -= np.float32(128)
    light *= per_face(who["gain"])
    light += per_face(128 + 255 * who["offset"])
    light += noise * per_face(1 + 7 * who["noise"])
    return np.asarray(np.clip(np.rint(light, out=light), 0, 255, out=light), dtype=np.uint8)
