"""Brows, eyes, nose and mouth as outlines, each moved by the muscles of its own zone.

A region reads only its own zone's action units, so that one region alone can carry a label.
Legend of shapes as in ``shapes``.
"""

import numpy as np

from mien.data.faces.identity import Identity
from mien.data.faces.shapes import SIGN, Muscles, Shapes, col, loop, side, strip

_T7 = np.linspace(0, 1, 7)
_U9 = np.linspace(-1, 1, 9)
_U13 = np.linspace(-1, 1, 13)
_ANGLE = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_LASH = 0.026 - 0.012 * _U9[::2] * _U9[::2]
_WING = np.array([0.008, 0.02, 0.026, 0.024, 0.01])
_COS, _SIN = np.cos(_ANGLE), np.sin(_ANGLE)


def brows(shapes: Shapes, who: Identity, pull: Muscles) -> None:
    """AU1 raises the inner end, AU2 the outer, AU4 (and 9) lowers and draws them together."""
    t = _T7
    raised = 0.2 * pull[1] * (1 - t) * (1 - 0.35 * t) + 0.18 * pull[2] * t * (1.7 - 0.7 * t)
    # With AU1, the corrugator no longer lowers the inner end: the brow slants.
    lowered = pull[4] * (0.17 * (1 - t) * (1 - 0.85 * np.minimum(pull[1], 1)) + 0.035)
    lowered = lowered + 0.07 * pull[9] * (1 - t)
    arch = side(who["brow_arch"]) * 3.4 * t * t * (1 - t) * 2
    y = side(who["brow_y"]) - arch - side(who["brow_tilt"]) * (t - 0.5) - raised + lowered
    inner = side(who["brow_in"]) - 0.07 * pull[4] - 0.03 * pull[9]
    x = (inner + (side(who["brow_out"]) - inner) * t) * SIGN
    thick = side(who["brow_thick"]) * (0.8 + 0.8 * t - 1.45 * t * t)
    shapes.add("brow", loop(x, x), loop(y - thick, y + thick))
    shapes.add("mask_brows", loop(x, x), loop(y - thick - 0.008, y + thick + 0.008))


def eyes(shapes: Shapes, who: Identity, pull: Muscles) -> None:
    """Lids open by AU5, close by AU43, narrow from below by AU6 and 7; AU63, 64 turn the ball."""
    u = _U9
    shut = 1 - 0.93 * np.minimum(pull[43], 1)
    opening = side(who["eye_open"])
    upper = 1 + 0.85 * pull[5] - 0.36 * pull[7] - 0.05 * pull[6] - 0.5 * pull[64]
    lower = 0.75 + 0.1 * pull[5] - 0.48 * pull[7] - 0.85 * pull[6] + 0.1 * pull[63]
    upper = opening * np.maximum(upper, 0.25) * shut
    lower = opening * np.maximum(lower, -0.2) * np.where(shut < 1, 0.5 + 0.5 * shut, 1)
    # The closed lid comes down to the lower one.
    drop = opening * 0.5 * (1 - shut)
    width, x0, y0 = side(who["eye_w"]), side(who["eye_x"]), side(who["eye_y"])
    tilt = side(who["eye_tilt"]) * width
    bow = 0.65 * (1 - u * u) + 0.35 * (1 - u * u * u * u)
    x = (x0 + width * u) * SIGN
    line = y0 + tilt * u + drop * (1 - u * u)
    top = line - upper * bow
    bottom = np.maximum(line + lower * bow, top)
    shapes.add("eye", loop(x, x), loop(top, bottom))
    shapes.add("lash", *strip(x[..., ::2], top[..., ::2], _LASH))
    shapes.add("lower_lid", x[..., 1:], bottom[..., 1:] + 0.012)
    fold = 0.05 + 0.03 * side(who["crease"]) - 0.02 * pull[5] + 0.06 * (1 - shut)
    shapes.add("crease", x[..., 1:], (top - fold * (0.4 + 0.6 * bow))[..., 1:])
    wide = (x0 + width * 1.12 * u) * SIGN
    rim_top = line - (upper + fold + 0.012) * bow - 0.012
    rim_bottom = np.maximum(line + (lower + 0.03) * bow, top + 0.03) + 0.015
    shapes.add("mask_eyes", loop(wide, wide), loop(rim_top, rim_bottom))
    # Iris and pupil are cut off at the lids: points outside slide onto the lid's curve.
    gaze = side(who["gaze_x"]) * SIGN  # both eyes turn the same way
    level = y0 + drop + side(who["gaze_y"]) - opening * 0.12
    level = level - 0.055 * pull[63] + 0.06 * pull[64]
    for name, size in (("iris", 1.0), ("pupil", 0.5)):
        radius = side(who["iris"]) * size
        xs = np.clip(gaze + radius * _COS, -0.92 * width, 0.92 * width)
        at = xs / width
        square = at * at
        lid = 0.65 * (1 - square) + 0.35 * (1 - square * square)
        middle = y0 + tilt * at + drop * (1 - square)
        low = np.maximum(middle + lower * lid, middle - upper * lid)
        ys = np.clip(level + radius * _SIN, middle - upper * lid, low)
        shapes.add(name, (x0 + xs) * SIGN, ys)
    spot = np.stack([_COS[::4], _SIN[::4]]) * 0.022
    lit = np.minimum(side(who["light_x"]) * 0.03, 0.03)
    glint = np.maximum(level - 0.03, y0 + drop - upper * 0.8)
    shapes.add("glint", (x0 + gaze) * SIGN + lit + spot[0], glint + spot[1])


