"""The verb ``mien trust`` as a person calls it."""

import json
import sys
from pathlib import Path

import pytest

from mien.app import cli
from mien.explain.trust import measure

NETS = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(),
                         nn.Linear(4 * 11 * 11, 7))
"""


def mien(monkeypatch, *arguments) -> int:
    monkeypatch.setattr(sys, "argv", ["mien", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_table_sentences_json_and_figure(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(measure, "DRAWS", 2)
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS)
    asked = ("trust", "nets.py:build", "synthetic:120", "--input-shape", "1,24,24", "--quick",
             "--methods", "gradient, occlusion", "--images", "12")  # fmt: skip
    assert mien(monkeypatch, *asked) == 0
    shown = capsys.readouterr()
    assert "gradient × input" not in shown.out
    assert shown.out.count("knows nothing") == 5
    assert "By these numbers 'mien explain' would use" in shown.out
    assert "--quick: shuffled labels and faces of one region were left out" in shown.err
    folder = tmp_path / "nets-build-trust"
    assert {"trust.json", "trust.svg", "trust.png"} <= {file.name for file in folder.iterdir()}
    assert mien(monkeypatch, *asked, "--json", "--lang", "zh-Hant") == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((folder / "trust.json").read_text(encoding="utf-8"))
    assert [one["method"] for one in said["methods"]] == ["gradient", "occlusion"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--methods", "cam"), "--methods cam: choose of gradient"),
        (("--split", "best"), "--split best: one of train, validation, test or all"),
        (("--lang", "fr"), "--lang fr: one of en, zh-Hant"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(
    tmp_path: Path, monkeypatch, capsys, more, message
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS)
    asked = ("trust", "nets.py:build", "synthetic:40", "--input-shape", "1,24,24", *more)
    assert mien(monkeypatch, *asked) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert told[0].startswith(f"mien: {message}")
    assert [file.name for file in tmp_path.iterdir() if file.name != "mien-cache"] == ["nets.py"]
