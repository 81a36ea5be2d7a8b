import numpy as np
import pytest
import torch
from torch import nn

from mien.errors import NetworkError
from mien.explain.attribution import attribute
from mien.explain.trust.baselines import edges
from mien.explain.trust.randomise import layers, randomisation, shuffled
from trust_toys import Corner, pictures


class Normalised(nn.Module):
    """Convolution, batch normalisation, a layer that stands earlier than it is defined."""

    def __init__(self):
        super().__init__()
        self.late = nn.Linear(4, 3)
        self.convolution = nn.Conv2d(1, 4, 3)
        self.normalisation = nn.BatchNorm2d(4)
        for tensor in (
            self.normalisation.weight,
            self.normalisation.bias,
            self.normalisation.running_mean,
            self.normalisation.running_var,
        ):
            tensor.data = torch.rand(4) + 0.5

    def forward(self, x_NCHW):
        x = self.normalisation(self.convolution(x_NCHW.float() / 255)).relu()
        return self.late(x.mean(dim=(2, 3)))


def perceptron():
    hidden = nn.Linear(256, 16)
    # Weights that fall off to one side, as learned ones might.
    hidden.weight.data *= torch.linspace(0, 1, 256)
    return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Linear(16, 2)).eval()


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_layers_come_in_the_order_of_the_pass_with_their_normalisation() -> None:
    network = Normalised()
    groups = layers(network, torch.zeros(2, 1, 8, 8))
    assert [group.name for group in groups] == ["convolution", "late"]
    assert groups[0].modules == (network.convolution, network.normalisation)
    with pytest.raises(NetworkError, match="nothing to randomise"):
        layers(nn.Sequential(nn.AvgPool2d(8), nn.Flatten()), torch.zeros(2, 1, 8, 8))


def test_shuffling_keeps_the_values_and_is_undone_to_the_bit() -> None:
    network = Normalised()
    groups, before = layers(network, torch.zeros(2, 1, 8, 8)), state(network)
    with shuffled(groups, 0):
        inside = state(network)
        for name in before:
            assert torch.equal(inside[name].flatten().sort()[0], before[name].flatten().sort()[0])
        assert not torch.equal(inside["convolution.weight"], before["convolution.weight"])
        # A channel keeps its mean and its variance together.
        pairs = zip(
            inside["normalisation.running_mean"].tolist(),
            inside["normalisation.running_var"].tolist(),
            strict=True,
        )
        known = zip(
            before["normalisation.running_mean"].tolist(),
            before["normalisation.running_var"].tolist(),
            strict=True,
        )
        assert set(pairs) == set(known)
    assert same(before, state(network))
    with pytest.raises(KeyboardInterrupt), shuffled(groups, 1):
        raise KeyboardInterrupt
    assert same(before, state(network))
    with shuffled(groups[1:], 0):
        assert torch.equal(network.convolution.weight, before["convolution.weight"])
        assert not torch.equal(network.late.weight, before["late.weight"])


def test_a_gradient_depends_on_the_weights_and_an_edge_detector_does_not() -> None:
    torch.manual_seed(0)
    network, images = perceptron(), pictures(12)
    groups = layers(network, torch.from_numpy(images[:2]).float())
    targets, before = np.zeros(12, np.int64), state(network)

    def gradient(pixels, classes):
        return attribute(network, pixels, method="gradient", targets=classes).maps

    told = []
    found = randomisation(
        network, images, targets, gradient, groups, draws=3, progress=lambda *at: told.append(at)
    )
    assert found.layers == ("3", "1")
    assert found.cascade.shape == found.alone.shape == (2, 12)
    assert found.draw.tolist() == [0, 1, 2] * 4
    assert told[-1] == ("randomisation", 12, 12)
    # Randomising the last layer first is the same for both; more layers, less alike.
    assert (found.cascade[0] == found.alone[0]).all()
    assert found.cascade[-1].mean() < 0.2 < found.cascade[0].mean()
    posing = randomisation(network, images, targets, lambda x, _: edges(x), groups, draws=3)
    assert (posing.cascade > 0.999).all()
    assert same(before, state(network))


def test_the_network_is_restored_when_a_method_fails() -> None:
    network, images = Corner().eval(), pictures(4)
    groups, before = layers(network, torch.from_numpy(images[:2])), state(network)
    calls = []

    def failing(pixels, classes):
        calls.append(len(pixels))
        if len(calls) == 3:
            raise ValueError("no")
        return np.ones((len(pixels), 16, 16))

    with pytest.raises(ValueError, match="no"):
        randomisation(network, images, np.zeros(4, int), failing, groups)
    assert same(before, state(network))
