"""The ledger on tiny maps worked out by hand, its bootstrap, its hiding and its template."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from mien.data.synthetic import generate
from mien.explain.regions.hiding import blurred, hide, rolled
from mien.explain.regions.ledger import ledger
from mien.explain.regions.overlap import overlap
from mien.explain.regions.resample import joint, means
from mien.explain.regions.shares import shares
from mien.explain.regions.template import (
    REGIONS,
    from_masks,
    shifted,
    shifts,
    template,
)

# Two pixels in the upper row are "left", the rest "right": 2×2 maps worked out by hand.
UPPER = np.array([[[1, 1], [0, 0]], [[0, 0], [1, 1]]], dtype=bool)


def test_shares_by_hand():
    maps = np.array([[[3.0, -1.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, -2.0]], np.zeros((2, 2))])
    found = shares(maps, UPPER)
    # |.|: 4 of 8 above; 0 of 2; a blank map tells nothing. Positive: 3 of 7; none.
    assert found.absolute[0, :2].tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert found.positive[0, 0] == pytest.approx([3 / 7, 4 / 7])
    assert np.isnan(found.absolute[0, 2]).all()
    assert np.isnan(found.positive[0, 1:]).all()
    assert found.times()[0, 1].tolist() == [0.0, 2.0]


def test_masks_of_their_own_and_an_absent_region():
    maps = np.ones((2, 2, 2))
    maps[1, 0, 0] = 5
    masks = np.zeros((2, 2, 2, 2), dtype=bool)
    masks[1, 0, 0, 0] = True
    masks[:, 1] = ~masks[:, 0]
    found = shares(maps, masks)
    assert np.isnan(found.times()[0, 0, 0])
    assert found.times()[0, 1] == pytest.approx([(5 / 8) / (1 / 4), (3 / 8) / (3 / 4)])
    with pytest.raises(ValueError, match="not shifted"):
        shares(maps, masks, shift=1)


def test_every_shift_equals_a_naive_loop():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(5, 12, 10)).astype(np.float32)
    regions = template(12, 10)
    found = shares(maps, regions, shift=2)
    assert len(shifts(2)) == 25
    assert shifts(2)[0] == (0, 0)
    for s, (dy, dx) in enumerate(shifts(2)):
        for n, one in enumerate(np.abs(maps.astype(np.float64))):
            for r in range(len(REGIONS)):
                total, pixels = 0.0, 0
                for y in range(12):
                    for x in range(10):
                        inside = 0 <= y - dy < 12 and 0 <= x - dx < 10
                        at = regions[r, y - dy, x - dx] if inside else REGIONS[r] == "rest"
                        total, pixels = total + at * one[y, x], pixels + at
                assert found.absolute[s, n, r] == pytest.approx(total / one.sum(), abs=1e-6)
                assert found.area[s, 0, r] == pytest.approx(pixels / 120)


def test_a_ledger_by_hand():
    maps = np.array([[[3.0, 1], [0, 4]], [[0, 0], [0, -2]], [[1, 1], [1, 1]], [[2, 2], [0, 0]]])
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    change = np.array([[-0.5, 0.0], [-0.1, 0.1], [0.0, 0.0], [-0.2, 0.0]])
    table = ledger(
        maps, labels, predicted, UPPER, ("a", "b"), occlusion=change, elsewhere=change / 2,
        shift=0, names=("up", "rest"), method="m", split="validation", replicates=200,
    )  # fmt: skip
    value = {(c.label, c.which, c.region): c for c in table.cells}
    assert len(table.cells) == 3 * 3 * 2
    # Shares above: 1/2, 0, 1/2, 1; on half of the area.
    assert value["*", "all", "up"].times.value == pytest.approx(1.0)
    assert value["a", "all", "up"].times.value == pytest.approx(0.5)
    assert value["a", "right", "up"].times.value == pytest.approx(1.0)
    assert value["a", "wrong", "up"].times.value == pytest.approx(0.0)
    assert value["b", "right", "up"].times.value == pytest.approx(1.5)
    assert value["a", "all", "up"].occlusion.value == pytest.approx(-0.3)
    assert value["a", "all", "up"].elsewhere.value == pytest.approx(-0.15)
    assert value["*", "all", "up"].beyond.value == pytest.approx(-0.1)
    assert value["a", "wrong", "up"].n == 1
    assert value["b", "wrong", "up"].n == 0
    assert table.cell("b", "up", "right") is value["b", "right", "up"]
    plain = json.loads(json.dumps(table.to_json(), allow_nan=False))
    assert plain["cells"][0] == {
        **plain["cells"][0], "class": "*", "which": "all", "region": "up", "n": 4, "area": 0.5,
    }  # fmt: skip
    nobody = next(c for c in plain["cells"] if (c["class"], c["which"]) == ("b", "wrong"))
    assert nobody["times"] is None
    assert {"method", "split", "n", "level", "source", "shift", "findings"} <= set(plain)


def test_an_unlabelled_image_is_refused():
    with pytest.raises(ValueError, match="labels outside"):
        ledger(np.ones((1, 2, 2)), np.array([-1]), np.array([0]), UPPER, ("a",), names=("u", "r"))


def test_intervals_cover_the_truth():
    """Images of two classes with known means: about 95 of 100 intervals hold them."""
    rng = np.random.default_rng(1)
    cells = np.array([[1, 0], [0, 1], [1, 1]], dtype=bool)
    group = np.repeat([0, 1], [25, 60])
    hits, joint_hits, simulations = np.zeros(3), 0, 300
    for seed in range(simulations):
        values = rng.gamma(6.0, 1 / 6, size=85)  # skewed, mean 1
        values[25:] *= 2
        drawn = means(values[None, :, None], group, cells, replicates=400, seed=seed)
        truth = np.array([1.0, 2.0, (25 + 120) / 85])
        found = [drawn.interval(c, 0) for c in range(3)]
        hits += [one.low <= t <= one.high for one, t in zip(found, truth, strict=True)]
        held = joint(drawn.drawn[:, :2, 0], drawn.observed[:2, 0], drawn.n[:2, 0])
        joint_hits += all(one.low <= t <= one.high for one, t in zip(held, truth, strict=False))
        assert all(j.low <= one.low and one.high <= j.high for j, one in zip(held, found, strict=False))  # noqa: E501  # fmt: skip
    # A binomial with p = 0.95 of 300 lies within 0.92..0.98 in 98 of 100 cases.
    assert (hits / simulations >= 0.915).all(), hits / simulations
    assert (hits / simulations <= 0.985).all(), hits / simulations
    assert joint_hits / simulations >= 0.915


def test_intervals_hold_a_misplaced_template():
    """The truth is the value at a placement that nobody knows; the interval holds it too."""
    rng = np.random.default_rng(2)
    maps = np.zeros((40, 24, 24), dtype=np.float32)
    maps[:, 16:22, 8:16] = rng.gamma(2.0, 1.0, size=(40, 6, 8))
    maps += 0.05
    regions = template(24, 24)
    labels = np.zeros(40, dtype=np.int64)
    table = ledger(maps, labels, labels, regions, ("a",), shift=2, replicates=800)
    still = ledger(maps, labels, labels, regions, ("a",), shift=0, replicates=800)
    cell, alone = table.cell("a", "mouth"), still.cell("a", "mouth")
    assert cell.times.value == pytest.approx(alone.times.value)
    assert cell.times.high - cell.times.low > 3 * (alone.times.high - alone.times.low)
    held = 0
    for dy, dx in shifts(2):
        moved = shares(maps, shifted(regions, dy, dx)).times()[0, :, 3].mean()
        held += cell.times.low <= moved <= cell.times.high
    assert held >= 0.9 * len(shifts(2))


def test_the_bootstrap_is_the_plain_one():
    """Against drawing images one replicate at a time, with the same shares of placements."""
    rng = np.random.default_rng(3)
    placed = rng.normal(size=(2, 30, 1)) + np.array([0.0, 1.0])[:, None, None]
    drawn = means(placed, np.zeros(30, dtype=np.int64), np.ones((1, 1), dtype=bool),
                  replicates=4000, seed=1)  # fmt: skip
    plain = [placed[rng.integers(2), rng.integers(30, size=30), 0].mean() for _ in range(4000)]
    assert drawn.observed[0, 0] == pytest.approx(placed[0].mean())
    wanted = np.quantile(plain, [0.05, 0.25, 0.75, 0.95])
    assert np.quantile(drawn.drawn, [0.05, 0.25, 0.75, 0.95]) == pytest.approx(wanted, abs=0.06)


def test_a_template_of_any_size_divides_the_picture():
    for height, width in ((48, 48), (24, 24), (96, 64), (31, 47)):
        regions = template(height, width)
        assert (regions.sum(axis=0) == 1).all()
        assert regions.any(axis=(1, 2)).all()
        for dy, dx in ((0, 0), (4, -4), (-3, 2)):
            assert (shifted(regions, dy, dx).sum(axis=0) == 1).all()
    small, large = template(48, 48), template(96, 96)
    assert np.abs(small.mean(axis=(1, 2)) - large.mean(axis=(1, 2))).max() < 0.006
    assert (small == small[:, :, ::-1]).all()


def test_cheeks_of_drawn_faces_follow_the_head():
    faces = generate(60, seed=4, masks=True)
    regions = from_masks(faces.masks)
    assert regions.shape == (60, len(REGIONS), 48, 48)
    assert (regions.sum(axis=1) == 1).all()
    assert (regions[:, :4] == faces.masks).all()
    y, x = np.mgrid[:48, :48] + 0.5
    for eyes, mouth, cheeks in zip(regions[:, 1], regions[:, 3], regions[:, 4], strict=True):
        assert y[eyes].mean() < y[cheeks].mean() < y[mouth].mean()
        assert x[cheeks].std() > x[eyes].std()
        assert abs(x[cheeks].mean() - (x[eyes].mean() + x[mouth].mean()) / 2) < 3
    # A face without a mouth in the picture has no cheeks, and no error.
    gone = faces.masks[:2].copy()
    gone[:, 3] = False
    assert not from_masks(gone)[:, 4].any()


def test_overlap_by_hand_and_its_floor_on_drawn_faces():
    truth = np.zeros((1, 2, 2, 2), dtype=bool)
    truth[0, 0, 0, :], truth[0, 1, 1, :] = True, True
    guess = np.zeros((2, 2, 2), dtype=bool)
    guess[0, :, 0], guess[1, :, 1] = True, True
    found = overlap(guess, truth, names=("up", "down"))
    assert [(o.iou.value, o.precision.value, o.recall.value) for o in found] == [(1 / 3, 0.5, 0.5)] * 2  # noqa: E501  # fmt: skip
    faces = generate(600, seed=6, masks=True)
    posed = {o.region: o for o in overlap(template(48, 48), from_masks(faces.masks))}
    floors = {"brows": 0.15, "eyes": 0.3, "nose": 0.35, "mouth": 0.25, "cheeks": 0.3, "rest": 0.75}
    for region, floor in floors.items():
        assert posed[region].iou.value > floor, region
        assert posed[region].iou.low <= posed[region].iou.value <= posed[region].iou.high


class OneBlock(nn.Module):
    """Its first logit is the mean brightness of a block, and nothing else."""

    def forward(self, x):
        block = x[:, 0, 2:5, 6:9].mean(dim=(1, 2)) / 50
        return torch.stack([block, torch.zeros_like(block)], dim=1)


def test_hiding_the_one_block_that_counts():
    rng = np.random.default_rng(5)
    images = rng.integers(0, 60, size=(40, 1, 12, 12), dtype=np.uint8)
    images[:, :, 2:5, 6:9] = 250
    regions = np.zeros((3, 12, 12), dtype=bool)
    regions[0, 2:5, 6:9], regions[1, 7:10, 1:4] = True, True  # the third is empty
    network, targets = OneBlock(), np.zeros(40, dtype=np.int64)
    found = hide(network, images, regions, targets, batch_size=16, seed=1)
    soft = blurred(torch.from_numpy(images))
    with torch.no_grad():
        # Worked out without the class: the block's pixels come from the blurred picture.
        hidden = (soft[:, 0, 2:5, 6:9].float().mean(dim=(1, 2)) / 50).sigmoid().numpy()
    assert found.change[:, 0] == pytest.approx(hidden - 1 / (1 + math.exp(-5)), abs=1e-5)
    assert (found.change[:, 1] == 0).all()
    assert np.isnan(found.change[:, 2]).all()
    assert np.isnan(found.elsewhere[:, 2]).all()
    assert found.elsewhere[:, 0].mean() > found.change[:, 0].mean() / 2
    again = hide(network, images, regions, targets, batch_size=7, seed=1)
    assert again.elsewhere[:, :2] == pytest.approx(found.elsewhere[:, :2], abs=1e-6)
    against = hide(network, images, regions, targets, rivals=targets + 1, seed=1)
    assert against.change[:, 0] == pytest.approx(2 * found.change[:, 0], abs=1e-6)


def test_a_rolled_mask_keeps_its_size():
    masks = np.zeros((2, 6, 6), dtype=bool)
    masks[:, 1:3, 4:6] = True
    moved = rolled(masks, np.array([[0, 0], [4, 1]]))
    assert (moved[0] == masks[0]).all()
    assert (moved[1] == np.roll(masks[1], (4, 1), axis=(0, 1))).all()


def test_a_blur_keeps_what_is_flat():
    flat = torch.full((1, 1, 20, 20), 77, dtype=torch.uint8)
    assert (blurred(flat) == 77).all()
    spot = torch.zeros((1, 1, 21, 21), dtype=torch.uint8)
    spot[0, 0, 10, 10] = 255
    assert int(blurred(spot).max()) < 15
