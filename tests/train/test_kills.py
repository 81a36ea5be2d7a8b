"""Ten SIGKILLs, six of them inside a save: ``scripts/kill_training.py`` makes it hundreds."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_training.py"


def killed(folder, *options):
    """What the script tells of so many kills, and what stands on stderr."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options, "--json", "--epochs", "2", "--faces", "60"],
        env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_ten_kills_change_no_bit(tmp_path):
    tally, complaints = killed(tmp_path, "--kills", "10", "--inside", "6", "--seed", "1")
    assert sum(tally["kills"].values()) == 10
    inside = {place: n for place, n in tally["kills"].items() if place != "any time"}
    assert sum(inside.values()) >= 6
    assert len(inside) == 6, inside  # each place inside a save
    assert tally["differences"] == []
    assert tally["identical"] == tally["runs"] >= 2
    assert tally["resumes"] >= 6
    assert "Traceback" not in complaints


def test_two_ranks_of_which_one_is_killed_end_with_the_same_bits(tmp_path):
    tally, _ = killed(tmp_path, "--kills", "3", "--inside", "2", "--seed", "2", "--ranks", "2")
    assert sum(tally["kills"].values()) == sum(tally["others"].values()) == 3
    assert tally["differences"] == []
    assert tally["identical"] == tally["runs"] >= 1
