import numpy as np
import pytest
import torch
from torch import nn

from mien.explain.filters.classes import effects, firing, screen, speaks
from mien.explain.filters.evidence import collect
from mien.explain.filters.layer import choose_layer


def unit_range(pixels):
    return pixels.float() / 255


class Linear(nn.Module):
    """Logits linear in the mean of each filter's map."""

    def __init__(self, around=False):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(1, 4, 5, stride=4)
        self.head = nn.Linear(4, 3)
        self.around = around

    def forward(self, x):
        out = self.conv(x)
        if self.around:
            out = out + x[:, :, : out.shape[2], : out.shape[3]]
        return self.head(out.mean(dim=(2, 3)))


@pytest.mark.parametrize("around", [False, True])
def test_effects_of_a_linear_head_are_those_worked_out(faces, around):
    network = Linear(around).eval()
    layer = choose_layer(network, torch.zeros(1, 1, 48, 48))
    seen = collect(network, layer, faces, as_input=unit_range, keep=3)
    fires = firing(seen.peaks)
    assert fires.sum(axis=0).tolist() == [14] * 4
    found = effects(network, layer, faces, np.arange(4), fires, seen.mean_map,
                    as_input=unit_range, batch_size=50)  # fmt: skip
    with torch.no_grad():
        means = network.conv(unit_range(torch.tensor(faces))).mean(dim=(2, 3)).numpy()
    W = network.head.weight.detach().numpy()
    # logit_k changes by W[k, f] (mean of the map - its mean over the data), less the mean over k.
    expected = (W.T - W.T.mean(axis=1, keepdims=True)) * (means - means.mean(axis=0))[:, :, None]
    np.testing.assert_allclose(found[fires], expected[fires], atol=2e-6)
    assert np.isnan(found[~fires]).all()
    influence = screen(network, layer, faces, seen.mean_map, as_input=unit_range, batch_size=64)
    by_hand = np.sqrt((expected**2).sum(axis=2).mean(axis=0))
    np.testing.assert_allclose(influence.influence, by_hand, rtol=1e-4)
    assert influence.heard.all()


def test_many_classes_are_weighed_along_random_directions(faces):
    network = Linear().eval()
    network.head = nn.Linear(4, 40)
    layer = choose_layer(network, torch.zeros(1, 1, 48, 48))
    seen = collect(network, layer, faces, as_input=unit_range, keep=3)
    found = screen(network, layer, faces, seen.mean_map, as_input=unit_range).influence
    with torch.no_grad():
        means = network.conv(unit_range(torch.tensor(faces))).mean(dim=(2, 3)).numpy()
    W = network.head.weight.detach().numpy()
    length = np.linalg.norm(W - W.mean(axis=0), axis=0)
    # A mean of 16 squares of unit variance strays by a third; its root by a sixth.
    assert found == pytest.approx(length * means.std(axis=0), rel=0.5)


def test_a_filter_speaks_for_the_class_that_it_feeds(known, faces):
    layer = choose_layer(known, torch.zeros(1, 1, 48, 48))
    seen = collect(known, layer, faces, as_input=unit_range, keep=3)
    fires = firing(seen.peaks)
    found = effects(known, layer, faces, np.arange(5), fires, seen.mean_map, as_input=unit_range)
    gabor = speaks(found[fires[:, 0], 0])
    assert gabor[0].low > 0  # weights 1, 0, -1
    assert gabor[2].high < 0
    for dead in (3, 4):  # one constant, one that never fires: nothing changes without them
        assert [e.value for e in speaks(found[fires[:, dead], dead])] == pytest.approx([0] * 3)
    heard = screen(known, layer, faces, seen.mean_map, as_input=unit_range).heard
    assert heard.tolist() == [True, True, True, True, False]


def test_intervals_are_those_of_a_mean():
    values = np.random.default_rng(0).normal(1.0, 2.0, (400, 1)).astype(np.float32)
    (found,) = speaks(values)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean(), abs=1e-6)
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.03
    )
    assert speaks(values) == speaks(values)
