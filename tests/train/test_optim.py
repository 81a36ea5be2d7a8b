"""Optimizer groups, schedule and average against values worked out by hand."""

import copy

import pytest
import torch
from torch import nn

from mien.errors import OptionError
from mien.models.cnn4 import CNN4, CNN4Config
from mien.train.muon import orthogonal
from mien.train.optim import Average, OptimConfig, learning_rate, make_optimizer
from mien.train.state import Holders, Position, load_state, save_state


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
              {"weight_decay": -1.0}, {"learning_rate": float("nan")}, {"muon": -0.1},
              {"muon": float("nan")}]
)  # fmt: skip
def test_configuration_is_checked(wrong):
    with pytest.raises(OptionError):
        OptimConfig(**wrong)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (12, 12)])
def test_orthogonal_keeps_singular_vectors_and_evens_out_the_values(shape):
    torch.manual_seed(0)
    left, values, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    values = torch.logspace(0, -2, len(values))  # a hundredth of the largest at the end
    middle = left.T @ orthogonal(left @ torch.diag(values) @ right) @ right.T
    evened = torch.diagonal(middle)
    torch.testing.assert_close(middle, torch.diag(evened), atol=1e-4, rtol=0)
    # What the polynomial makes of each value by itself, in double precision.
    expected = values.double() / values.double().norm()
    for _ in range(5):
        expected = 3.4445 * expected - 4.7750 * expected**3 + 2.0315 * expected**5
    torch.testing.assert_close(evened, expected.float(), atol=1e-3, rtol=1e-3)
    assert evened.min() > 0.6
    assert evened.max() < 1.3
    assert not orthogonal(torch.zeros(shape)).any()


@pytest.mark.parametrize("shape", [(5, 16), (16, 5)])
def test_muons_steps_are_those_of_torch(shape):
    torch.manual_seed(0)
    convolution = nn.Conv2d(shape[1], shape[0], 1, bias=False)
    matrix = nn.Parameter(convolution.weight.detach().reshape(shape).clone())
    config = OptimConfig(learning_rate=0.1, muon=0.02, momentum=0.9, weight_decay=0.5)
    optimizer = make_optimizer(convolution, config)
    theirs = torch.optim.Muon([matrix], lr=0.02, momentum=0.9, weight_decay=0.5)
    for _ in range(5):
        gradient = torch.randn(shape)
        convolution.weight.grad = gradient.reshape(convolution.weight.shape).clone()
        matrix.grad = gradient.clone()
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * group["factor"]
        optimizer.step()
        theirs.step()
    # torch computes the directions in bfloat16.
    torch.testing.assert_close(convolution.weight.reshape(shape), matrix, atol=2e-3, rtol=0)
    assert (convolution.weight.reshape(shape) - matrix).abs().max() < 0.05 * matrix.abs().max()


def test_with_muon_filters_alone_are_its_and_the_rest_steps_as_before():
    torch.manual_seed(0)
    network = CNN4(CNN4Config(widths=(2, 2, 2, 2), hidden=(4, 4)))
    plain = copy.deepcopy(network)
    one = make_optimizer(network, OptimConfig(muon=0.05))
    other = make_optimizer(plain, OptimConfig())
    assert [group["muon"] for group in one.param_groups] == [False, False, True]
    assert {p.ndim for p in one.param_groups[2]["params"]} == {4}
    for _ in range(3):
        for mine, its in zip(network.parameters(), plain.parameters(), strict=True):
            mine.grad = torch.randn_like(mine)
            its.grad = mine.grad.clone()
        one.step()
        other.step()
    for mine, its in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, its) == (mine.ndim != 4)


def test_a_saved_state_goes_on_with_muons_momentum(tmp_path):
    def begun():
        torch.manual_seed(0)
        network = CNN4(CNN4Config(widths=(2, 2, 2, 2), hidden=(4, 4)))
        network = network.to(memory_format=torch.channels_last)
        optimizer = make_optimizer(network, OptimConfig(muon=0.05))
        return Holders(network, Average(network, 0.9), optimizer)

    def stepped(holders, seed):
        torch.manual_seed(seed)
        for parameter in holders.model.parameters():
            parameter.grad = torch.randn_like(parameter)
        holders.optimizer.step()

    whole, first, second = begun(), begun(), begun()
    for seed in (1, 2):
        stepped(whole, seed)
    stepped(first, 1)
    save_state(tmp_path, Position(step=1), 10, first)
    load_state(tmp_path, second)
    stepped(second, 2)
    for mine, its in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mine, its)