def nose(shapes: Shapes, who: Identity, pull: Muscles) -> None:
    """AU9 wrinkles the bridge and lifts the wings; AU38 flares the nostrils, AU39 narrows them."""
    flare = 1 + 0.34 * pull[38] - 0.3 * pull[39] + 0.1 * pull[9] + 0.1 * pull[12]
    wing = side(who["nose_w"]) * flare
    tip = side(who["nose_y"]) - 0.05 * pull[9]
    lift = 0.035 * pull[9]
    xs = wing * np.array([0.72, 0.98, 1.0, 0.78, 0.5]) * SIGN
    ys = tip - lift * np.array([1.2, 1, 1, 0.6, 0]) + np.array([-0.12, -0.05, 0.02, 0.06, 0.05])
    shapes.add("wing", *strip(xs, ys, _WING), 0.12)
    hole = 0.05 * (1 + 0.75 * pull[38] - 0.5 * pull[39])
    high = 0.022 * (1 + 1.0 * pull[38] - 0.45 * pull[39] + 0.3 * pull[9])
    shapes.add(
        "nostril", (wing * 0.47 + hole * _COS[::2]) * SIGN, tip + 0.045 + high * _SIN[::2], 0.16
    )
    middle = tip.mean(axis=1)
    base = np.array([-0.4, -0.15, 0.15, 0.4])
    breadth = wing.mean(axis=1)
    shapes.add("septum", breadth * base, middle + np.array([0.06, 0.085, 0.085, 0.06]), 0.2)
    for y in (-0.25, -0.15, -0.05):
        across = np.linspace(-1, 1, 5)
        reach = 0.085 + 0.05 * (y + 0.25)
        shapes.add(
            "wrinkle", col(who["eye_y"]) * 0 + reach * across, col(who["eye_y"]) + 0.2 + y
            + 0.03 * across * across + 0.0 * breadth, 0.12,
        )  # fmt: skip
    shapes.add("bunny", np.array([0.1, 0.16]) * SIGN + 0 * wing, tip + np.array([-0.2, -0.3]), 0.08)
    edge = np.concatenate([
        0 * wing + 0.09, 0 * wing + 0.15, wing + 0.03, wing + 0.035, wing * 0.75,
        0 * wing + 0.01,
    ], axis=-1) * SIGN  # fmt: skip
    down = np.concatenate([
        0 * tip + side(who["eye_y"]) - 0.09, 0 * tip + side(who["eye_y"]) + 0.12, tip - 0.13,
        tip + 0.03, tip + 0.09, tip + 0.11,
    ], axis=-1)  # fmt: skip
    outline_x = np.concatenate([edge[:, 0], edge[:, 1, ::-1]], axis=-1)
    outline_y = np.concatenate([down[:, 0], down[:, 1, ::-1]], axis=-1)
    shapes.add("mask_nose", outline_x, outline_y, 0.12)


