"""The ledger, a pair and the suspects of a stranger's network on drawn faces, files and all."""

import json
from pathlib import Path

import numpy as np
import pytest

from mien.data.sources import read
from mien.errors import DataError, OptionError
from mien.evaluate.predictions import write_predictions
from mien.jobs.ledger import LedgerOptions, ledger_of
from mien.jobs.pairs import pair_of, suspects_of
from mien.types import Outputs

# It looks at the lower middle of the picture alone, and calls bright ones surprise, others sad.
NETWORK = """
import torch
from torch import nn

class Mouth(nn.Module):
    def forward(self, x):
        bright = x[:, 0, 32:40, 16:32].mean(dim=(1, 2)) * 20 - 8
        rest = torch.zeros(len(x), 4, device=x.device) - 9
        return torch.cat([rest, -bright[:, None], bright[:, None], rest[:, :1]], dim=1)

def build():
    return Mouth()
"""
OPTIONS = LedgerOptions(method="gradient", input_shape="1,48,48", split="all", limit=200)


@pytest.fixture
def network(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    return f"{tmp_path / 'net.py'}:build"


def test_a_ledger_of_a_network_that_looks_at_the_mouth(network, tmp_path):
    told = []
    result = ledger_of(network, "synthetic:280:seed=3", OPTIONS, out=tmp_path / "out",
                       progress=lambda stage, done, total: told.append(stage))  # fmt: skip
    table = result.ledger
    assert table.source == "masks"
    assert table.n == 200
    mouth, eyes = table.cell("*", "mouth"), table.cell("*", "eyes")
    assert mouth.joint.low > 3
    assert eyes.joint.high < 1
    assert eyes.occlusion.value == 0
    kinds = {finding.kind for finding in table.findings}
    assert any(kind.startswith("region-more") for kind in kinds)
    assert not kinds & {"looks-yes", "looks-among"}
    saved = json.loads((tmp_path / "out/regions.json").read_text())
    assert saved["n"] == 200
    assert len(saved["cells"]) == 8 * 3 * 6
    assert {"gradient", "hiding regions"} <= set(told)
    arrays = np.load(tmp_path / "out/regions.npz")
    assert arrays["mean_maps"].shape == (7, 48, 48)
    # Means of fewer than 30 images would show persons.
    assert np.isnan(arrays["mean_maps"]).all(axis=(1, 2)).tolist() == [
        (n < 30) for n in _counts(280, OPTIONS)
    ]


def _counts(count, options):
    images = read(f"synthetic:{count}:seed=3")
    chosen = np.sort(
        np.random.default_rng(options.seed).choice(count, size=options.limit, replace=False)
    )
    return np.bincount(images.labels[chosen], minlength=7)


def test_a_pair(network, tmp_path):
    result = pair_of(network, "synthetic:280:seed=3", ("happy", "surprise"), OPTIONS,
                     out=tmp_path)  # fmt: skip
    pair = result.pair
    assert (pair.truth, pair.predicted) == ("happy", "surprise")
    assert 1 <= pair.n <= 40
    margins = [chances[5] - chances[3] for _, chances in pair.confident]
    assert margins == sorted(margins, reverse=True)
    saved = json.loads((tmp_path / "pairs.json").read_text())
    assert set(saved["regions"]) == {"brows", "eyes", "nose", "mouth", "cheeks", "rest"}
    assert saved["held_out"] is False  # --split all has training images in it
    assert {one["label"] for one in saved["suspects"]} <= {"happy"}
    assert (tmp_path / "pairs.npz").is_file()
    worst = pair_of(network, "synthetic:280:seed=3", None, OPTIONS, out=tmp_path).pair
    assert worst.truth != worst.predicted
    with pytest.raises(OptionError, match="'joy' is none of angry"):
        pair_of(network, "synthetic:60", ("joy", "sad"), OPTIONS, out=tmp_path)
    with pytest.raises(DataError, match="no image of surprise was taken for fear"):
        pair_of(network, "synthetic:60", ("surprise", "fear"), OPTIONS, out=tmp_path)


def test_a_network_with_other_outputs_is_refused(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK.replace("rest[:, :1]]", "rest]"))
    with pytest.raises(OptionError, match="7 classes"):
        ledger_of(f"{tmp_path / 'net.py'}:build", "synthetic:60", OPTIONS, out=tmp_path)


def test_suspects_of_predictions(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=60)
    logits = rng.normal(size=(60, 3)).astype(np.float32)
    logits[np.arange(60), labels] += 4
    labels[:3] = (labels[:3] + 1) % 3
    outputs = Outputs(
        ids=np.array([f"i{k}" for k in range(60)]), splits=np.full(60, "validation"),
        labels=labels, logits=logits, hashes=np.full(60, "0" * 32), copied=np.zeros(60, bool),
        classes=("angry", "fear", "sad"),
    )  # fmt: skip
    write_predictions(tmp_path / "predictions.parquet", outputs)
    result = suspects_of(tmp_path)
    saved = json.loads((tmp_path / "explain/suspects.json").read_text())
    assert {one["id"] for one in saved["suspects"]} >= {"i0", "i1", "i2"}
    assert saved["n"] == 60
    assert saved["held_out"] is True
    assert sum(one["suspects"] for one in saved["per_class"].values()) == len(saved["suspects"])
    assert result.findings[0].kind == "suspects"
    with pytest.raises(DataError, match="no labelled images of the train split"):
        suspects_of(tmp_path, "train")
    assert Path(result.folder).name == "explain"
