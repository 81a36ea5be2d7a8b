"""Where brows, eyes, nose, mouth and cheeks lie: a template of the registered face, and masks.

N images, R regions in the order of ``REGIONS``, H W height and width. FER2013's faces were
registered automatically, so that each feature lies near one place in all of them. The template's
shapes were drawn over the mean face of FER2013's Training images and over the mean face of each
class (``docs/regions.png``): eyes and nose stand still there, smiling mouths reach higher and
wider than others, surprised ones lower, and the mouth's ellipse covers them all. Brows are the
least certain: in the mean they melt into the shade of the eyes.

Where two shapes meet, brows win over eyes, eyes over mouth, mouth over nose, and all over cheeks,
as in the masks of drawn faces.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REGIONS = ("brows", "eyes", "nose", "mouth", "cheeks", "rest")
FEATURES = REGIONS[:4]  # what the masks of drawn faces have

Masks = NDArray[np.bool_]
Floats = NDArray[np.floating]

# A cheek is an ellipse beside the nose, placed by the eyes' middles and the mouth's: ``down`` on
# the way from the eyes' line to the mouth, ``out`` beyond the eye, its half axes ``across`` and
# ``along``; in units of the eyes' distance, and (down, along) of the way.
_DOWN, _OUT, _ACROSS, _ALONG = 0.53, 0.12, 0.32, 0.29


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A registered face, in 48ths of the picture's side; x counts from the face's middle line.

    Ellipses have a middle (x, y) and half axes (across, along); ``brow_bend`` is how much lower a
    brow's ends are than its middle; the nose is a trapezoid from ``nose_top`` to ``nose_bottom``
    with half its width at both.
    """

    middle: float = 24.0
    brow: tuple[float, float] = (8.7, 12.4)
    brow_half: tuple[float, float] = (7.2, 2.2)
    brow_bend: float = 1.0
    eye: tuple[float, float] = (8.5, 17.8)
    eye_half: tuple[float, float] = (6.3, 3.4)
    nose_top: tuple[float, float] = (2.0, 16.5)
    nose_bottom: tuple[float, float] = (5.8, 31.5)
    mouth_y: float = 37.9
    mouth_half: tuple[float, float] = (10.2, 5.2)


FER2013 = Layout()


def template(height: int, width: int, layout: Layout = FER2013) -> Masks:
    """The regions of a registered face, bool R×H×W; each pixel is in exactly one.

    A pixel belongs to the shape that its middle lies in. Any size: the layout is in fractions.
    """
    y = (np.arange(height)[:, None] + 0.5) * 48 / height
    x = (np.arange(width)[None, :] + 0.5) * 48 / width - layout.middle
    side = np.abs(x)
    bent = layout.brow[1] + layout.brow_bend * ((side - layout.brow[0]) / layout.brow_half[0]) ** 2
    brows = _ellipse(side - layout.brow[0], y - bent, layout.brow_half)
    eyes = _ellipse(side - layout.eye[0], y - layout.eye[1], layout.eye_half)
    (top_half, top), (bottom_half, bottom) = layout.nose_top, layout.nose_bottom
    along = (y - top) / (bottom - top)
    nose = (along >= 0) & (along <= 1) & (side <= top_half + (bottom_half - top_half) * along)
    mouth = _ellipse(x, y - layout.mouth_y, layout.mouth_half)
    gap, way = 2 * layout.eye[0], layout.mouth_y - layout.eye[1]
    cheeks = _ellipse(
        side - layout.eye[0] - _OUT * gap, y - layout.eye[1] - _DOWN * way,
        (_ACROSS * gap, _ALONG * way),
    )  # fmt: skip
    return disjoint(np.stack([brows, eyes, nose, mouth, cheeks]))


