"""Models and training states as safetensors files; see ``card`` for the format.

Loading builds the network named in the metadata from mien's own registry, checks every shape
before any memory is taken, and executes nothing from the file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mien.config import to_json
from mien.errors import ModelFileError, OptionError, said
from mien.models import bundled
from mien.models.card import blank_metadata, class_names, read_tensor_file, seal
from mien.models.registry import build, config_from_json
from mien.runs import write_atomic

# Tensors beside the weights, which no network of the registry has a place for.
EXTRA = "novelty."
# What the metadata's ``stored`` says of a file whose large weights have half of the bits.
HALF = "float16"


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network with what is needed to use it.

    network: takes ``uint8`` N×C×size×size, gives ``float32`` N×K logits; in evaluation mode.
    architecture, config: what built it. classes: K names in the order of the logits.
    about: JSON-able facts on its origin. checksum: hex SHA-256 of its file, empty if unsaved.
    extras: tensors beside the weights, their names beginning with ``EXTRA``.
    """

    network: nn.Module
    architecture: str
    config: Any
    classes: tuple[str, ...]
    about: dict[str, Any] = field(default_factory=dict)
    checksum: str = ""
    extras: dict[str, Tensor] = field(default_factory=dict)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What a picture must become before it is handed to the network."""
        return {
            "size": self.config.size,
            "channels": self.config.channels,
            "dtype": "uint8",
            "range": [0, 255],
        }


def pack(kind: str, tensors: dict[str, Tensor], meta: dict[str, Any]) -> bytes:
    """Tensors and JSON-able metadata as the bytes of a sealed file; equal input, equal bytes."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return seal(safetensors_torch.save(plain, metadata=blank_metadata(kind, meta)))


def unpack(path: Path | str, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a sealed file.

    Raises:
        ModelFileError: missing, truncated, altered, foreign, or of another kind.
    """
    file = read_tensor_file(path, kind)
    try:
        return safetensors_torch.load(file.content), file.meta
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise ModelFileError(f"{path}: its tensors cannot be read ({said(error)})") from error


def model_bytes(model: Model, *, half: bool = False) -> bytes:
    """A model as the content of a ``.safetensors`` file.

    Args:
        half: store the weights of convolutions and linear layers as float16, all else as it is;
            ``load_model`` restores float32. Half the size, 11 bits of precision.
    """
    meta = {
        "architecture": model.architecture,
        "config": to_json(model.config),
        "classes": list(model.classes),
        "preprocessing": model.preprocessing,
        "about": model.about,
    }
    tensors = {**model.network.state_dict(), **model.extras}
    if half:
        meta["stored"] = HALF
        tensors = {key: t.half() if is_halved(key, t) else t for key, t in tensors.items()}
    return pack("model", tensors, meta)


def is_halved(name: str, tensor: Tensor) -> bool:
    """Whether a file of half precision stores this tensor as float16: weights of two axes or more.

    The rest is small, and some of it cannot bear it: a mean of 128 in steps of 0.125.
    """
    return name.endswith(".weight") and tensor.ndim > 1 and not name.startswith(EXTRA)


def save_model(path: Path, model: Model, *, half: bool = False) -> None:
    """Write a model atomically; ``half`` as for ``model_bytes``."""
    write_atomic(path, model_bytes(model, half=half))


def load_model(path: Path | str) -> Model:
    """A model from its ``.safetensors`` file, a run folder that holds one, or by mien's own name.

    Raises:
        ModelFileError: missing, truncated, altered, foreign, or not a model this mien knows.
    """
    path = bundled.place_of(path)
    if path.is_dir():
        path = path / "model.safetensors"
        if not path.is_file():
            raise ModelFileError(
                f"{path.parent}: no model.safetensors in it; is its training unfinished? "
                f"go on with 'mien train --resume {path.parent}'"
            )
    tensors, meta = unpack(path, "model")
    if "stored" in meta:
        tensors = _whole(tensors, meta["stored"], path)
    try:
        name = str(meta["architecture"])
        config = config_from_json(name, meta["config"])
        classes = class_names(meta, path)
        about = dict(meta["about"])
    except (OptionError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path}: its metadata cannot be used ({said(error)})") from error
    if len(classes) != config.classes:
        raise ModelFileError(f"{path}: {len(classes)} class names for {config.classes} outputs")
    extras = {key: tensors.pop(key) for key in sorted(tensors) if key.startswith(EXTRA)}
    if not all(bool(torch.isfinite(value).all()) for value in extras.values()):
        raise ModelFileError(f"{path}: its tensors are not all finite numbers")
    network = _restore(name, config, tensors, path)
    return Model(
        network=network,
        architecture=name,
        config=config,
        classes=classes,
        about=about,
        checksum=str(meta["checksum"]),
        extras=extras,
    )


def _whole(tensors: dict[str, Tensor], stored: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of a file of half precision in float32: exactly those that it must halve.

    Raises:
        ModelFileError: another precision, or a tensor in one that is not its own.
    """
    if stored != HALF:
        raise ModelFileError(f"{path}: weights stored as {str(stored)[:40]!r} cannot be read")
    for name, tensor in tensors.items():
        if (tensor.dtype == torch.float16) != is_halved(name, tensor):
            raise ModelFileError(f"{path}: tensor '{name}' does not have the precision it should")
    return {n: t.float() if is_halved(n, t) else t for n, t in tensors.items()}


class _Unfilled(TorchFunctionMode):
    """Leaves tensors without storage as they are where they should be filled with chance.

    To pretend it, torch would load its compiler, which takes a second of each start.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_) and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


def _restore(name: str, config: Any, tensors: dict[str, Tensor], path: Path) -> nn.Module:
    # On the meta device a network of any claimed size costs no memory, so a hostile
    # configuration is refused by comparing shapes before anything is allocated.
    try:
        with torch.device("meta"), _Unfilled():
            network = build(name, config)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(f"{path}: its configuration describes no network") from error
    wanted = {key: (value.shape, value.dtype) for key, value in network.state_dict().items()}
    found = {key: (value.shape, value.dtype) for key, value in tensors.items()}
    if wanted != found:
        wrong = sorted(
            key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)
        )
        raise ModelFileError(f"{path}: tensor '{said(wrong[0])}' does not fit the network '{name}'")
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise ModelFileError(f"{path}: its weights are not all finite numbers")
    network.load_state_dict(tensors, assign=True)
    return network.requires_grad_(True).eval()
