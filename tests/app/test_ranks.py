"""A rank that dies under torchrun: the others say so and end, and any number of ranks goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def pid_of(rank, parent):
    """The process of ``rank`` below torchrun's own."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and f"RANK={rank}" in (
                (place / "environ").read_text().split("\0")
            ):
                return int(place.name)
        except (OSError, ValueError):
            continue
    return None


def test_a_rank_that_dies_ends_the_run_and_another_number_goes_on(tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
        str(20000 + time.time_ns() % 20000), "-m", "mien", "train", "synthetic:120",
        "--recipe", "demo", "--epochs", "40", "--batch-size", "16", "--save-every", "0",
        "--set", "model.widths=4,8,8,8", "--set", "train_sample=20", "--out", str(out),
        "--no-report",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    end = time.monotonic() + 200
    while not list((out / "state").glob("step-*")) and time.monotonic() < end:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    os.kill(pid_of(0, process.pid), signal.SIGKILL)  # the one that would speak for all
    _, stderr = process.communicate(timeout=200)
    assert process.returncode != 0
    told = [line for line in stderr.splitlines() if line.startswith("mien: rank 1: ")]
    assert len(told) == 1, stderr
    assert f"mien train --resume {out}" in told[0]
    assert "mien/train" not in stderr  # no traceback of mien's

    kept = sorted((out / "state").glob("step-*"))[-1].name
    resumed = subprocess.run(
        [sys.executable, "-m", "mien", "train", "--resume", str(out), "--no-report", "--json"],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr
    assert "other ranks or threads than it began with" in resumed.stderr
    assert json.loads(resumed.stdout)["whole"]["n"] == 12
    assert len((out / "history.csv").read_text().splitlines()) == 41
    assert sorted((out / "state").glob("step-*"))[-1].name > kept
