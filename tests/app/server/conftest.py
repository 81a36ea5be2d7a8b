"""Servers for the tests of this folder."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving_house import House, png


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The one that most tests ask."""
    made = House(tmp_path_factory.mktemp("house"), max_body=2**20, drain_seconds=0.1)
    yield made
    assert made.end() == 0


@pytest.fixture
def own_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Makes a server for one test."""
    made: list[House] = []

    def make(**settings: Any) -> House:
        made.append(House(tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        with contextlib.suppress(ProcessLookupError):
            one.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def picture() -> bytes:
    return png()
