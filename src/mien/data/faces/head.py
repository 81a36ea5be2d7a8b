"""Head, hair, ears, glasses and the furrows of the skin: all that lies around the four regions.

Furrows and jaw are moved by the zone ``rest`` alone. Legend of shapes as in ``shapes``.
"""

import numpy as np

from mien.data.faces.identity import Identity
from mien.data.faces.shapes import SIGN, Muscles, Shapes, col, side, strip

_ANGLE = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_COS, _SIN = np.cos(_ANGLE), np.sin(_ANGLE)
_FOLD = np.array([0.022, 0.03, 0.026, 0.018, 0.004])
_U7 = np.linspace(-1, 1, 7)


def head(shapes: Shapes, who: Identity, pull: Muscles) -> None:
    """Outline of the face (AU26 and 27 lower the chin), ears, neck, clothes."""
    width = col(who["width"])
    chin = col(who["chin"]) + 0.05 * pull.both(26) + 0.09 * pull.both(27) - 0.02 * pull.both(17)
    below = np.maximum(_SIN, 0)
    cheeks = (
        1
        - col(who["taper"]) * below * below
        + col(who["square"]) * 2 * below * below * (_COS * _COS)
    )
    x = width * _COS * cheeks
    y = np.where(_SIN > 0, chin, 1.2) * _SIN
    shapes.add("face", x, y)
    ear = side(who["ear"])
    shapes.add("ear", (side(who["width"]) + ear * 0.6 * (_COS[::4] + 0.2)) * SIGN,
               -0.08 + 0.24 * _SIN[::4], -0.2)  # fmt: skip
    neck = np.array([-0.62, -0.58, -0.7, 0.7, 0.58, 0.62])
    shapes.add("neck", width * neck, 0 * width + np.array([0.3, 1.0, 1.6, 1.6, 1.0, 0.3]), -0.3)
    collar_x = np.array([-1.6, -0.9, -0.45, 0, 0.45, 0.9, 1.6, 1.6, -1.6])
    collar_y = np.array([1.4, 1.18, 1.1, 1.45, 1.1, 1.18, 1.4, 2, 2])
    shapes.add("cloth", 0 * width + collar_x, 0 * width + collar_y, -0.3)


def hair(shapes: Shapes, who: Identity) -> None:
    """Hair behind the head, over the forehead, strands; beard and moustache."""
    width, kind = col(who["width"]), col(who["hair_kind"])
    long = np.clip((kind - 0.55) * 8, 0, 1)  # from short to shoulder-long
    bulk = 1.1 + 0.14 * long
    fall = -0.15 + 1.5 * long
    y = np.where(_SIN > 0, fall, -0.1 + 1.32 * _SIN)
    shapes.add("hair_back", width * bulk * _COS * (1.3 - 0.3 * _COS * _COS), y, -0.15)
    line, part, fringe = col(who["hairline"]), col(who["parting"]), col(who["fringe"])
    u = np.linspace(-1, 1, 11)
    # The edge over the forehead: high at the parting, falling to the temples.
    away = np.minimum(np.abs(u - part), 1)
    edge = line + 0.16 * fringe * away + 0.62 * u * u * u * u * u * u * (1 + 0.3 * long)
    crown = -1.4 + 0.35 * u * u + 0.35 * u * u * u * u * u * u
    xs = width * np.concatenate([1.04 * u, 1.1 * u[::-1]])
    ys = np.concatenate([edge, np.broadcast_to(crown[::-1], edge.shape)], axis=1)
    shapes.add("hair", xs, ys, 0.03)
    for i, at in enumerate((-0.85, -0.4, 0.2, 0.7)):
        sway = 0.1 * (at - part)
        low = line + (0.45 if abs(at) > 0.8 else 0.02) - 0.04 * (i % 2)
        shapes.add("strand", np.concatenate([part * 0.6 + 0.35 * at * (1 - 0 * part),
                   width * at * 0.9 + sway, width * at], axis=1),
                   np.concatenate([line * 0 - 1.25, line * 0.5 + 0.5 * low - 0.2, low], axis=1),
                   0.03)  # fmt: skip
    jaw = 14  # points 0 .. 14 of the outline run round the chin
    rim_x = (
        0.985
        * width
        * _COS[: jaw + 1]
        * (
            1
            - col(who["taper"]) * _SIN[: jaw + 1] ** 2
            + col(who["square"]) * 2 * _SIN[: jaw + 1] ** 2 * _COS[: jaw + 1] ** 2
        )
    )
    rim_y = col(who["chin"]) * _SIN[: jaw + 1] * 1.0
    inner = np.array([-0.9, -0.78, -0.58, -0.4, -0.2, 0, 0.2, 0.4, 0.58, 0.78, 0.9])
    drop = np.array([-0.4, -0.14, -0.02, -0.08, -0.2, -0.2])
    beard_y = col(who["mouth_y"]) + np.concatenate([drop, drop[-2::-1]])
    shapes.add("beard", np.concatenate([rim_x, width * inner], axis=1),
               np.concatenate([rim_y, beard_y], axis=1))  # fmt: skip
    tache_x = np.array([-0.36, -0.2, 0, 0.2, 0.36, 0.3, 0, -0.3])
    tache_y = np.array([-0.04, -0.17, -0.2, -0.17, -0.04, -0.02, -0.09, -0.02])
    shapes.add("moustache", 0 * width + tache_x, col(who["mouth_y"]) + tache_y, 0.08)


