"""What the answers on detected faces rest on: a map for each face's crop. Needs torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError, OptionError
from mien.explain import DEFAULT_METHOD
from mien.explain.attribution import attribute
from mien.models import bundled
from mien.models.checkpoint import load_model
from mien.predict.crops import crops
from mien.predict.pipeline import Predictor
from mien.types import Face


class FaceExplainer:
    """The network behind a predictor, as torch has it.

    Raises:
        OptionError: the model has no torch form here, or another one than the predictor runs.
    """

    def __init__(self, model: str | Path, predictor: Predictor) -> None:
        try:
            self._network = load_model(_weights(model)).network.eval()
        except (MienError, OSError) as error:
            raise OptionError(
                f"--explain needs the network's weights, and {model} is none that torch opens "
                "here: name a run or a .safetensors file with --model"
            ) from error
        self._predictor = predictor

    def maps(
        self, picture: NDArray[np.uint8], faces: Sequence[Face]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Crops (uint8 N×C×S×S) of the faces, and what in them speaks for each face's label.

        float32 N×S×S by ``explain``'s default method; above 0 speaks for it, below against it.
        """
        classifier = self._predictor.classifier
        cut = crops(picture, [face.box for face in faces], classifier.size, classifier.channels)
        names = list(classifier.classes)
        targets = np.array([names.index(face.label) for face in faces])
        return cut, attribute(self._network, cut, method=DEFAULT_METHOD, targets=targets).maps


def _weights(model: str | Path) -> Path:
    """The model file; a name of mien's own models goes first, as for predicting."""
    if bundled.is_name(str(model)):
        return bundled.entry(str(model)).weights
    return Path(model)
