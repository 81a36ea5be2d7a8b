"""From the head's own coordinates to pixels: a turn of the head, then where it is in the picture.

The head is an ellipsoid; a turn moves what stands out of it more than its outline. Knows nothing
of which points are what.
"""

import numpy as np
from numpy.typing import NDArray

from mien.data.faces.chance import Floats
from mien.data.faces.identity import Identity

UNIT = 0.425  # pixels of the picture's side that one unit of the head takes, at scale 1
_USED = ("yaw", "pitch", "roll", "scale", "shift_x", "shift_y")


def project(points: Floats, depth: Floats, given: Identity) -> NDArray[np.float32]:
    """Points N×P×2 of the head as fractions of the picture, N×P×2 (0, 0 is its upper left)."""
    # Single precision is a thousandth of a pixel here, and IEEE makes it the same everywhere.
    x, y = points[..., 0].astype(np.float32), points[..., 1].astype(np.float32)
    who = {name: given[name].astype(np.float32) for name in _USED}
    z = 0.75 * np.sqrt(np.maximum(1 - 0.9 * x * x - 0.55 * y * y, 0)) + depth.astype(np.float32)
    yaw, pitch = who["yaw"][:, None], who["pitch"][:, None]
    turned = np.sqrt(1 - yaw * yaw) * x + yaw * (z - 0.3)
    nodded = np.sqrt(1 - pitch * pitch) * y - pitch * (z - 0.3)
    half = who["roll"][:, None]
    cosine, sine = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
    size = who["scale"][:, None] * UNIT
    across = (cosine * turned - sine * nodded) * size + 0.5 + who["shift_x"][:, None]
    down = (sine * turned + cosine * nodded) * size + 0.495 + who["shift_y"][:, None]
    return np.stack([across, down], axis=-1)
