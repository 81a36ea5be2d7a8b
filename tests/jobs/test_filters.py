"""The verb end to end, on a network of a stranger's with known filters and drawn faces."""

import json

import numpy as np
import pytest

from mien.errors import MienError, OptionError
from mien.evaluate.intervals import wilson
from mien.explain.filters import patterns
from mien.jobs.filters import FilterOptions, filters, read_filters
from mien.types import Finding
from mien.words import say

NET = """
import numpy as np, torch
from torch import nn

def build():
    torch.manual_seed(0)
    y, x = np.mgrid[:13, :13] - 6.0
    net = nn.Sequential(nn.Conv2d(1, 20, 13, stride=3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                        nn.Flatten(), nn.Linear(20, 7))
    with torch.no_grad():
        for f in range(20):
            u = x * np.cos(f * 0.3) + y * np.sin(f * 0.3)
            wave = np.cos(2 * np.pi * u / 5 + f) * np.exp(-(x**2 + y**2) / 18)
            net[0].weight[f, 0] = torch.tensor(wave - wave.mean())
        net[0].bias.zero_()
        net[0].weight[18], net[0].bias[18] = 0, 1     # constant
        net[0].bias[19] = -1000                       # never active
    return net
"""
FAST = {"split": "all", "steps": 8, "input_shape": "1,48,48", "filters": "all", "limit": 120}


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("nets") / "nets.py"
    path.write_text(NET)
    return f"{path}:build"


@pytest.fixture(scope="module")
def report(net, tmp_path_factory):
    out = tmp_path_factory.mktemp("filters")
    upper = np.zeros((48, 48), dtype=bool)
    upper[:24] = True
    return filters(net, "synthetic:224", FilterOptions(**FAST), out=out, regions={"upper": upper})


def test_the_files_hold_what_was_measured(report):
    data = json.loads((report.folder / "filters.json").read_text())
    assert data["layer"] == "0"
    assert (data["filters_total"], data["drawn"], data["n"]) == (20, 20, 120)
    assert data["receptive_field"] == [13, 13]
    assert data["dead"] == {"18": "constant", "19": "never active"}
    assert not (report.folder / "filters.partial").exists()
    with np.load(report.folder / "filters.npz") as arrays:
        assert arrays["patterns"].shape == (20, 2, 1, 13, 13)
        assert arrays["patterns"].dtype == np.float16
        assert arrays["numbers"].tolist() == [one["number"] for one in data["filters"]]
    influence = [one["influence"] for one in data["filters"]]
    assert influence == sorted(influence, reverse=True)
    for one in data["filters"]:
        assert len(one["patches"]) == 9
        assert len({p["id"] for p in one["patches"]}) == 9
        activations = [p["activation"] for p in one["patches"]]
        assert activations == sorted(activations, reverse=True)
        effects = {e["class"]: e["effect"] for e in one["classes"]}
        for name in one["speaks_for"]:
            assert effects[name]["low"] > 0
        for name in one["speaks_against"]:
            assert effects[name]["high"] < 0
    effects = [e["effect"]["value"] for e in data["filters"][0]["classes"]]
    assert sum(effects) == pytest.approx(0, abs=1e-6)


def test_what_was_written_is_read_again(report):
    again = read_filters(report.folder.parent)
    assert [say(f) for f in again.findings] == [say(f) for f in report.findings]
    assert again.data == report.data
    np.testing.assert_array_equal(again.arrays["patterns"], report.arrays["patterns"])
    with pytest.raises(MienError, match="cannot be read"):
        read_filters(report.folder)


def test_no_pixels_of_a_person_are_stored(report):
    with np.load(report.folder / "filters.npz") as arrays:
        assert set(arrays.files) == {"numbers", "patterns", "reached", "fits", "null"}


