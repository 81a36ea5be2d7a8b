"""Where the faces of a picture are: the Detector protocol, and the three that there are.

``haar`` needs no file: OpenCV's cascades (``haar``). ``yunet`` runs a network from a file that the
user has (``yunet``). ``none`` finds nothing on purpose: the picture as a whole is one face crop.

Boxes of all detectors mean the same: the square that FER2013 would have cut, from the brows' upper
edge or the hairline to the chin, so a crop of it looks as the crops of training do.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.predict.boxes import SIZES
from mien.types import Detection

DETECTORS = ("haar", "yunet", "none")


class Detector(Protocol):
    """Finds faces; several threads may call it at once.

    name: one of ``DETECTORS``. sure: the score from which on a pipeline takes a detection for one
    that the detector is sure of; 0 where every one is. A detector may have ``settings`` besides:
    all that its boxes depend on but the picture and its class, a dict as JSON holds it; where they
    change, a record of scored files is begun anew.
    """

    name: str
    sure: float

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        """The faces of an upright picture, uint8 H×W×3 RGB, the largest first."""
        ...


class WholePicture:
    """Finds nothing; a pipeline takes the picture for one face crop."""

    name = "none"
    sure = 0.0

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        """No detections, whatever the picture shows."""
        return []


def open_detector(
    name: str = "haar",
    *,
    model_file: str | Path | None = None,
    working: int | None = None,
    **options: Any,
) -> Detector:
    """The detector of that name.

    Args:
        model_file: YuNet's ``.onnx``; the others take none.
        working: the size at which pictures are searched, in pixels along the longer side of a 4:3
            picture; its class says more.
        options: further arguments of its class, such as ``smallest=32`` for ``haar``.

    Raises:
        OptionError: no such detector, an argument that it does not have, or a file missing or
            given where none is used.
        ModelFileError: the file is no YuNet.
    """
    if name not in DETECTORS:
        raise OptionError(f"no detector is called '{name}'; there are {', '.join(DETECTORS)}")
    if name != "yunet" and model_file is not None:
        raise OptionError(f"the detector '{name}' takes no model file; yunet does")
    if working is not None:
        if name == "none":
            raise OptionError("the detector 'none' does not search; it takes no detector size")
        options["working"] = working
    if name == "yunet" and model_file is None:
        raise OptionError("the detector yunet needs its model: --detector-model FILE, in Python "
                          "detector_model=FILE, with face_detection_yunet_2023mar.onnx of OpenCV's "
                          "model zoo")  # fmt: skip
    try:
        if name == "haar":
            from mien.predict.haar import HaarDetector

            return HaarDetector(**options)
        if name == "yunet":
            from mien.predict.yunet import YuNetDetector

            return YuNetDetector(Path(str(model_file)), **options)
        return WholePicture(**options)
    except TypeError as error:
        raise OptionError(f"the detector '{name}': {error}") from error


def settings_of(detector: Detector) -> dict[str, Any]:
    """What the detector's boxes depend on, as it says; nothing where it does not.

    Raises:
        OptionError: its ``settings`` are no dict that JSON holds.
    """
    settings = getattr(detector, "settings", {})
    try:
        json.dumps(settings)
        fine = isinstance(settings, dict)
    except (TypeError, ValueError):
        fine = False
    if not fine:
        raise OptionError(f"the detector '{detector.name}': its attribute 'settings' is no dict of "
                          "strings, numbers, lists and dicts, as JSON holds them")  # fmt: skip
    return dict(settings)


def size_of(detector: Detector) -> int | None:
    """The size at which it searches, as its settings say; None where they do not."""
    size = settings_of(detector).get("working")
    return size if isinstance(size, int) else None


class Finer(NamedTuple):
    """size: at which a detector would see more of a picture; factor: what it is reduced to now."""

    size: int
    factor: float


def finer(detector: Detector, height: int, width: int) -> Finer | None:
    """Twice the detector's size, if it would show such a picture half as large again or more."""
    working, factor = size_of(detector), getattr(detector, "factor", None)
    if working is None or not callable(factor):
        return None
    size, now = min(2 * working, SIZES[1]), factor(height, width, working)
    return Finer(size, now) if factor(height, width, size) >= 1.5 * now else None
