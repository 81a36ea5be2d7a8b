"""Optimizer groups, schedule and average against values worked out by hand."""

import pytest
import torch
from torch import nn

from mien.errors import OptionError
from mien.models.cnn4 import CNN4, CNN4Config
from mien.train.optim import Average, OptimConfig, learning_rate, make_optimizer


def test_schedule_rises_and_falls():
    config = OptimConfig(learning_rate=1.0, warm_up=0.2)
    # Ten steps; the middle of step 0 is at 0.05 of the run, a quarter of the warm-up.
    assert learning_rate(0, 10, config) == pytest.approx(0.25)
    assert learning_rate(1, 10, config) == pytest.approx(0.75)
    assert learning_rate(2, 10, config) == pytest.approx(0.75 / 0.8)
    assert learning_rate(9, 10, config) == pytest.approx(0.05 / 0.8)
    cosine = OptimConfig(learning_rate=1.0, warm_up=0.0, schedule="cosine")
    assert learning_rate(0, 1, cosine) == pytest.approx(0.5)


def test_weight_decay_spares_normalisation_and_biases():
    network = CNN4(CNN4Config(widths=(2, 2, 2, 2), hidden=(4, 4)))
    decayed, others = make_optimizer(network, OptimConfig(weight_decay=0.01)).param_groups
    assert decayed["weight_decay"] == 0.01
    assert others["weight_decay"] == 0
    assert len(decayed["params"]) == 4 + 3
    assert len(others["params"]) == 2 * 6 + 1
    assert all(p.ndim == 1 for p in others["params"])


def test_average_follows_its_definition():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = Average(model, decay=0.5)
    expected = model[0].weight.detach().clone()
    expected_mean = model[1].running_mean.clone()
    for step in range(40):
        with torch.no_grad():
            model[0].weight.normal_()
            model[1].running_mean.normal_()
            model[1].num_batches_tracked += 1
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model[0].weight.detach()
        expected_mean = decay * expected_mean + (1 - decay) * model[1].running_mean
    torch.testing.assert_close(average.model[0].weight, expected)
    torch.testing.assert_close(average.model[1].running_mean, expected_mean)
    assert average.model[1].num_batches_tracked == 40
    assert not average.model.training


def test_without_decay_the_average_is_the_model():
    model = nn.Linear(2, 2)
    average = Average(model, decay=0.0)
    nn.init.normal_(model.weight)
    average.update(model, 100)
    assert torch.equal(average.model.weight, model.weight)


@pytest.mark.parametrize(
    "wrong", [{"learning_rate": 0.0}, {"momentum": 1.0}, {"ema": 1.0}, {"schedule": "step"},
              {"weight_decay": -1.0}, {"learning_rate": float("nan")}]
)  # fmt: skip
def test_configuration_is_checked(wrong):
    with pytest.raises(OptionError):
        OptimConfig(**wrong)
