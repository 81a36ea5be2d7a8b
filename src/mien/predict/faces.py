"""Where the faces of a picture are: the Detector protocol, and the three that there are.

``haar`` needs no file: OpenCV's cascades (``haar``). ``yunet`` runs a network from a file that the
user has (``yunet``). ``none`` finds nothing on purpose: the picture as a whole is one face crop.

Boxes of all detectors mean the same: the square that FER2013 would have cut, from the brows' upper
edge or the hairline to the chin, so a crop of it looks as the crops of training do.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.types import Detection

DETECTORS = ("haar", "yunet", "none")


class Detector(Protocol):
    """Finds faces; several threads may call it at once.

    name: one of ``DETECTORS``. sure: the score from which on a pipeline takes a detection for one
    that the detector is sure of; 0 where every one is. A detector may have ``settings`` besides:
    all that its boxes depend on but the picture and its class, as JSON holds it; where they change,
    a record of scored files is begun anew.
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
        working: pixels along a picture's longer side at which it is searched; its class says more.
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
