"""Walks over networks that mien did not know: shapes, costs, branches, receptive fields."""

import pytest
import torch
from networks import Dilated, ResNet, impossible, plain
from torch import nn

from mien.errors import NetworkError
from mien.models.cnn4 import CNN4, CNN4Config
from mien.theory.walk import walk

NETWORKS = {"plain": plain, "residual": ResNet, "dilated and grouped": Dilated}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_it_did_not_know(name):
    network = NETWORKS[name]().train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    batch = torch.rand(2, 1, 24, 24)
    random_state = torch.random.get_rng_state()
    for training in (False, True):
        found = walk(network, batch, training=training)
        assert found.output == (2, 7)
        assert all(layer.as_predicted is not False for layer in found.layers)
        assert sum(layer.as_predicted is True for layer in found.layers) >= 6
        assert found.parameters == sum(p.numel() for p in network.parameters())
        assert sum(layer.parameters for layer in found.layers) == found.parameters
    assert network.training
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_costs_by_hand():
    found = walk(plain(), torch.rand(1, 1, 24, 24))
    layers = {layer.name: layer for layer in found.layers}
    assert layers["0"].output == (1, 4, 24, 24)
    assert layers["0"].macs == 4 * 24 * 24 * 25
    assert layers["0"].parameters == 4 * 25 + 4
    assert layers["0"].activation == 4 * 24 * 24 * 4
    assert layers["3"].output == (1, 4, 12, 12)  # ⌈(24 − 3)/2⌉ + 1 = 12
    assert layers["4"].macs == 6 * 5 * 5 * 4 * 9
    assert layers["8"].macs == 150 * 12
    assert found.macs == sum((57600, 5400, 1800, 84))
    # 5; pooling 3/2: 7, jump 2; convolution 3/2: 7 + 2·2 = 11, jump 4.
    field = layers["4"].fields[0]
    assert (field.size, field.jump) == (11, 4)
    assert layers["8"].whole


