"""A network from what a user names: a run, a .safetensors, or a factory in a Python file."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mien.errors import NetworkError, OptionError
from mien.models.checkpoint import load_model


@dataclass(frozen=True, kw_only=True)
class Opened:
    """network: as it was found. shape: C, then the image. name: for titles.

    own: one of mien's, which eats ``uint8``; others get ``float32`` of about 0..1. notes:
    sentences to show.
    """

    network: nn.Module
    shape: tuple[int, ...]
    name: str
    own: bool
    notes: tuple[str, ...] = ()

    def random_batch(self, count: int, seed: int) -> Tensor:
        """``count`` random pictures of the kind that the network takes."""
        generator = torch.Generator().manual_seed(seed)
        pixels = torch.randint(0, 256, (count, *self.shape), generator=generator)
        return self.as_input(pixels.to(torch.uint8))

    def as_input(self, pixels: Tensor) -> Tensor:
        """``uint8`` pictures as this network takes them."""
        return pixels if self.own else pixels.float() / 255


def open_network(model: str, input_shape: str = "") -> Opened:
    """Open ``model``; ``input_shape`` such as ``1,48,48`` is needed for FILE.py:FACTORY alone.

    A factory is called in this process with no arguments: it is the user's own code.

    Raises:
        MienError: the model cannot be read, or the factory fails or gives no ``nn.Module``.
    """
    file, _, factory = model.rpartition(":")
    if file.endswith(".py"):
        if not input_shape:
            raise OptionError(f"{model}: say what goes in, for example --input-shape 1,48,48")
        network = _call(Path(file), factory)
        return Opened(
            network=network, shape=parse_shape(input_shape), name=f"{factory} of {file}", own=False,
            notes=(f"{file} was run as code of this process",),
        )  # fmt: skip
    if model.endswith(".py"):
        raise OptionError(f"{model}: name the function that builds the network, as {model}:build")
    loaded = load_model(model)
    shape = (loaded.config.channels, loaded.config.size, loaded.config.size)
    if input_shape and parse_shape(input_shape) != shape:
        raise OptionError(f"--input-shape {input_shape}: this model takes {shape}")
    return Opened(network=loaded.network, shape=shape, name=f"{loaded.architecture} of {model}",
                  own=True)  # fmt: skip


def parse_shape(text: str) -> tuple[int, ...]:
    """``1,48,48`` or ``1x48x48`` as numbers: channels, then the image's axes.

    Raises:
        OptionError: it is nothing of the kind.
    """
    parts = text.replace("×", ",").replace("x", ",").split(",")
    try:
        shape = tuple(int(part) for part in parts)
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1 or len(shape) > 4:
        raise OptionError(
            f"--input-shape {text}: write channels and image without the batch, as 1,48,48"
        )
    return shape


def _call(file: Path, factory: str) -> nn.Module:
    if not file.is_file():
        raise OptionError(f"{file}: there is no such file")
    spec = importlib.util.spec_from_file_location(f"_mien_foreign_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise OptionError(f"{file}: cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    # A file may import its neighbours, as it could when it was run by itself.
    sys.path.insert(0, str(file.resolve().parent))
    try:
        spec.loader.exec_module(module)
        made = getattr(module, factory, None)
        if made is None:
            raise OptionError(f"{file}: has no '{factory}'")
        network = made if isinstance(made, nn.Module) else made()
    except OptionError:
        raise
    except Exception as error:
        said = (str(error).strip() or "no message").splitlines()[0]
        raise NetworkError(f"{file}:{factory}: {type(error).__name__}: {said}") from error
    finally:
        sys.path.remove(str(file.resolve().parent))
    if not isinstance(network, nn.Module):
        raise NetworkError(f"{file}:{factory}: gives a {type(network).__name__}, no nn.Module")
    return network
