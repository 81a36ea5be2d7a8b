"""``mien check`` on networks that it did not know, and on ones whose layers are planted wrong."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mien.errors import NetworkError, OptionError
from mien.jobs.architecture import architecture
from mien.jobs.check import check
from mien.jobs.foreign import open_network, parse_shape
from mien.theory import batchnorm
from mien.theory.closed import check_layer

NETWORKS = Path(__file__).parents[1] / "theory" / "networks.py"


@pytest.mark.parametrize("factory", ["plain", "ResNet", "Dilated"])
def test_networks_that_it_did_not_know(factory):
    report = check(f"{NETWORKS}:{factory}", input_shape="1,24,24", batch=4)
    assert report.wrong == 0, [
        str(c) for one in report.layers for c in one.comparisons if not c.right
    ]
    verdicts = [one.verdict for one in report.layers]
    assert verdicts.count("right") >= 4
    assert report.layers[-1].kind == "softmax, cross-entropy"
    for one in report.layers:
        called_as_functions = one.kind in ("conv2d", "avg_pool2d")
        known = ("Conv2d", "Linear", "BatchNorm2d", "ReLU", "MaxPool2d", "Dropout")
        if one.kind in known or called_as_functions:
            assert len(one.worst.index) == len(one.input) or "input" not in one.worst.name
            assert one.verdict == "right"
            assert one.worst.error <= one.worst.tolerance
    assert any("run as code" in note for note in report.notes)
    report.to_json()


def test_with_real_pictures(tmp_path):
    report = check(f"{NETWORKS}:plain", "synthetic:60", input_shape="1,24,24", batch=4)
    assert report.wrong == 0
    with pytest.raises(Exception, match="labelled pictures, 200 are needed"):
        check(f"{NETWORKS}:plain", "synthetic:60", input_shape="1,24,24", batch=200)


class LyingConvolution(nn.Conv2d):
    def forward(self, x):
        return super().forward(x)[..., 1:]


class LyingReLU(nn.ReLU):
    def forward(self, x):
        return torch.where(x > 0, x, 0.01 * x)


class LyingBatchNorm(nn.BatchNorm2d):
    """Its backward pass takes the variance for a constant, the slip of many a derivation."""

    def forward(self, x):
        mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
        return (x - mean) / (var.detach() + self.eps).sqrt()


def lying(kind):
    return {
        "shape": nn.Sequential(LyingConvolution(1, 2, 3), nn.Flatten()),
        "function": nn.Sequential(nn.Conv2d(1, 2, 3), LyingReLU(), nn.Flatten()),
        "gradient": nn.Sequential(nn.Conv2d(1, 2, 3), LyingBatchNorm(2), nn.Flatten()),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "row", "quantity"),
    [("shape", 0, None), ("function", 1, "output"), ("gradient", 1, "∂l/∂input")],
)
def test_planted_errors_are_found_in_the_layer_that_has_them(kind, row, quantity, tmp_path):
    sys.modules["lying_for_test"] = sys.modules[__name__]
    file = tmp_path / "net.py"
    file.write_text(f"from lying_for_test import lying\ndef build(): return lying({kind!r})\n")
    report = check(f"{file}:build", input_shape="1,8,8", batch=4)
    assert report.layers[row].verdict == "wrong"
    assert report.wrong == 1
    if quantity:
        wrong = [c.name for c in report.layers[row].comparisons if not c.right]
        assert quantity in wrong


def test_a_wrong_closed_form_would_be_seen(monkeypatch):
    right = batchnorm.batchnorm_backward
    x = torch.randn(4, 3, 5, 5, dtype=torch.float64)
    assert all(c.right for c in check_layer(nn.BatchNorm2d(3), x))

    def without_mean_term(forward, dout):
        found = right(forward, dout)
        wrong = found.through_x_hat + found.through_var
        return batchnorm.BatchNormBackward(**{**vars(found), "dx": wrong})

    monkeypatch.setattr(batchnorm, "batchnorm_backward", without_mean_term)
    names = [c.name for c in check_layer(nn.BatchNorm2d(3), x) if not c.right]
    assert names == ["∂l/∂input", "∂l/∂input by differences"]


def test_kinks_are_told_and_not_errors():
    x = torch.tensor([[-1.0, 0.0, 2.0, 0.0]])
    found = check_layer(nn.LeakyReLU(0.1), x)
    assert all(c.right for c in found)
    assert found[1].kinks == 2
    ties = check_layer(nn.MaxPool1d(2), torch.tensor([[[1.0, 1.0, 2.0, 3.0]]]))
    assert all(c.right for c in ties)
    assert ties[1].kinks == 2


def test_layers_are_not_touched():
    layer = nn.BatchNorm2d(3)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    state = torch.random.get_rng_state()
    check_layer(layer, torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)))
    check_layer(nn.Dropout(0.5), torch.ones(2, 3))
    assert layer.weight.dtype == torch.float32
    assert layer.weight.grad is None
    assert all(torch.equal(before[k], v) for k, v in layer.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_architecture_of_a_file():
    found = architecture(f"{NETWORKS}:Dilated", input_shape="1,24,24")
    data = found.to_json()
    assert data["output"] == [7]
    assert data["parameters"] == sum(layer["parameters"] for layer in data["layers"])
    kinds = [layer["kind"] for layer in data["layers"]]
    assert {"conv2d", "avg_pool2d", "Conv2d", "Linear"} <= set(kinds)
    np.testing.assert_array_equal(data["layers"][1]["receptive_field"], [5 + 6, 5 + 6])


def test_what_cannot_be_opened_is_told():
    for model, shape, told in (
        (f"{NETWORKS}:plain", "", "--input-shape"),
        (f"{NETWORKS}", "1,8,8", "name the function"),
        (f"{NETWORKS}:nothing", "1,8,8", "has no 'nothing'"),
        ("nowhere.py:build", "1,8,8", "no such file"),
        (f"{NETWORKS}:plain", "1,a", "write channels"),
    ):
        with pytest.raises(OptionError, match=told):
            open_network(model, shape)
    with pytest.raises(NetworkError, match="ZeroDivisionError: on purpose"):
        open_network(f"{NETWORKS}:explodes", "1,8,8")
    with pytest.raises(NetworkError, match=r"layer '2' \(Conv2d\)"):
        check(f"{NETWORKS}:impossible", input_shape="1,24,24")
    assert parse_shape("3x64×64") == (3, 64, 64)