def measured_field(network, layer_name, shape):
    """First and last pixel, on each axis, that an output element in the middle depends on."""
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.01)  # nothing cancels
    kept = {}
    handle = network.get_submodule(layer_name).register_forward_hook(
        lambda m, i, o: kept.update(out=o)
    )
    x = torch.ones(shape, dtype=torch.float64, requires_grad=True)
    network.double().eval()(x)
    handle.remove()
    middle = tuple(n // 2 for n in kept["out"].shape[2:])
    (slope,) = torch.autograd.grad(kept["out"][(0, 0, *middle)], x)
    hit = slope[0].abs().sum(0).nonzero()
    return [(int(hit[:, a].min()), int(hit[:, a].max()), middle[a]) for a in range(hit.shape[1])]


class Linearised(nn.Module):
    """A random stack with a branch, linear throughout, so that every path shows in the gradient."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        pick = lambda *options: options[int(torch.randint(len(options), ()))]  # noqa: E731
        make = lambda: nn.Conv2d(2, 2, pick(1, 3, 5), padding="same", dilation=pick(1, 2))  # noqa: E731
        self.stem = nn.Conv2d(1, 2, (3, pick(2, 4)), stride=pick(1, 2), padding=(1, pick(0, 1)))
        self.long, self.short = nn.Sequential(make(), make()), make()
        self.pool = nn.AvgPool2d(pick(2, 3), pick(1, 2))
        self.last = nn.Conv2d(2, 1, pick(1, 3))

    def forward(self, x):
        x = self.stem(x)
        return self.last(self.pool(self.long(x) + self.short(x) + x))


@pytest.mark.parametrize("seed", range(12))
def test_receptive_fields_are_those_that_gradients_show(seed):
    network = Linearised(seed)
    shape = (1, 1, 64, 64)
    layers = {layer.name: layer for layer in walk(network, torch.rand(shape)).layers}
    for name in ("stem", "long.1", "pool", "last"):
        for field, (low, high, place) in zip(
            layers[name].fields, measured_field(network, name, shape), strict=True
        ):
            assert (field.low + place * field.jump, field.high + place * field.jump) == (low, high)


def test_residual_branches_are_edges_and_the_largest_path_counts():
    rows = walk(ResNet(), torch.rand(1, 1, 24, 24)).layers
    layers = {layer.name: layer for layer in rows}
    second = layers["blocks.1.conv1"]
    assert second.fields[0].size == 9  # 3, 5, 7 through the block, 9; the identity has only 3
    assert layers["blocks.1.conv2"].fields[0].size == 13
    # The second block takes what ReLU made of the sum; the sum itself comes from two layers.
    after_sum = next(row for row in rows if len(row.sources) == 2)
    assert after_sum.name == "blocks.0.relu"
    assert {rows[s].name for s in after_sum.sources} == {"blocks.0.bn2", "stem"}
    assert rows[second.sources[0]] is after_sum
    short = layers["blocks.1.short"]
    assert short.sources == second.sources
    assert short.fields[0].size == 7
    assert layers["fc"].whole


def test_what_is_not_known_is_not_guessed():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 3)

        def forward(self, x):
            return self.b(torch.fft.fft2(self.a(x)).real)

    layers = walk(Odd(), torch.rand(1, 1, 16, 16)).layers
    assert layers[0].fields[0].size == 3
    assert layers[1].fields is None
    assert not layers[1].whole


def test_attention_and_recurrence_are_walked():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Conv2d(1, 8, 4, stride=4)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 7)

        def forward(self, x):
            x = self.embed(x).flatten(2).transpose(1, 2)
            return self.head(self.attention(x, x, x)[0].mean(1))

    network = Attends()
    found = walk(network, torch.rand(2, 1, 16, 16))
    assert [layer.kind for layer in found.layers] == ["Conv2d", "MultiheadAttention", "Linear"]
    assert found.layers[1].as_predicted is None
    assert sum(layer.parameters for layer in found.layers) == found.parameters


def test_shared_weights_are_counted_once():
    layer = nn.Conv2d(2, 2, 3, padding=1)
    found = walk(nn.Sequential(nn.Conv2d(1, 2, 1), layer, nn.ReLU(), layer), torch.rand(1, 1, 8, 8))
    assert [row.parameters for row in found.layers] == [4, 38, 0, 0]
    assert [row.shared for row in found.layers] == [False, False, False, True]
    assert found.parameters == 42
    assert found.layers[3].macs == found.layers[1].macs


def test_impossible_layers_are_refused_by_name():
    with pytest.raises(NetworkError, match=r"layer '2' \(Conv2d\) on 1×4×5×5: .*spans 7 .* has 5"):
        walk(impossible(), torch.rand(1, 1, 24, 24))
    with pytest.raises(NetworkError, match=r"layer '0' .* has 3 channels where it takes 1"):
        walk(plain(), torch.rand(1, 3, 24, 24))
    with pytest.raises(NetworkError, match=r"layer '8' .* takes 150 features"):
        walk(plain(), torch.rand(1, 1, 30, 30))

    class Broken(nn.Module):
        def forward(self, x):
            return x @ x.new_zeros(3, 3)

    with pytest.raises(
        NetworkError, match="layer 'Broken' fails, with the network's input 1×1×8×8"
    ):
        walk(Broken(), torch.rand(1, 1, 8, 8))


def test_cnn4_is_walked_with_its_normalisation():
    network = CNN4(CNN4Config(widths=(4, 8, 8, 8)))
    found = walk(network, torch.zeros(1, 1, 48, 48, dtype=torch.uint8))
    assert found.layers[0].kind == "Normalise"
    convolutions = [layer for layer in found.layers if layer.kind == "Conv2d"]
    # Each block adds 2 jumps for the convolution and 1 for the pooling; jumps 1, 2, 4, 8.
    assert [int(layer.fields[0].size) for layer in convolutions] == [3, 8, 18, 38]
    assert found.output == (1, 7)
