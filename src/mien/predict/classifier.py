"""Face crops to calibrated probabilities: one protocol, by onnxruntime alone or by torch.

``open_classifier`` finds the model and the backend. Importing this file imports neither.
N crops, C channels, K classes.
"""

import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import MissingExtraError, ModelFileError, OptionError, said
from mien.models import bundled
from mien.models.card import class_names, read_card, read_tensor_file
from mien.models.confidence import Confidence, read_confidence
from mien.models.onnx_file import OnnxFile, Outside, is_onnx, read_onnx
from mien.system import check_threads, cores
from mien.types import Scores

BACKENDS = ("auto", "onnx", "torch")
# Of crops; more are no faster, and a layer's output for these stays within the caches' reach.
BATCH = 32
_ELEMENTS: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 10: np.dtype("<f2")}


class Classifier(Protocol):
    """What reads expressions from crops; any number of threads may call it at once.

    classes: K names. size, channels: of the crops. confidence: temperature (already applied) and
    thresholds. novelty_threshold: above it a crop shows no face; None where the model cannot
    tell. card: what the model file says of itself. name: for people. backend: ``onnx``, ``torch``.
    """

    classes: tuple[str, ...]
    size: int
    channels: int
    confidence: Confidence
    novelty_threshold: float | None
    card: dict[str, Any]
    name: str
    backend: str

    def classify(self, crops: NDArray[np.uint8]) -> Scores:
        """Scores of uint8 N×C×size×size, in batches inside; N may be 0.

        Raises:
            ValueError: the crops have another type or shape.
        """
        ...


def open_classifier(
    model: Path | str = bundled.DEFAULT, *, backend: str = "auto", threads: int | None = None
) -> Classifier:
    """A classifier from a model that mien brings along, or from a file or folder.

    Args:
        model: a name of ``mien models`` or ``default``; an ``.onnx`` file; a ``.safetensors`` file
            or a run folder. A name wins over a folder so called; write ``./name`` for that.
        backend: ``auto`` takes an ONNX form where there is one, also ``model.onnx`` beside
            ``model.safetensors`` if it was made of it, and torch else.
        threads: of the processor for one call; by default all that this process may use.

    Raises:
        ModelFileError: no such model, or its file is damaged or foreign.
        OptionError: no such backend, or threads below 1 or above this process's cores.
        MissingExtraError: torch is needed.
    """
    if backend not in BACKENDS:
        raise OptionError(f"backend '{backend}': one of {', '.join(BACKENDS)}")
    if threads is not None and threads < 1:
        raise OptionError(f"threads {threads}: at least 1")
    check_threads(threads or 0)
    form, weights, name = _find(model)
    if backend == "torch" and weights is None:
        raise OptionError(f"{form}: an ONNX file runs with onnxruntime; give the model file itself")
    if backend == "onnx" and form is None:
        raise OptionError(
            f"{weights}: has no ONNX form yet; make one with 'mien export {model} --to onnx'"
        )
    if form is not None and backend != "torch":
        return OnnxClassifier(form, threads=threads, name=name)
    assert weights is not None
    try:
        from mien.predict.torch_classifier import TorchClassifier
    except ModuleNotFoundError as error:
        why = "backend torch" if backend == "torch" else f"{weights} (a model without an ONNX form)"
        raise MissingExtraError(why, "train") from error
    return TorchClassifier(weights, threads=threads, name=name)


def _find(model: Path | str) -> tuple[Path | None, Path | None, str]:
    """The model's ONNX file, its model file (one of them may lack), and its name."""
    if bundled.is_name(model):
        entry = bundled.entry(str(model))
        return entry.onnx, entry.weights, entry.name
    path = Path(model)
    if is_onnx(path):
        return path, None, path.stem
    if path.is_dir():
        name, path = path.name, path / "model.safetensors"
        if not path.is_file():
            raise ModelFileError(f"{path.parent}: no model.safetensors in it")
    elif path.is_file():
        name = path.stem
    else:
        known = ", ".join((bundled.DEFAULT, *bundled.names()))
        raise ModelFileError(f"{model}: no such file, and no model of mien's ({known})")
    beside = path.with_suffix(".onnx")
    if beside.is_file() and read_onnx(beside).meta.get("model_checksum") == _checksum(path):
        return beside, path, name
    return None, path, name


def _checksum(path: Path) -> str:
    return str(read_card(path)["checksum"])


