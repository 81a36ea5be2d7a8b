"""The classifier by torch, for models that have no ONNX form; the one file of the room with torch.

bf16 (autocast, channels last) where the processor multiplies it natively: 3 times as fast there,
and probabilities differ from float32's by a few hundredths at most (``PARITY``).
"""

import threading
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.errors import ModelFileError, NetworkError
from mien.evaluate.novelty import HEAD, WithNovelty
from mien.models.card import read_card
from mien.models.checkpoint import EXTRA, Model, load_model
from mien.models.confidence import Confidence, read_confidence
from mien.models.export import Served
from mien.predict.classifier import BATCH, check_crops, read_shape
from mien.types import Scores

# Greatest difference of a probability from float32's, by precision.
PARITY = {"fp32": 1e-4, "bf16": 0.05}


class TorchClassifier:
    """A ``Classifier`` (see there) by torch on the processor.

    Args:
        path: a ``.safetensors`` file of mien's. threads: None for torch's own choice.
        precision: ``fp32``, ``bf16``, or ``auto`` for bf16 where it is native.

    Raises:
        ModelFileError: the file is damaged or foreign.
    """

    backend = "torch"

    def __init__(
        self, path: Path, *, threads: int | None = None, name: str = "", precision: str = "auto"
    ) -> None:
        model = load_model(path)
        self.name, self.card = name or path.stem, read_card(path)
        self.classes, self.size, self.channels = read_shape(self.card, path)
        self.confidence = read_confidence(model.about) or Confidence()
        network, self.novelty_threshold = _scored(model, path)
        self.precision = _precision(precision)
        served = Served(network, temperature=self.confidence.temperature,
                        flip=self.confidence.flip,
                        smoothing=self.confidence.smoothing)  # fmt: skip
        self._served = served.eval()
        self._served.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._threads, self._lock = threads, threading.Lock()

    def classify(self, crops: NDArray[np.uint8]) -> Scores:
        """See ``Classifier``."""
        check_crops(crops, self.channels, self.size)
        found = [self._batch(crops[at : at + BATCH]) for at in range(0, len(crops), BATCH)]
        if not found:
            novelty = None if self.novelty_threshold is None else np.empty(0, dtype=np.float32)
            empty = np.empty((0, len(self.classes)), dtype=np.float32)
            return Scores(probabilities=empty, novelty=novelty)
        parts = [np.concatenate(part) for part in zip(*found, strict=True)]
        return Scores(probabilities=parts[0], novelty=parts[1] if len(parts) > 1 else None)

    def _batch(self, crops: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        images = torch.from_numpy(np.array(crops))
        half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bf16")
        # The score of novelty listens to the network's layers while it runs, and the number of
        # threads is the whole process's: one batch at a time.
        with self._lock, torch.inference_mode(), half:
            before = torch.get_num_threads()
            try:
                if self._threads:
                    torch.set_num_threads(self._threads)
                probabilities, _, *novelty = self._served(images)
            finally:
                torch.set_num_threads(before)
        return [part.float().numpy() for part in (probabilities, *novelty)]


def _scored(model: Model, path: Path) -> tuple[nn.Module, float | None]:
    """The network, with the score of novelty where the file holds one, and its threshold."""
    stored = model.about.get("novelty")
    if stored is None:
        return model.network, None
    try:
        taps = [(str(layer), int(call)) for layer, call in stored["taps"]]
        head = {name: model.extras[f"{EXTRA}{name}"] for name in HEAD}
        module = WithNovelty(model.network, taps, head).eval()
        with torch.inference_mode():
            module(torch.zeros(1, model.config.channels, model.config.size, model.config.size,
                               dtype=torch.uint8))  # fmt: skip
    except (KeyError, TypeError, ValueError, RuntimeError, NetworkError) as error:
        raise ModelFileError(f"{path}: its novelty score cannot be used ({error})") from error
    return module, float(module.threshold)


def _precision(asked: str) -> str:
    if asked != "auto":
        return asked
    has = torch.cpu.get_capabilities()
    return "bf16" if has.get("amx_bf16") or has.get("avx512_bf16") else "fp32"