def furrows(shapes: Shapes, who: Identity, pull: Muscles) -> None:
    """Lines of forehead, glabella, crow's feet, nasolabial folds, mouth corners and chin."""
    u = _U7
    up = 0.06 * pull.both(1) + 0.02 * pull.both(2)
    for i, y in enumerate((-0.66, -0.745, -0.83)):
        short = 0.5 - 0.06 * i
        bend = 0.03 * u * u + 0.04 * pull.both(4) * (u * u - 0.3)
        shapes.add("forehead", short * u + 0 * up, y - up + bend)
    narrow = 0.075 - 0.02 * pull[4]
    shapes.add("glabella", (narrow + np.array([0, -0.01, 0.0])) * SIGN,
               side(who["brow_y"]) + np.array([-0.1, 0.0, 0.1]), 0.05)  # fmt: skip
    x0, y0 = side(who["eye_x"] + who["eye_w"]) + 0.05, side(who["eye_y"])
    for dy, slope in ((-0.04, -0.07), (0.02, 0.015), (0.07, 0.08)):
        shapes.add("crow", (x0 + np.array([0, 0.07, 0.15])) * SIGN,
                   y0 + dy + slope * np.array([0, 0.5, 1.0]))  # fmt: skip
    bag = np.linspace(-1, 1, 5)
    sag = 0.15 - 0.03 * pull[6]
    shapes.add("bag", (side(who["eye_x"]) + side(who["eye_w"]) * 0.9 * bag) * SIGN,
               y0 + sag - 0.05 * bag * bag + 0.02)  # fmt: skip
    wing, mouth_w = side(who["nose_w"]), side(who["mouth_w"])
    spread = 0.1 * pull[12] + 0.07 * pull[20] + 0.03 * pull[10]
    t = np.array([0, 0.25, 0.5, 0.75, 1.0])
    start_y, end_y = side(who["nose_y"]) - 0.07 - 0.05 * pull[9], side(who["mouth_y"]) + 0.05
    end_x = mouth_w + 0.11 + spread
    fold_x = wing + 0.04 + (end_x - wing - 0.04) * t + (0.03 + 0.1 * pull[12]) * 4 * t * (1 - t)
    fold_y = start_y + (end_y - start_y) * t
    shapes.add("fold", *strip(fold_x * SIGN, fold_y + 0 * fold_x, _FOLD), 0.04)
    shapes.add("marionette", (mouth_w + np.array([0.05, 0.08, 0.09])) * SIGN,
               side(who["mouth_y"]) + np.array([0.14, 0.21, 0.29]), 0.02)  # fmt: skip
    chin = col(who["chin"])
    arc = np.array([-0.2, -0.12, 0, 0.12, 0.2])
    shapes.add("chin", 0 * chin + arc, chin - 0.24 + 1.4 * arc * arc, 0.05)
    for dx, dy in ((-0.09, -0.13), (0.02, -0.15), (0.1, -0.12), (-0.03, -0.09), (0.06, -0.08)):
        shapes.add("dimple", chin * 0 + dx + np.array([0, 0.02]), chin + dy + np.array([0, 0.01]))


def glasses(shapes: Shapes, who: Identity) -> None:
    """Two rims from round to square, a bridge, two temples."""
    size, round_ = side(who["glasses_size"]), side(who["glasses_round"])
    c, s = _COS[::2], _SIN[::2]
    boxed = np.maximum(np.abs(c), np.abs(s))
    spread = round_ + (1 - round_) * (1 / boxed) * 0.82
    x, y = side(who["eye_x"]) + 0.02, side(who["eye_y"]) + 0.03
    rim_x = (x + size * c * spread) * SIGN
    rim_y = y + size * 0.82 * s * spread
    shapes.add("rim", rim_x, rim_y, 0.08)
    reach = side(who["eye_x"]) + 0.02 - size
    shapes.add("bridge", col(np.asarray(reach[:, 0, 0])) * np.array([-1, -0.4, 0.4, 1]),
               col(who["eye_y"]) + np.array([0.01, -0.03, -0.03, 0.01]), 0.14)  # fmt: skip
    shapes.add("temple", np.concatenate([x + size * 0.95, side(who["width"])], -1) * SIGN,
               y + np.array([-0.02, -0.06]), 0.0)  # fmt: skip
