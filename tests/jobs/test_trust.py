"""The verb ``trust`` from a model file and a source to verdicts, small enough to run in seconds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.sources import read
from mien.errors import DataError, NetworkError, OptionError
from mien.explain.trust import measure
from mien.explain.trust.baselines import BASELINES
from mien.explain.trust.curves import CurveOptions
from mien.jobs import kept, one_region, shuffled_labels, trust
from mien.jobs.fit import FitOptions, accuracy, fit
from mien.jobs.foreign import open_network
from mien.jobs.one_region import RegionOptions, region_table
from mien.jobs.shuffled_labels import ENOUGH
from mien.jobs.trust import TrustOptions
from mien.labels import CLASSES
from mien.models.checkpoint import Model, save_model
from mien.models.cnn4 import CNN4, CNN4Config

CONFIG = CNN4Config(size=24, widths=(8, 8, 16, 16), hidden=(32, 16))
SOURCE = "synthetic:160"
CURVES = CurveOptions(steps=6)
SMALL = TrustOptions(methods=("gradient", "gradcam"), images=12, quick=True, curves=CURVES)

FACTORY = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(),
                         nn.Linear(8 * 11 * 11, 48), nn.ReLU(), nn.Dropout(0.5), nn.Linear(48, 7))
"""


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch) -> None:
    monkeypatch.setattr(measure, "DRAWS", 2)


@pytest.fixture
def foreign(tmp_path: Path) -> str:
    (tmp_path / "nets.py").write_text(FACTORY)
    return f"{tmp_path}/nets.py:build"


@pytest.fixture
def model(tmp_path: Path) -> str:
    torch.manual_seed(0)
    path = tmp_path / "small.safetensors"
    save_model(path, Model(network=CNN4(CONFIG).eval(), architecture="cnn4", config=CONFIG,
                           classes=CLASSES))  # fmt: skip
    return str(path)


def test_verdicts_on_a_model_are_written_and_parts_reused(model, tmp_path, monkeypatch) -> None:
    told = []
    first = trust.trust(model, SOURCE, SMALL, out=tmp_path / "out",
                        progress=lambda *at: told.append(at))  # fmt: skip
    written = json.loads((tmp_path / "out/trust.json").read_text())
    assert [one["method"] for one in written["methods"]] == ["gradient", "gradcam"]
    assert [one["baseline"] for one in written["baselines"]] == list(BASELINES)
    one = written["methods"][0]
    assert one["labels"] is None
    assert one["one_region"] is None
    layers = ["head.2", "head.1.linear", "head.0.linear",
              *(f"features.{k}.convolution" for k in (3, 2, 1, 0))]  # fmt: skip
    assert [row["layer"] for row in one["weights"]] == layers
    assert {row["baseline"] for row in one["versus"]} == set(BASELINES)
    assert 0 <= one["deletion"]["low"] <= one["deletion"]["value"] <= one["deletion"]["high"] <= 1
    # An untrained network says the same of every face: nothing beats the baselines.
    assert one["verdict"] in ("not-better", "ignores-weights")
    assert len(one["sentences"]["zh-Hant"]) == len(one["findings"]) >= 1
    assert written["n"] == 12
    assert any("--quick" in note for note in written["notes"])
    assert ("methods and baselines", 7, 7) in told

    def refuse(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(trust, "measure_method", refuse)
    monkeypatch.setattr(trust, "measure_baseline", refuse)
    again = trust.trust(model, SOURCE, SMALL, out=tmp_path / "out")
    assert again.to_json() == first.to_json()
    with pytest.raises(AssertionError, match="measured again"):
        trust.trust(model, SOURCE, replace(SMALL, seed=1), out=tmp_path / "out")


def test_an_interrupted_run_goes_on_and_damaged_parts_are_made_anew(
    foreign, tmp_path, monkeypatch
) -> None:
    options = replace(SMALL, input_shape="1,24,24")
    measured, real = [], trust.measure_method

    def interrupted(name, *rest, **more):
        measured.append(name)
        if measured == ["gradient", "gradcam"]:
            raise KeyboardInterrupt
        return real(name, *rest, **more)

    monkeypatch.setattr(trust, "measure_method", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trust.trust(foreign, SOURCE, options, out=tmp_path)
    assert not (tmp_path / "trust.json").exists()
    trust.trust(foreign, SOURCE, options, out=tmp_path)
    assert measured == ["gradient", "gradcam", "gradcam"]
    parts = sorted((tmp_path / "trust-parts").glob("*.npz"))
    assert len(parts) == 2 + len(BASELINES)
    for part in parts:
        part.write_bytes(part.read_bytes()[:-40])
    trust.trust(foreign, SOURCE, options, out=tmp_path)
    assert measured[3:] == ["gradient", "gradcam"]


def test_the_network_of_shuffled_labels_knows_95_percent_and_is_reused(
    tmp_path, monkeypatch
) -> None:
    (tmp_path / "nets.py").write_text(FACTORY)
    monkeypatch.setattr(shuffled_labels, "_RATES", (1e-5, 1e-2))  # the first is too small
    monkeypatch.setattr(shuffled_labels, "_EPOCHS", 60)
    name, data = f"{tmp_path}/nets.py:build", read(SOURCE, size=24)
    opened = open_network(name, "1,24,24")
    before = {k: v.clone() for k, v in opened.network.state_dict().items()}
    chance = torch.random.get_rng_state()
    found = shuffled_labels.shuffled_labels(name, opened, data, input_shape="1,24,24", images=100)
    assert torch.equal(chance, torch.random.get_rng_state())
    assert not found.reused
    assert found.known >= ENOUGH
    assert not any(module.training for module in found.network.modules())
    assert [m.p for m in found.network.modules() if isinstance(m, torch.nn.Dropout)] == [0.5]
    # What it knows are not the true labels.
    training = data.where("train")
    true = accuracy(found.network, data.images[training], data.labels[training],
                    as_input=opened.as_input)  # fmt: skip
    assert true < 0.5
    again = shuffled_labels.shuffled_labels(name, opened, data, input_shape="1,24,24", images=100)
    assert again.reused
    assert again.known == found.known
    for key, value in found.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[key])
    assert all(torch.equal(before[k], v) for k, v in opened.network.state_dict().items())

    def refuse(*_, **__):
        raise AssertionError("learned anew")

    monkeypatch.setattr(shuffled_labels, "fit", refuse)
    with pytest.raises(AssertionError, match="learned anew"):
        shuffled_labels.shuffled_labels(
            name, opened, data, input_shape="1,24,24", images=100, seed=1
        )


def test_a_network_that_cannot_learn_by_heart_is_told(tmp_path, monkeypatch) -> None:
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.AvgPool2d(24), nn.Flatten(), nn.Linear(1, 7))\n"
    )
    monkeypatch.setattr(shuffled_labels, "_EPOCHS", 2)
    name, data = f"{tmp_path}/nets.py:build", read(SOURCE, size=24)
    with pytest.raises(NetworkError, match=r"knows \d+ % of 100 shuffled labels, 95 % are needed"):
        shuffled_labels.shuffled_labels(name, open_network(name, "1,24,24"), data,
                                        input_shape="1,24,24", images=100)  # fmt: skip
    empty = replace(data, labels=np.full(len(data), -1))
    with pytest.raises(DataError, match="too few to shuffle; use --quick"):
        shuffled_labels.shuffled_labels(name, open_network(name, "1,24,24"), empty,
                                        input_shape="1,24,24")  # fmt: skip


