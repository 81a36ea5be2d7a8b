"""``mien score`` from the command line."""

import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image
from pyarrow import parquet


def mien(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "mien", "score", *map(str, arguments)], capture_output=True,
        text=True, timeout=120, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_score_writes_parts_and_says_what_was_left_out(tmp_path):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    for number in range(3):
        Image.fromarray(np.full((20, 20), 80 * number, np.uint8)).save(pictures / f"{number}.png")
    done = mien(pictures, "--out", out, "--detector", "none", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["pictures"], found["faces"], found["kept"]) == (3, 3, 0)
    assert parquet.read_table(out).num_rows == 3

    (pictures / "bad.png").write_bytes(b"no picture")
    done = mien(pictures, "--out", out, "--detector", "none")
    assert done.returncode == 1
    assert "1 pictures could not be read" in done.stderr
    assert parquet.read_table(out, columns=["path"])["path"].to_pylist() == [
        "0.png", "1.png", "2.png", "bad.png",
    ]  # fmt: skip


def test_options_that_do_not_fit_are_refused(tmp_path):
    done = mien(tmp_path, "--out", tmp_path / "out", "--workers", "2")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--engine ray" in done.stderr
    done = mien(tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "no picture in it" in done.stderr
    assert not (tmp_path / "out").exists()
