"""``mien filters`` as a person meets it, without a process of its own."""

import json

import pytest
from typer.testing import CliRunner

from mien.app.cli import app
from mien.errors import MienError

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 9, stride=3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(3, 7))
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "nets.py").write_text(NET)
    return f"{tmp_path}/nets.py:build"


def mien(*arguments):
    return CliRunner().invoke(app, ["filters", *map(str, arguments)])


def test_a_table_sentences_and_a_sheet(net, tmp_path):
    common = [net, "synthetic:60", "--split", "all", "--input-shape", "1,48,48", "--steps", 2,
              "--filters", "2,0", "--out", tmp_path / "out"]  # fmt: skip
    done = mien(*common)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out/explain/filters.npz").is_file()
    assert (tmp_path / "out/figures/filters.svg").is_file()
    # Drawn faces are nobody: their patches are in the sheet, nine for each of two filters.
    assert (tmp_path / "out/figures/filters.svg").read_text().count("<image") == 2 * (3 + 9)
    done = mien(*common, "--json")
    data = json.loads(done.stdout)
    assert sorted(one["number"] for one in data["filters"]) == [0, 2]
    assert data["summary"]["living"] == 2


def test_help_and_errors(net):
    done = mien("--help")
    assert "Examples:" in done.output
    for wrong, message in ((["--lang", "de"], "--lang de"), (["--layer", "9"], "--layer 9")):
        done = mien(net, "synthetic:30", "--input-shape", "1,48,48", "--split", "all", *wrong)
        assert isinstance(done.exception, MienError)
        assert message in str(done.exception)
        assert "\n" not in str(done.exception)