def test_all_tests_on_a_foreign_network(tmp_path, monkeypatch) -> None:
    (tmp_path / "nets.py").write_text(FACTORY)
    monkeypatch.setattr(shuffled_labels, "_RATES", (1e-2,))
    options = TrustOptions(
        methods=("gradient",), images=10, input_shape="1,24,24", curves=CURVES,
        regions=RegionOptions(training=64, epochs=1, explained=16),
    )  # fmt: skip
    report = trust.trust(f"{tmp_path}/nets.py:build", SOURCE, options, out=tmp_path / "out")
    found = report.to_json()["methods"][0]
    assert -1 <= found["labels"]["similarity"]["value"] <= 1
    # Networks of one epoch have few faces right, but a share is a share.
    assert 0 <= found["one_region"]["mass"]["value"] <= 1
    assert report.default == "gradient"

    def refuse(*_, **__):
        raise AssertionError("learned again")

    # The networks and numbers of one region are found again for any other model.
    monkeypatch.setattr(one_region, "fit", refuse)
    monkeypatch.setattr(one_region, "measure_method", refuse)
    again = region_table(["gradient"], options.regions)
    assert set(again.accuracies) == {"brows", "eyes", "nose", "mouth"}
    assert again.n == len(again.methods["gradient"].mass) == len(again.baselines["edges"].mass)
    assert again.methods["gradient"].mass.mean() == found["one_region"]["mass"]["value"]
    assert 0.01 < again.area < 0.1
    with pytest.raises(AssertionError, match="learned again"):
        region_table(["gradient"], replace(options.regions, seed=1))


def test_fit_learns_and_stops_when_enough_is_known() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (96, 1, 24, 24), dtype=np.uint8)
    labels, steps = rng.integers(0, 7, 96), []
    torch.manual_seed(0)
    network = CNN4(CONFIG)
    known = fit(network, images, labels, FitOptions(until=0.9, batch_size=32),
                progress=lambda _s, done, total: steps.append((done, total)))  # fmt: skip
    assert known >= 0.9
    assert accuracy(network, images, labels) == known
    assert steps[-2][0] < steps[-2][1] == 60 * 3


def test_refusals(model, tmp_path) -> None:
    with pytest.raises(OptionError, match="--methods gradients: choose of gradient"):
        TrustOptions(methods=("gradients",))
    with pytest.raises(OptionError, match="8 images or more"):
        TrustOptions(images=7)
    (tmp_path / "nets.py").write_text(FACTORY)
    with pytest.raises(OptionError, match="--other"):
        trust.trust(model, SOURCE, replace(SMALL, other=f"{tmp_path}/nets.py:build",
                                           input_shape="1,24,24"), out=tmp_path)  # fmt: skip
    with pytest.raises(DataError, match="2 images that are not blank: 8 or more"):
        trust.trust(model, "synthetic:20", replace(SMALL, split="test"), out=tmp_path)


def test_kept_networks_of_another_key_or_shape_are_passed_over(tmp_path) -> None:
    network = CNN4(CONFIG)
    kept.keep_network(tmp_path, "a", network, {"known": 1.0})
    assert kept.load_network(tmp_path, "a", CNN4(CONFIG)) == {"known": 1.0}
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes())
    assert kept.load_network(tmp_path, "b", CNN4(CONFIG)) is None
    assert kept.load_network(tmp_path, "a", CNN4(replace(CONFIG, hidden=(8, 8)))) is None
    assert kept.load_network(tmp_path, "c", CNN4(CONFIG)) is None
    assert kept.load_network(None, "a", CNN4(CONFIG)) is None