def test_gabors_are_called_simple(report):
    """18 Gabors live: the fits, the share and the sentences say so."""
    data = report.data
    alive = [one for one in data["filters"] if not one["dead"]]
    assert len(alive) == data["summary"]["living"] == 18
    assert np.median([one["gabor"] for one in alive]) > 0.6
    simple = sum(max(one["gabor"], one["line"]) >= data["summary"]["threshold"] for one in alive)
    assert data["summary"]["explained"] == wilson(simple, 18).to_json()
    assert data["summary"]["verdict"] == "holds"
    kinds = [finding["kind"] for finding in data["findings"]]
    assert kinds == ["filters-dead", "filters-lines", "filters-response", "filters-needed",
                     "filters-holds"]  # fmt: skip
    for finding in report.findings:
        english, chinese = say(finding), say(finding, "zh-Hant")
        assert "{" not in english + chinese
    assert say(report.findings[0]) == "2 of the 20 filters of 0 are dead on these images."


def test_a_killed_call_goes_on(net, tmp_path, monkeypatch, report):
    """Twice: cut off inside of the second chunk of patterns, then finished; the same bits."""
    calls = []
    true = patterns.synthesise

    def counted(*arguments, **more):
        calls.append(len(arguments[2]))
        return true(*arguments, **more)

    def cut(stage, done, total):
        if stage == "drawing patterns" and done == 12:  # of 16: 16 filters, then 4
            raise KeyboardInterrupt

    monkeypatch.setattr(patterns, "synthesise", counted)
    with pytest.raises(KeyboardInterrupt):
        filters(net, "synthetic:224", FilterOptions(**FAST), out=tmp_path, progress=cut)
    assert calls == [16, 4]
    assert not (tmp_path / "explain/filters.json").exists()
    again = filters(net, "synthetic:224", FilterOptions(**FAST), out=tmp_path)
    assert calls == [16, 4, 4]
    for name, array in report.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    left_out = {"filters", "summary"}  # they name the regions
    assert {k: v for k, v in again.data.items() if k not in left_out} == {
        k: v for k, v in report.data.items() if k not in left_out
    }
    for one, other in zip(again.data["filters"], report.data["filters"], strict=True):
        parts = one["needed"]["regions"]
        assert set(parts) == {"brows", "eyes", "nose", "mouth", "cheeks"}
        assert all(0 <= share <= 1 for share in parts.values())
        assert {**one, "needed": 0} == {**other, "needed": 0}


def test_regions_are_counted_by_hand(report):
    for one in report.data["filters"]:
        shares = [
            max(0, min(top + height, 24) - top) * width / (24 * 48)
            for top, _, height, width in one["needed"]["windows"]
        ]
        assert one["needed"]["regions"]["upper"] == pytest.approx(np.median(shares))
    assert report.data["summary"]["needed_regions"]["upper"]["value"] == 0  # fields are 13×13


def test_bad_input_is_one_line(net, tmp_path):
    def look(**changed):
        filters(net, "synthetic:30", FilterOptions(**FAST | {"limit": 0} | changed), out=tmp_path)

    for text, message in (("zwei", "--filters zwei: all, a number"), ("0", "at least 1"),
                          ("3,20", "the layer has the filters 0 to 19")):  # fmt: skip
        with pytest.raises(OptionError, match=message):
            look(filters=text)
    with pytest.raises(OptionError, match="--layer 9: not there; one of 0, 1, 2"):
        look(layer="9")
    with pytest.raises(OptionError, match="--split somewhere"):
        look(split="somewhere")
    with pytest.raises(OptionError, match="patches 0"):
        look(patches=0)
    with pytest.raises(MienError, match="seeds 0"):
        look(seeds=0)
    assert not list(tmp_path.rglob("*.json"))


def test_every_sentence_has_its_words():
    from mien.types import Interval

    share = Interval(0.1, 0.05, 0.2)
    for kind in ("holds", "fails", "untold"):
        finding = Finding(kind=f"filters-{kind}", values={"share": share, "either": share})
        assert "10 % [5, 20]" in say(finding)
        assert "10 % [5, 20]" in say(finding, "zh-Hant")