def from_masks(features_N4HW: Masks) -> Masks:
    """Masks of brows, eyes, nose and mouth with cheeks and rest added: bool N×6×H×W.

    The cheeks are placed by the middles of the two eyes and of the mouth, so they follow a turned
    head; a face without both eyes or without a mouth in the picture has no cheeks.
    """
    eyes, mouth = features_N4HW[:, 1], features_N4HW[:, 3]
    height, width = eyes.shape[-2:]
    y, x = (np.arange(height) + 0.5)[:, None], (np.arange(width) + 0.5)[None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = _centroid(eyes, x, y)
        beyond = x[None] > middle[:, :1, None]
        left, right = _centroid(eyes & ~beyond, x, y), _centroid(eyes & beyond, x, y)
        across = right - left
        gap = np.linalg.norm(across, axis=1)
        # Down the face: square to the eyes' line, so that a gaping mouth moves it but little.
        unit = across / gap[:, None]
        down = np.stack([-unit[:, 1], unit[:, 0]], axis=1)
        way = ((_centroid(mouth, x, y) - (left + right) / 2) * down).sum(axis=1)
        cheeks = np.zeros(eyes.shape, dtype=np.bool_)
        for eye, sign in ((left, -1.0), (right, 1.0)):
            at = eye + sign * _OUT * gap[:, None] * unit + _DOWN * way[:, None] * down
            dx, dy = x[None] - at[:, 0, None, None], y[None] - at[:, 1, None, None]
            u = dx * unit[:, 0, None, None] + dy * unit[:, 1, None, None]
            v = dx * down[:, 0, None, None] + dy * down[:, 1, None, None]
            half = (_ACROSS * gap[:, None, None], _ALONG * way[:, None, None])
            cheeks |= _ellipse(u, v, half)  # nan where a landmark is missing: nowhere inside
    return disjoint(np.concatenate([features_N4HW, cheeks[:, None]], axis=1))


def disjoint(shapes: Masks) -> Masks:
    """…×5×H×W shapes (brows, eyes, nose, mouth, cheeks) without overlaps, then the rest."""
    brows, eyes, nose, mouth, cheeks = np.moveaxis(shapes, -3, 0)
    eyes = eyes & ~brows
    mouth = mouth & ~(brows | eyes)
    nose = nose & ~(brows | eyes | mouth)
    inner = brows | eyes | mouth | nose
    cheeks = cheeks & ~inner
    return np.stack([brows, eyes, nose, mouth, cheeks, ~(inner | cheeks)], axis=-3)


def shifted(regions_RHW: Masks, dy: int, dx: int) -> Masks:
    """The template moved down by ``dy`` and right by ``dx`` pixels; what comes free is rest."""
    out = np.zeros_like(regions_RHW)
    H, W = regions_RHW.shape[-2:]
    to = slice(max(dy, 0), H + min(dy, 0)), slice(max(dx, 0), W + min(dx, 0))
    of = slice(max(-dy, 0), H + min(-dy, 0)), slice(max(-dx, 0), W + min(-dx, 0))
    out[:, to[0], to[1]] = regions_RHW[:, of[0], of[1]]
    out[-1] |= ~out.any(axis=0)
    return out


def shifts(most: int) -> list[tuple[int, int]]:
    """Every (dy, dx) of at most ``most`` pixels each way; the first is (0, 0)."""
    steps = sorted(range(-most, most + 1), key=abs)
    return [(dy, dx) for dy in steps for dx in steps]


def _ellipse(u: Floats, v: Floats, half: tuple[object, object]) -> Masks:
    return np.asarray(np.square(u / half[0]) + np.square(v / half[1]) <= 1)  # type: ignore[operator]


def _centroid(masks_NHW: Masks, x: Floats, y: Floats) -> Floats:
    """Middles (x, y) of masks, N×2; nan for an empty one."""
    count = masks_NHW.sum(axis=(1, 2))
    return np.stack(
        [(masks_NHW * x).sum(axis=(1, 2)) / count, (masks_NHW * y).sum(axis=(1, 2)) / count], axis=1
    )
