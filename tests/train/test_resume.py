"""Interrupted runs end with the same bits as one that was not: SIGINT, SIGKILL, inside a save."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from mien.runs import Run

# Small enough that a run takes seconds, long enough that every kind of moment gets hit, on a fast
# machine as well.
COMMAND = [
    sys.executable, "-m", "mien", "train", "synthetic:400", "--epochs", "10", "--batch-size", "16",
    "--set", "model.widths=4,8,8,8", "--set", "model.hidden=16,16", "--set", "augment.erase=0.3",
    "--set", "objective.sampling_power=0.5", "--set", "train_sample=50", "--threads", "1",
    "--save-every", "0",
]  # fmt: skip


def environment():
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "120"}


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def history_without_times(run):
    lines = run.history.read_text().splitlines()
    return [line.rsplit(",", 2)[0] for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run([*COMMAND, "--out", str(out)], check=True, env=environment(),
                   capture_output=True)  # fmt: skip
    return Run.open(out)


def start(out, *more):
    resuming = (out / "run.json").exists()
    command = (
        [sys.executable, "-m", "mien", "train", "--resume", str(out), "--save-every", "0"]
        if resuming
        else [*COMMAND, "--out", str(out)]
    )
    return subprocess.Popen(
        [*command, *more], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)


def states(out):
    return sorted((out / "state").glob("step-*.safetensors"))


@pytest.mark.parametrize("kind", ["SIGKILL", "SIGINT", "inside a save"])
def test_interrupted_runs_end_the_same(kind, uninterrupted, tmp_path):
    out, rng, interruptions = tmp_path / "run", random.Random(kind), 0
    while interruptions < 3:
        process = start(out)
        before = states(out)
        wait_for(lambda before=before: states(out) != before, process)
        time.sleep(rng.uniform(0, 0.4))
        if kind == "inside a save":
            wait_for(lambda: any((out / "state").glob(".*.tmp")), process)
        if process.poll() is not None:
            break  # it was faster than the dice; the comparison below still holds
        process.send_signal(signal.SIGINT if kind == "SIGINT" else signal.SIGKILL)
        _, stderr = process.communicate(timeout=120)
        interruptions += 1
        if kind == "SIGINT":
            assert process.returncode == 130, stderr
            assert f"mien train --resume {out}" in stderr
            assert "Traceback" not in stderr
    assert interruptions >= 2
    process = start(out)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert sha(out / "model.safetensors") == sha(uninterrupted.model)
    assert history_without_times(Run(out)) == history_without_times(uninterrupted)
    assert len(states(out)) == 2
    assert not list(out.rglob("*.tmp"))


def test_a_damaged_last_state_falls_back_to_the_one_before(uninterrupted, tmp_path):
    out = tmp_path / "run"
    process = start(out)
    wait_for(lambda: len(states(out)) == 2, process)
    process.kill()
    process.communicate()
    newest = states(out)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    process = start(out)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert sha(out / "model.safetensors") == sha(uninterrupted.model)


def test_two_processes_on_one_run_are_kept_apart(tmp_path):
    out = tmp_path / "run"
    first = start(out, "--epochs", "500")
    wait_for(lambda: states(out) != [], first)
    second = start(out)
    _, stderr = second.communicate(timeout=120)
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert f"process {first.pid} is working on it" in stderr


def test_what_a_kill_leaves_before_the_run_has_begun_is_no_obstacle(tmp_path):
    out = tmp_path / "run"
    (out / "state").mkdir(parents=True)
    (out / "training_hashes.npy").write_bytes(b"half")
    (out / ".run.json.x.tmp").write_bytes(b"half")
    process = start(out)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr


def test_changed_data_are_noticed(tmp_path):
    data = tmp_path / "faces.zip"
    draw = [sys.executable, "-m", "mien", "draw", str(data), "-n", "300"]
    subprocess.run(draw, check=True, env=environment(), capture_output=True)
    out = tmp_path / "run"
    command = [*COMMAND, "--out", str(out)]
    command[command.index("synthetic:400")] = str(data)
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)  # fmt: skip
    wait_for(lambda: states(out) != [], process)
    process.kill()
    process.communicate()
    subprocess.run([*draw, "--seed", "1"], check=True, env=environment(), capture_output=True)
    process = start(out)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "not those that the run began with" in stderr
