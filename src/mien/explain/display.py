"""From signed maps to colours: the one step in which attributions are scaled for the eye.

1. The maps of a figure share one limit: the 99.5th percentile of all their absolute values, so
   that a few loud pixels do not make everything else white. Nothing is scaled picture by picture.
2. Values are divided by the limit and cut off at −1 and 1.
3. −1 … 0 … 1 is blue … white … vermillion (Okabe and Ito's, told apart by any colour vision):
   vermillion speaks for the class, blue against it. Laid over a picture, the colour covers it the
   more, the larger the value; at 0 the picture shows as it is.

Needs NumPy only.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILE = 99.5
COVER = 0.85  # how far the largest values hide the picture
# Value, red, green, blue; from a dark blue over white to a dark vermillion.
STOPS = np.array(
    [
        (-1.0, 0x00, 0x4C, 0x78),
        (-0.5, 0x3A, 0x93, 0xC6),
        (0.0, 0xFF, 0xFF, 0xFF),
        (0.5, 0xE8, 0x83, 0x3A),
        (1.0, 0xA8, 0x3E, 0x00),
    ]
)


def shared_limit(maps: Iterable[NDArray[np.floating]], percentile: float = PERCENTILE) -> float:
    """The value that is shown as full colour, for all maps (each H×W or N×H×W) of one figure.

    Always above 0: where nearly all values are 0, the largest; where all are, 1. Values that are
    not finite (maps of classes without images) are left out.
    """
    values = np.concatenate([np.zeros(0), *(np.abs(one).ravel() for one in maps)])
    values = values[np.isfinite(values)]
    if not len(values) or values.max() == 0:
        return 1.0
    limit = float(np.percentile(values, percentile))
    return limit if limit > 0 else float(values.max())


def scaled(maps: NDArray[np.floating], limit: float) -> NDArray[np.float32]:
    """Values −1..1 for display; values that are not finite become 0."""
    return np.asarray(np.nan_to_num(np.clip(maps / limit, -1, 1)), dtype=np.float32)


def colours(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Values −1..1 of any shape as RGB 0..255, with a last axis of 3."""
    channels = [np.interp(values, STOPS[:, 0], STOPS[:, 1 + c]) for c in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), dtype=np.uint8)


def overlay(values: NDArray[np.floating], picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Values −1..1 H×W laid over a grey picture H×W or a coloured one H×W×3 of 0..255; RGB H×W×3.

    The colour's weight is ``COVER`` times the absolute value.
    """
    under = np.asarray(picture, dtype=np.float64)
    under = under[..., None].repeat(3, axis=-1) if under.ndim == 2 else under
    weight = COVER * np.abs(values)[..., None]
    # Full colours, not pale ones: the weight alone tells how large a value is.
    mixed = weight * colours(np.where(values < 0, -0.75, 0.75)) + (1 - weight) * under
    return np.asarray(np.rint(np.clip(mixed, 0, 255)), dtype=np.uint8)


def as_picture(pixels_CHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture as H×W (grey) or H×W×3, as the functions here and figures take it."""
    return pixels_CHW[0] if len(pixels_CHW) == 1 else np.moveaxis(pixels_CHW, 0, -1)
