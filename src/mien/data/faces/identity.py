"""Who is shown and how: the quantities that vary from face to face and never with the label.

Lengths are in units of half the width of an average head; y grows downwards; (0, 0) lies
between the eyes and the tip of the nose. Tones are 0 (black) .. 1 (white).
"""

from collections.abc import Mapping

import numpy as np

from mien.data.faces.chance import Floats

Identity = Mapping[str, Floats]

# name: (lowest, highest); drawn evenly between the two.
RANGES: dict[str, tuple[float, float]] = {
    # head
    "width": (0.88, 1.0), "chin": (1.05, 1.18), "taper": (0.05, 0.34), "square": (0.0, 0.3),
    "ear": (0.1, 0.2),
    # brows
    "brow_y": (-0.52, -0.46), "brow_thick": (0.026, 0.055), "brow_arch": (0.0, 0.06),
    "brow_tilt": (-0.03, 0.03), "brow_in": (0.15, 0.21), "brow_out": (0.66, 0.75),
    # eyes
    "eye_x": (0.38, 0.44), "eye_y": (-0.22, -0.17), "eye_w": (0.175, 0.215),
    "eye_open": (0.082, 0.108), "eye_tilt": (-0.14, 0.08), "iris": (0.075, 0.092),
    "iris_tone": (0.08, 0.45), "crease": (0.0, 1.0), "gaze_x": (-0.05, 0.05),
    "gaze_y": (-0.012, 0.012), "lash": (0.5, 0.85),
    # nose
    "nose_y": (0.17, 0.25), "nose_w": (0.15, 0.21), "nose_line": (0.25, 0.6),
    # mouth
    "mouth_y": (0.53, 0.6), "mouth_w": (0.29, 0.355), "lip_upper": (0.04, 0.075),
    "lip_lower": (0.06, 0.1), "lip_tone": (0.62, 0.88), "teeth": (0.8, 0.98),
    # skin, age, hair
    "skin": (0.36, 0.88), "age": (0.0, 1.0), "hair": (0.04, 0.7), "hair_kind": (0.0, 1.0),
    "hairline": (-1.0, -0.84), "parting": (-0.5, 0.5), "fringe": (0.0, 1.0),
    "beard": (0.0, 1.0), "beard_tone": (0.35, 0.75), "glasses": (0.0, 1.0),
    "glasses_size": (0.24, 0.3), "glasses_tone": (0.0, 0.35), "glasses_round": (0.0, 1.0),
    # muscles: how much stronger one side of the face moves than the other
    "bias_upper": (-0.16, 0.16), "bias_lower": (-0.16, 0.16),
    # pose; ``roll`` is the tangent of half the angle, ``yaw`` and ``pitch`` are sines
    "roll": (-0.1, 0.1), "yaw": (-0.3, 0.3), "pitch": (-0.14, 0.14), "scale": (0.94, 1.06),
    "shift_x": (-0.05, 0.05), "shift_y": (-0.04, 0.04),
    # light and camera
    "light_x": (-1.0, 1.0), "light_y": (-0.9, 0.2), "light": (0.1, 0.5), "gain": (0.6, 1.08),
    "offset": (-0.07, 0.09), "blur": (0.0, 1.0), "noise": (0.0, 1.0), "grain_kind": (0.0, 1.0),
    # background
    "back": (0.0, 1.0), "back_kind": (0.0, 1.0), "back_dx": (-0.5, 0.5), "back_dy": (-0.5, 0.5),
    "cloth": (0.05, 0.9),
}  # fmt: skip
NAMES = tuple(RANGES)
_LOW = np.array([low for low, _ in RANGES.values()])
_SPAN = np.array([high - low for low, high in RANGES.values()])


def identity(chance: Floats) -> dict[str, Floats]:
    """One array of N numbers a name, from ``chance`` (N × ``len(NAMES)`` uniforms)."""
    values = np.ascontiguousarray((_LOW + _SPAN * chance).T)
    who = dict(zip(NAMES, values, strict=True))
    # Lines of age are faint on most; hair greys with age; pale and dark skins are all common.
    who["age"] = who["age"] * who["age"]
    who["hair"] = who["hair"] + (0.85 - who["hair"]) * np.clip(who["age"] * 2 - 1, 0, 1) * 0.7
    who["noise"] = who["noise"] * who["noise"]
    return who
