"""The networks by name. A new one is a file beside ``cnn4.py`` and a line in ``ARCHITECTURES``."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn

from mien.config import from_json
from mien.errors import OptionError
from mien.models.cnn4 import CNN4, CNN4Config
from mien.models.residual import Residual, ResidualConfig
from mien.models.wide import Wide, WideConfig


class Architecture(NamedTuple):
    """A configuration's class and what builds the network from it."""

    config: type[Any]
    build: Callable[[Any], nn.Module]


ARCHITECTURES = {
    "cnn4": Architecture(CNN4Config, CNN4),
    "residual": Architecture(ResidualConfig, Residual),
    "wide": Architecture(WideConfig, Wide),
}


def architecture(name: str) -> Architecture:
    """The architecture called ``name``.

    Raises:
        OptionError: there is none of that name.
    """
    if name not in ARCHITECTURES:
        raise OptionError(f"no network is called '{name}'; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def config_from_json(name: str, data: Mapping[str, Any]) -> Any:
    """The configuration of architecture ``name`` from plain JSON.

    Raises:
        OptionError: no such architecture or field, or a value that it refuses.
    """
    return from_json(architecture(name).config, data)


def build(name: str, config: Any) -> nn.Module:
    """A network with fresh weights drawn from torch's global random state.

    Raises:
        OptionError: no such architecture, or a configuration of another one.
    """
    entry = architecture(name)
    if not isinstance(config, entry.config):
        raise OptionError(f"{type(config).__name__} is no configuration of '{name}'")
    return entry.build(config)
