"""The README's commands run word for word, and its map names every folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MIEN_CACHE": str(folder / "cache"),
        "CUDA_VISIBLE_DEVICES": "",
    }
    for block in blocks("bash"):
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", block], cwd=folder, env=environment,
            capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return folder, environment


def test_shell_blocks_run(workplace):
    folder, _ = workplace
    assert len(blocks("bash")) >= 2
    assert (folder / "findings.png").is_file()
    assert (folder / "prediction.csv").read_text().startswith("id,label\n")
    for file in ("run.json", "history.csv", "model.safetensors", "predictions.parquet",
                 "evaluation.json", "training_hashes.npy", "figures/confusion.svg"):  # fmt: skip
        assert (folder / "runs/first" / file).is_file(), file


def test_python_blocks_run(workplace):
    folder, environment = workplace
    assert blocks("python")
    for block in blocks("python"):
        subprocess.run([sys.executable, "-c", block], cwd=folder, env=environment, check=True)


def test_every_folder_is_on_the_map():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    folders = {str(Path(name).parent) for name in tracked}
    for folder in folders:
        if folder == "." or folder.startswith("tests/"):
            continue
        assert f"`{folder}/`" in README, folder


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