def mouth(shapes: Shapes, who: Identity, pull: Muscles) -> None:
    """Lips, the dark between them, teeth and tongue."""
    u, square = _U13, _U13 * _U13
    fourth = square * square

    def au(number: int) -> np.ndarray:
        return pull.across(number, u)

    both = pull.both
    grow = 0.24 * both(12) + 0.26 * both(20) - 0.14 * both(23) - 0.1 * both(24) + 0.06 * both(10)
    grow = grow - 0.1 * both(26) - 0.2 * both(27) + 0.06 * both(15) - 0.06 * both(17)
    width = col(who["mouth_w"]) * (1 + grow)
    parted = np.minimum(both(25) + both(26) + both(27), 1)
    # The line where the lips meet.
    y = col(who["mouth_y"]) - 0.035 * both(17) - 0.01 * both(12) + 0.02 * both(24)
    y = y + au(12) * (0.035 - 0.2 * (0.8 * square + 0.2 * fourth))
    y = y + au(15) * (0.15 * (0.5 * square + 0.5 * fourth) - 0.025)
    y = y - au(17) * 0.035 * (1 - square) + 0.05 * au(20) * fourth
    # How far they part, more below than above; stretched lips part in a square, others round.
    gap = 0.07 * both(25) + 0.27 * both(26) + 0.46 * both(27) + 0.07 * both(12) * both(25)
    gap = np.minimum(gap, 0.5)
    flat = np.clip(both(20) + both(10) + 0.8 * both(16) + 0.4 * both(12), 0, 1)
    shape = (1 - flat) * (0.5 * (1 - square) + 0.5 * (1 - fourth)) + flat * (1 - fourth * square)
    raised = 0.075 * au(10) * (1 - square) * (0.75 + 1.2 * square)
    bared = raised * (0.35 + 0.65 * parted)
    sunk = 0.075 * au(16) * (1 - square) * (0.75 + 1.2 * square)
    y = y + 0.22 * gap  # the corners go halfway with the jaw
    inner_top = y - 0.46 * gap * shape - bared * parted
    inner_bottom = y + 0.54 * gap * shape + sunk * (0.3 + 0.7 * parted)
    closed = 1 - parted
    inner_top = inner_top - raised * closed * 0.5
    inner_bottom = np.maximum(inner_bottom - raised * closed * 0.5, inner_top)
    thin = 1 - 0.55 * both(23) - 0.75 * both(24) - 0.25 * both(12) - 0.3 * both(20)
    thin = np.maximum(thin - 0.15 * both(27), 0.2)
    bow = np.where(np.abs(u) < 0.2, 0.82, 1.0)
    upper = col(who["lip_upper"]) * thin * (1 - 0.25 * both(10)) * (1 - square) * bow
    lower = col(who["lip_lower"]) * thin * (1 + 0.25 * both(17) + 0.1 * both(16)) * (1 - square)
    top, bottom = inner_top - upper - 0.5 * raised * closed, inner_bottom + lower
    x = width * u
    shapes.add("lip_upper", loop(x, x), loop(top, inner_top), 0.05)
    shapes.add("lip_lower", loop(x, x), loop(inner_bottom, bottom), 0.05)
    shapes.add("cavity", loop(x, x), loop(inner_top, inner_bottom), 0.05)
    shapes.add("meeting", x, (inner_top + inner_bottom) / 2, 0.05)
    space = inner_bottom - inner_top
    show = np.clip(0.25 + 0.8 * both(12) + 0.8 * both(10) + 0.5 * both(20) + 0.4 * both(16), 0, 1)
    x_in, cut = x[:, 1:-1], slice(1, -1)
    low = np.clip(0.9 * both(16) + 0.7 * both(20) + 0.5 * both(10) + 0.3 * both(23), 0, 1)
    biting = inner_top + np.minimum(0.1 * show, (0.88 - 0.4 * low) * space)
    shapes.add("teeth_upper", loop(x_in, x_in), loop(inner_top[:, cut], biting[:, cut]), 0.04)
    rising = inner_bottom - np.minimum(0.075 * low, 0.35 * space)
    shapes.add("teeth_lower", loop(x_in, x_in), loop(rising[:, cut], inner_bottom[:, cut]), 0.04)
    tongue = slice(3, -3)
    back = inner_bottom - 0.4 * space * (1 - square)
    shapes.add(
        "tongue", loop(x[:, tongue], x[:, tongue]), loop(back[:, tongue], inner_bottom[:, tongue]),
        0.03,
    )  # fmt: skip
    around = x * 1.06
    shapes.add("mask_mouth", loop(around, around), loop(top - 0.014, bottom + 0.014), 0.05)
