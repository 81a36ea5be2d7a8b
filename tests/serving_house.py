"""A server in a process of its own, with fakes behind it, and a picture to send."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_TESTS = Path(__file__).parent


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


def png(height: int = 120, width: int = 160, *, seed: int = 0) -> bytes:
    """A picture of noise around a brighter square, drawn here."""
    pixels = np.random.default_rng(seed).integers(0, 120, (height, width, 3), dtype=np.uint8)
    pixels[height // 3 : height // 2, width // 3 : width // 2] += 120
    return cv2.imencode(".png", pixels)[1].tobytes()