class OnnxClassifier:
    """A ``Classifier`` by onnxruntime alone.

    Args:
        source: an ONNX file of mien's, or one that is in memory and keeps nothing outside.
        threads: as for ``open_classifier``. name: for people.

    Raises:
        ModelFileError: see ``read_onnx``; or the graph does not do what its card says.
    """

    backend = "onnx"

    def __init__(
        self, source: Path | str | OnnxFile, *, threads: int | None = None, name: str = ""
    ) -> None:
        import onnxruntime

        file = source if isinstance(source, OnnxFile) else read_onnx(source)
        place = Path(name or "model.onnx") if isinstance(source, OnnxFile) else Path(source)
        self.name = name or place.stem
        self.card = file.meta
        self.classes, self.size, self.channels = read_shape(self.card, place)
        self.confidence = read_confidence(self.card["about"]) or Confidence()
        self.novelty_threshold = _threshold(self.card, place)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        options.log_severity_level = 3
        # Kept, since the runtime may look at these bytes for as long as it lives.
        self._held = _outside(file, place)
        if self._held:
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(a) for a in self._held.values()]
            options.add_external_initializers(list(self._held), values)
        try:
            self._session = onnxruntime.InferenceSession(
                file.content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelFileError(f"{place}: onnxruntime cannot run it ({said[:160]})") from error
        self._outputs = self._check(place)

    def classify(self, crops: NDArray[np.uint8]) -> Scores:
        """See ``Classifier``."""
        check_crops(crops, self.channels, self.size)
        N, K = len(crops), len(self.classes)
        probabilities = np.empty((N, K), dtype=np.float32)
        novelty = np.empty(N, dtype=np.float32) if "novelty" in self._outputs else None
        for start in range(0, N, BATCH):
            part = slice(start, start + BATCH)
            found = self._session.run(self._outputs, {"images": np.ascontiguousarray(crops[part])})
            probabilities[part] = found[0]
            if novelty is not None:
                novelty[part] = found[1]
        return Scores(probabilities=probabilities, novelty=novelty)

    def _check(self, place: Path) -> list[str]:
        """The outputs to ask for.

        Raises:
            ModelFileError: inputs or outputs are not those that the card promises.
        """
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shapes = {one.name: (one.type, list(one.shape)[1:]) for one in (*inputs, *outputs)}
        pixels = [self.channels, self.size, self.size]
        wanted: dict[str, tuple[str, list[Any]]] = {
            "images": ("tensor(uint8)", pixels),
            "probabilities": ("tensor(float)", [len(self.classes)]),
        }
        if self.novelty_threshold is not None:
            wanted["novelty"] = ("tensor(float)", [])
        for name, shape in wanted.items():
            if shapes.get(name) != shape or len(inputs) != 1:
                raise ModelFileError(f"{place}: its graph's '{name}' is not what its card says")
        return [name for name in wanted if name != "images"]


def read_shape(card: dict[str, Any], place: Path) -> tuple[tuple[str, ...], int, int]:
    """Classes, side of the crops in pixels and channels, from a card.

    Raises:
        ModelFileError: the card does not say, or says something impossible.
    """
    try:
        size, channels = card["preprocessing"]["size"], card["preprocessing"]["channels"]
        about = card["about"]
    except (KeyError, TypeError) as error:
        raise ModelFileError(f"{place}: its card cannot be used ({said(error)})") from error
    classes = class_names(card, place)
    whole = type(size) is int and type(channels) is int and isinstance(about, dict)
    if not (whole and len(classes) >= 2 and 1 <= size <= 1024 and channels in (1, 3)):
        raise ModelFileError(f"{place}: its card cannot be used (a value out of its range)")
    return classes, size, channels


def check_crops(crops: NDArray[np.uint8], channels: int, size: int) -> None:
    """Refuse what is no batch of crops.

    Raises:
        ValueError: not uint8 N×channels×size×size.
    """
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (channels, size, size):
        raise ValueError(
            f"crops are uint8 N×{channels}×{size}×{size}, "
            f"not {crops.dtype} {'×'.join(map(str, crops.shape))}"
        )


def _threshold(card: dict[str, Any], place: Path) -> float | None:
    value = card.get("novelty_threshold")
    if value is None:
        return None
    if type(value) not in (int, float) or not abs(value) < sys.float_info.max:
        raise ModelFileError(f"{place}: its card cannot be used (novelty_threshold)")
    return float(value)


def _outside(file: OnnxFile, place: Path) -> dict[str, NDArray[Any]]:
    """The tensors that the graph keeps in the model file beside it, which is verified first.

    Raises:
        ModelFileError: that file is missing, damaged or another one, or too short.
    """
    if not file.outside:
        return {}
    named = file.meta["weights"]
    weights = place.parent / str(named["file"])
    if not weights.exists():
        raise ModelFileError(
            f"{place}: its weights are in {said(str(named['file']))}, which is not beside it; copy "
            "both, or write a file that holds all with 'mien export'"
        )
    beside = read_tensor_file(weights, "model")
    if beside.meta["checksum"] != named.get("checksum"):
        raise ModelFileError(f"{place}: belongs to another {named['file']} than lies beside it")
    return {tensor.name: _array(tensor, beside.content, place) for tensor in file.outside}


def _array(tensor: Outside, content: bytes, place: Path) -> NDArray[Any]:
    element = _ELEMENTS.get(tensor.kind)
    count = int(np.prod(tensor.shape, dtype=np.float64)) if tensor.shape else 1
    if (
        element is None
        or not 0 < count * element.itemsize == tensor.length
        or not 0 <= tensor.offset <= len(content) - tensor.length
    ):
        raise ModelFileError(f"{place}: its tensor '{said(tensor.name[:60])}' lies nowhere")
    flat: NDArray[Any] = np.frombuffer(content, element, count=count, offset=tensor.offset)
    return flat.reshape(tensor.shape)
