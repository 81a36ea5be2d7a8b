"""A server in a process of its own, with fakes behind it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

_TESTS = Path(__file__).parents[2]


class House:
    """address: ends in /. folder: where it runs; it ought to write nothing there."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        paths = f"{_TESTS.parent / 'src'}{os.pathsep}{_TESTS}"
        environment = {**os.environ, "PYTHONPATH": paths, "HOUSE": json.dumps(settings),
                       "TMPDIR": str(folder), "HOME": str(folder)}  # fmt: skip
        self.folder, self.log = folder, folder / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", str(_TESTS / "serving_fakes.py")], cwd=folder,
                env=environment, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().strip()
        assert self.address.startswith("http"), self.log.read_text()
        self.port = int(self.address.rstrip("/").rpartition(":")[2])

    def end(self, sig: int = signal.SIGTERM, patience: float = 20) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(patience)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


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


def png(height: int = 120, width: int = 160, *, seed: int = 0) -> bytes:
    """A picture of noise around a brighter square, drawn here."""
    pixels = np.random.default_rng(seed).integers(0, 120, (height, width, 3), dtype=np.uint8)
    pixels[height // 3 : height // 2, width // 3 : width // 2] += 120
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture(scope="session")
def picture() -> bytes:
    return png()
