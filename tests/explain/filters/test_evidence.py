import numpy as np
import pytest
import torch
from torch import nn

from mien.errors import OptionError
from mien.explain.filters.evidence import collect, fields_of
from mien.explain.filters.layer import Window, activations, choose_layer
from mien.models.cnn4 import CNN4, CNN4Config


def unit_range(pixels):
    return pixels.float() / 255


def layer_of(network, name=""):
    return choose_layer(network, torch.zeros(1, 1, 48, 48), name)


def test_top_patches_equal_brute_force(known, faces):
    layer = layer_of(known)
    assert (layer.name, layer.filters, layer.grid, layer.gate_name) == ("conv", 5, (12, 12), "gate")
    seen = collect(known, layer, faces, as_input=unit_range, keep=7, batch_size=33)
    with torch.no_grad():
        out = known.conv(unit_range(torch.tensor(faces))).numpy()
    peaks = out.max(axis=(2, 3))
    for f in (0, 1, 2, 4):
        order = sorted(range(len(faces)), key=lambda i: (-peaks[i, f], i))[:7]
        assert seen.top_index[f].tolist() == order
        places = zip(seen.top_index[f], seen.top_y[f], seen.top_x[f], strict=True)
        assert [out[i, f, y, x] for i, y, x in places] == pytest.approx(seen.top_value[f], abs=1e-6)
    assert len(set(seen.top_index[0].tolist())) == 7
    np.testing.assert_allclose(seen.peaks, peaks, atol=1e-6)
    np.testing.assert_allclose(seen.mean_map, out.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(seen.active_positions, (out > 0).mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(seen.active_images, (peaks > 0).mean(axis=0))
    assert seen.constant.tolist() == [False, False, False, True, False]
    assert seen.contrast == pytest.approx(faces.std(axis=(1, 2, 3)).mean(), rel=1e-6)


def test_batches_do_not_matter(known, faces):
    layer = layer_of(known)
    small, large = (
        collect(known, layer, faces, as_input=unit_range, keep=4, batch_size=size)
        for size in (9, 140)
    )
    np.testing.assert_array_equal(small.top_index[[0, 1, 2, 4]], large.top_index[[0, 1, 2, 4]])
    np.testing.assert_allclose(small.amplitude, large.amplitude)
    np.testing.assert_allclose(small.mean_map, large.mean_map, atol=1e-6)


def strided():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, dilation=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(),
        nn.Flatten(), nn.Linear(8 * 100, 4),
    )  # fmt: skip


@pytest.mark.parametrize("make", [strided, lambda: CNN4(CNN4Config(widths=(4, 6, 8, 10)))])
def test_nothing_outside_of_the_field_moves_the_activation(make, faces):
    network = make().eval()
    layer = layer_of(network)
    assert layer.gate is not None
    seen = collect(network, layer, faces, as_input=unit_range, keep=3)
    rng = np.random.default_rng(0)
    for f in range(layer.filters):
        i, y, x = int(seen.top_index[f, 0]), int(seen.top_y[f, 0]), int(seen.top_x[f, 0])
        rows, columns = layer.window(y, x).clipped(48, 48).slices
        plain, noisy = faces[i].copy(), rng.integers(0, 256, faces[i].shape, dtype=np.uint8)
        noisy[:, rows, columns] = plain[:, rows, columns]
        black = np.zeros_like(plain)
        black[:, rows, columns] = plain[:, rows, columns]
        with torch.no_grad():
            pair = torch.tensor(np.stack([plain, noisy, black]))
            out = activations(network, layer, unit_range(pair))[:, f, y, x]
        assert out.tolist() == pytest.approx([float(seen.top_value[f, 0])] * 3, abs=1e-5)


def test_the_field_is_no_larger_than_it_must_be():
    network = strided().eval()
    layer = layer_of(network)
    y, x = layer.unit
    window = layer.window(y, x)
    assert window == window.clipped(48, 48)
    # With positive weights no path is shut, so the gradient shows the whole field.
    smooth = nn.Sequential(network[0], nn.AvgPool2d(2), network[3])
    with torch.no_grad():
        for p in smooth.parameters():
            p.abs_()
    picture = torch.ones(1, 1, 48, 48, requires_grad=True)
    smooth(picture)[0, 0, y, x].backward()
    rows, columns = np.nonzero(picture.grad[0, 0].numpy())
    assert (rows.min(), columns.min()) == (window.top, window.left)
    assert (rows.max() + 1, columns.max() + 1) == (
        window.top + window.height, window.left + window.width)  # fmt: skip


def test_patches_beyond_the_picture_are_marked(faces):
    window = Window(-2, 40, 6, 10)
    patches, inside = fields_of(faces, np.array([5]), [window])
    assert patches.shape == (1, 1, 6, 10)
    np.testing.assert_array_equal(patches[0, 0, 2:, :8], faces[5, 0, :4, 40:])
    assert inside.sum() == 4 * 8
    assert not patches[0, 0][~inside[0]].any()


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.again = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.again(self.again(self.first(x))).mean(dim=(2, 3)))


def test_layers_are_chosen_by_name():
    assert layer_of(Twice()).name == "first"
    with pytest.raises(OptionError, match="--layer again: it runs more than once"):
        layer_of(Twice(), "again")
    with pytest.raises(OptionError, match="--layer head: it has no grid of filters; one of first"):
        layer_of(Twice(), "head")
    with pytest.raises(OptionError, match="--layer neck: not there"):
        layer_of(Twice(), "neck")
    with pytest.raises(OptionError, match="no convolution"):
        layer_of(nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 2)))
    assert layer_of(strided(), "4").name == "4"


def test_the_network_is_left_as_it_was(known, faces):
    known.train()
    before = {k: v.clone() for k, v in known.state_dict().items()}
    collect(known, layer_of(known), faces[:20], as_input=unit_range, keep=2)
    assert known.training
    assert not known.conv._forward_hooks
    assert not known.gate._forward_pre_hooks
    assert all(torch.equal(v, before[k]) for k, v in known.state_dict().items())
