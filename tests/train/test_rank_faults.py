"""A fault of one rank of two: all end, or go on, together, and say the same."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mien.errors import DataError, OptionError, RunError
from mien.train import ranks
from mien.train.memory import halved, pieces_on, undivided

SCRIPT = Path(__file__).with_name("faulty_ranks.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of the runs, and what their ranks noted: by run, in the order of the ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, check=False,
        env={**os.environ, "MIEN_CACHE": str(folder / "cache")}, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    notes = {
        path.stem: sorted(map(json.loads, path.read_text().splitlines()), key=lambda n: n["rank"])
        for path in folder.glob("*.jsonl")
    }
    return SimpleNamespace(folder=folder, notes=notes, stderr=done.stderr)


def test_a_disk_that_fails_the_first_rank_is_told_by_both(runs):
    first, second = runs.notes["disk"]
    assert first["said"] == second["said"]
    assert first["said"].startswith("RunError: ")
    for words in ("state/step-000000003.safetensors: cannot be written (No space left on device)",
                  "make room on the disk", f"mien train --resume {runs.folder}/disk"):  # fmt: skip
        assert words in first["said"]
    names = sorted(path.name for path in (runs.folder / "disk" / "state").iterdir())
    assert names == ["step-000000001.safetensors", "step-000000002.safetensors"]


def test_memory_that_fails_one_rank_halves_the_pieces_of_both(runs):
    for note in runs.notes["memory"]:
        assert note["said"] == ""
        (told,) = [sentence for sentence in note["told"] if "out of memory" in sentence]
        assert "with 8 images at once on each of 2 processes: going on with 4 at once" in told
        assert "over 2 pieces of a batch" in told
    # Without normalisation and dropout, pieces change only the rounding.
    whole, memory = (
        load_file(runs.folder / name / "model.safetensors") for name in ("whole", "memory")
    )
    assert all(torch.allclose(whole[key], memory[key], rtol=1e-3, atol=1e-5) for key in whole)
    assert all(note["said"] == "" and len(note["told"]) for note in runs.notes["whole"])


def test_memory_for_a_single_picture_on_one_rank_ends_both(runs):
    first, second = (note["said"] for note in runs.notes["narrow"])
    assert first == second
    assert "out of memory even with 2 images at once on each of 2 processes" in first


def test_a_number_that_is_not_finite_names_layer_and_rank(runs):
    first, second = (note["said"] for note in runs.notes["nan"])
    assert first == second
    assert (
        "(epoch 2, step 3: first in the output of features.2.dropout (Spoilt) on rank 1)" in first
    )
    assert "the state after epoch 1, step 2 of the next, is kept" in first


def test_pieces_follow_the_number_of_ranks_on_resuming(runs):
    said = [(note["ranks"], note["said"].partition(":")[0]) for note in runs.notes["narrower"]]
    assert sorted(said) == [(1, "Interrupted"), (2, ""), (2, ""), (2, "Interrupted"),
                            (2, "Interrupted")]  # fmt: skip
    (alone,) = [note for note in runs.notes["narrower"] if note["ranks"] == 1]
    assert any("other ranks or threads" in sentence for sentence in alone["told"])
    model = (runs.folder / "narrower" / "model.safetensors").read_bytes()
    assert b'\\"batches_in_pieces\\":2' in model


@pytest.mark.parametrize(
    ("now", "pieces", "before", "smallest", "wanted"),
    [
        (1, 1, 8, 64, 1),  # memory was enough: the whole batch is tried
        (2, 4, 2, 64, 4),  # the same ranks, the same bits
        (1, 2, 2, 16, 4),  # 4 images at once on a rank, before and after
        (2, 4, 1, 16, 2),
        (4, 4, 1, 16, 1),
        (3, 2, 4, 16, 2),  # 3 pieces would leave single images
        (8, 4, 1, 64, 1),
    ],
)
def test_pieces_on_another_number_of_ranks(now, pieces, before, smallest, wanted):
    found = pieces_on(now, pieces, before, smallest)
    assert found == wanted
    assert found == 1 or smallest // (found * now) >= 2


def test_no_piece_of_any_batch_is_a_single_image():
    with pytest.raises(RunError, match="out of memory even with 4 images at once;"):
        halved(4, 16, 15)  # a batch of 15 would have pieces of one
    assert halved(4, 16, 16)[0] == 8
    with pytest.raises(RunError, match="4 images at once on each of 2 processes;"):
        halved(2, 8, 15, 2)


def test_what_cannot_be_cut_says_what_to_do():
    said = str(undivided(32, 4))
    assert "32 images on each of 4 processes" in said
    assert "(half of it would be 64)" in said


class Two(SimpleNamespace):
    """One of two ranks, the other's words given."""

    world_size = 2
    is_global_zero = True


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OSError(28, "No space left", "/a/b"), OSError, r"No space left.*/a/b"),
        (DataError("b: changed"), DataError, "^rank 1: b: changed$"),
        (OptionError("c: odd"), RunError, "^rank 1: c: odd$"),
    ],
)
def test_another_ranks_error_is_raised_here(error, kind, text, monkeypatch):
    monkeypatch.setattr(
        torch.distributed, "all_gather_object",
        lambda words, word: words.__setitem__(slice(None), [word, ranks._packed(error)]),
    )  # fmt: skip
    done = []
    with pytest.raises(kind, match=text):
        ranks.on_all(Two(), lambda: done.append(1))
    assert done == [1]
    with pytest.raises(ZeroDivisionError):  # a defect is no word to the others
        ranks.on_all(Two(), lambda: 1 // 0)


def test_few_images_on_a_rank_are_told_of():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    cpu, gpu = (SimpleNamespace(world_size=8, device=torch.device(d)) for d in ("cpu", "cuda"))
    (said,) = ranks.small_parts(cpu, network, 64)
    assert "each of 8 processes normalises its own 8 images" in said
    assert "16 images on each" in said
    assert ranks.small_parts(cpu, network, 128) == ()
    assert ranks.small_parts(gpu, network, 64) == ()
    assert ranks.small_parts(cpu, nn.Linear(2, 2), 64) == ()
    assert ranks.small_parts(SimpleNamespace(world_size=1, device=cpu.device), network, 8) == ()
