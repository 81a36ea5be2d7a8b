import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from mien.errors import OptionError
from mien.explain.trust.curves import CurveOptions, Prober, area, filled, patches
from trust_toys import Corner, Linear, pictures


def test_areas_by_hand_on_a_linear_network() -> None:
    # Left half 255, right half 0: the mean, which is filled in, is 127.5, rounded to even 128.
    image = np.zeros((1, 1, 2, 2), np.uint8)
    image[..., 0] = 255
    network = Linear([[2.0, -1.0], [1.0, 0.0]])
    options = CurveOptions(steps=4, patch=1, fill="mean")
    prober = Prober(network, image, np.array([0]), options)
    found = prober.curves(np.array([[[4.0, -3.0], [2.0, 1.0]]]))
    grey = 128 / 255
    # Pixels go in the order of |map|: 2.0, -1.0, 1.0, 0.0 by weight.
    scores = [3.0, 1 + 2 * grey, 1 + 2 * grey - grey, 2 * grey, 2 * grey]
    deletion = [1 / (1 + math.exp(-s)) for s in scores]
    back = [2 * grey, 2 + grey - grey, 2 + grey, 3.0, 3.0]
    insertion = [1 / (1 + math.exp(-s)) for s in back]
    assert found.fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.deletion[0] == pytest.approx(deletion, abs=1e-6)
    assert found.insertion[0] == pytest.approx(insertion, abs=1e-6)
    by_hand = sum((a + b) / 2 * 0.25 for a, b in pairwise(deletion))
    assert found.deletion_area == pytest.approx([by_hand], abs=1e-6)
    by_hand = sum((a + b) / 2 * 0.25 for a, b in pairwise(insertion))
    assert found.insertion_area == pytest.approx([by_hand], abs=1e-6)


@pytest.mark.parametrize("fill", ["blur", "mean"])
def test_many_at_once_are_the_same_as_one_picture_and_one_step_at_a_time(fill: str) -> None:
    torch.manual_seed(0)
    network, images = Corner().eval(), pictures(7, side=18)
    targets = np.array([0, 1, 1, 0, 0, 1, 0])
    maps = np.random.default_rng(0).standard_normal((7, 18, 18))
    options = CurveOptions(steps=5, patch=4, fill=fill, batch_size=9)
    found = Prober(network, images, targets, options).curves(maps)
    where, fills = patches(18, 18, 4).reshape(18, 18), filled(images, fill)
    assert where.max() == 24
    for n in range(7):
        strength = [abs(maps[n][where == g]).sum() for g in range(25)]
        order = np.argsort(strength)[::-1]
        for s, count in enumerate([0, 5, 10, 15, 20, 25]):
            gone = np.isin(where, order[:count])
            for curve, a, b in ((found.deletion, fills, images), (found.insertion, images, fills)):
                picture = np.where(gone, a[n], b[n])
                with torch.no_grad():
                    chance = network(torch.from_numpy(picture)[None]).softmax(1)[0, targets[n]]
                assert curve[n, s] == pytest.approx(float(chance), abs=1e-6)


def test_ties_are_broken_at_random_but_the_same_each_time() -> None:
    network, images = Linear(np.arange(64).reshape(8, 8) / 200), pictures(4, side=8)
    options = CurveOptions(steps=8, patch=1)
    even = np.ones((4, 8, 8))
    first, again = (Prober(network, images, np.zeros(4, int), options).curves(even) for _ in "ab")
    assert (first.deletion == again.deletion).all()
    # Row by row would take the pixels that matter least first: the area would be larger.
    other = Prober(network, images, np.zeros(4, int), CurveOptions(steps=8, patch=1, seed=1))
    assert (other.curves(even).deletion != first.deletion).any()


def test_the_fill_is_smooth_and_the_network_as_it_was() -> None:
    images = pictures(3, side=16)
    rough, smooth = (np.abs(np.diff(x.astype(int))).max() for x in (images, filled(images)))
    assert smooth < rough / 3
    assert (filled(images, "mean").std(axis=(2, 3)) == 0).all()
    network = Corner().train()
    before = {k: (v.clone(), v.stride()) for k, v in network.state_dict().items()}
    Prober(network, images, np.zeros(3, int)).curves(np.ones((3, 16, 16)))
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name][0])
        assert value.stride() == before[name][1]


def test_refused_options() -> None:
    with pytest.raises(OptionError, match="fill 'black': one of blur, mean"):
        CurveOptions(fill="black")
    with pytest.raises(OptionError, match="2 steps"):
        CurveOptions(steps=1)


def test_area_of_a_triangle() -> None:
    assert area([0, 0.5, 1], [[0, 1, 0], [1, 0.5, 0]]).tolist() == [0.5, 0.5]
