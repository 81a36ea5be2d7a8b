from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mien.errors import OptionError
from mien.explain.filters.evidence import collect
from mien.explain.filters.layer import activations, choose_layer
from mien.explain.filters.patterns import PatternOptions, random_pictures, synthesise
from mien.explain.filters.responses import best_line, silence
from mien.explain.filters.shapes import bank

STILL = PatternOptions(seeds=1, steps=120, shift=0.0, zoom=0.0)


def unit_range(pixels):
    return pixels.float() / 255


def looked_at(network, faces):
    layer = choose_layer(network, torch.zeros(1, 1, 48, 48))
    return layer, collect(network, layer, faces, as_input=unit_range, keep=5)


def draw(network, layer, seen, filters, options):
    numbers = np.array(filters)
    return synthesise(network, layer, numbers, seen, as_input=unit_range, options=options)


def deep():
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 6, 5, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
    ).eval()  # fmt: skip


def test_a_linear_filter_gets_the_likeliest_picture(known, faces):
    """On the sphere in whitened coordinates the maximum of w·x is at A² times w's transform."""
    layer, seen = looked_at(known, faces)
    mild = replace(seen, contrast=10.0)  # no pixel reaches black or white
    found = draw(known, layer, mild, [0, 1, 2], STILL)
    y, x = layer.unit
    window = layer.window(y, x)
    for f in range(3):
        placed = np.zeros((48, 48))
        rows, columns = window.slices
        placed[rows, columns] = known.conv.weight[f, 0].detach().numpy()
        weight = seen.amplitude[0].copy()
        weight[0, 0] = 0
        best = np.fft.irfft2(np.fft.rfft2(placed) * weight**2, s=(48, 48))[rows, columns]
        cosine = np.corrcoef(found.pictures[f, 0, 0].ravel(), best.ravel())[0, 1]
        assert cosine > 0.99
        own = (found.pictures[f, 0, 0] / 255 * placed[rows, columns]).sum() + 0.1
        assert found.reached[f, 0] == pytest.approx(own, abs=1e-4)


def test_patterns_beat_random_pictures_of_their_kind(faces):
    network = deep()
    layer, seen = looked_at(network, faces)
    found = draw(network, layer, seen, range(6), PatternOptions(seeds=2, steps=24))
    random = torch.tensor(random_pictures(seen, 400, width=48))
    with torch.no_grad():
        answers = activations(network, layer, random / 255)[:, :, *layer.unit]
    assert (found.reached.min(axis=1) > answers.amax(dim=0).numpy()).all()
    assert found.pictures.min() >= 0
    assert found.pictures.max() <= 255


def test_the_same_seed_draws_the_same_whatever_the_company(faces):
    network = deep()
    layer, seen = looked_at(network, faces)
    options = PatternOptions(seeds=2, steps=12)
    together = draw(network, layer, seen, [0, 3, 5], options)
    again = draw(network, layer, seen, [0, 3, 5], options)
    alone = draw(network, layer, seen, [3], options)
    np.testing.assert_array_equal(together.pictures, again.pictures)
    np.testing.assert_allclose(together.pictures[1], alone.pictures[0], atol=0.05)
    other = draw(network, layer, seen, [3], replace(options, seed=1))
    assert np.abs(other.pictures - alone.pictures).max() > 5


def test_diversity_drives_patterns_apart(faces):
    network = deep()
    layer, seen = looked_at(network, faces)

    def likeness(weight):
        options = PatternOptions(seeds=3, steps=24, diversity=weight)
        flat = draw(network, layer, seen, range(3), options).pictures.reshape(3, 3, -1)
        return np.mean([np.corrcoef(p)[np.triu_indices(3, 1)].mean() for p in flat])

    assert likeness(3.0) < likeness(0.0) - 0.1


def test_random_pictures_have_the_spectrum_of_the_data(known, faces):
    _, seen = looked_at(known, faces)
    made = random_pictures(replace(seen, contrast=10.0), 200, width=48)
    assert made.std(axis=(1, 2, 3)) == pytest.approx(np.full(200, 10.0), rel=0.01)
    amplitude = np.abs(np.fft.rfft2(made - made.mean(axis=(2, 3), keepdims=True))).mean(axis=0)[0]
    low = [amplitude[1, 0], amplitude[0, 1], amplitude[2, 2], amplitude[6, 6], amplitude[12, 12]]
    goal = [seen.amplitude[0][k] for k in ((1, 0), (0, 1), (2, 2), (6, 6), (12, 12))]
    assert np.corrcoef(np.log(low), np.log(goal))[0, 1] > 0.98


def test_the_best_line_is_the_best_of_the_bank(known, faces):
    """Against a plain loop over the bank with the kernels themselves."""
    layer, seen = looked_at(known, faces)
    line = best_line(known, layer, seen, as_input=unit_range)
    grey = silence(known, layer, seen, as_input=unit_range)
    bias = np.array([0.1, 0.1, 0.1, 0.5, -3])
    np.testing.assert_allclose(grey, np.broadcast_to(bias[:, None, None], grey.shape), atol=1e-5)
    level, swing = seen.mean_picture.mean(), 2 * seen.contrast
    weight = known.conv.weight.detach().numpy()[:, 0]
    shown = np.clip(level + swing * bank(15, 15), 0, 255) / 255
    centred = np.einsum("bij,fij->bf", shown, weight).max(axis=0)
    assert (line >= centred + bias - 1e-5).all()  # other places and units can only add
    assert line[3] == pytest.approx(0.5)
    # A Gabor is met by one of the bank: no picture between the same bounds does much better.
    most = swing / 255 * np.abs(weight).sum(axis=(1, 2))
    assert line[0] - 0.1 > 0.6 * most[0]


def test_options_are_checked():
    for wrong in ({"seeds": 0}, {"steps": 0}, {"zoom": 0.9}, {"diversity": -1}, {"seed": -1}):
        with pytest.raises(OptionError):
            PatternOptions(**wrong)
