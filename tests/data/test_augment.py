"""Augmentation against torch's own grid and against changes that can be named."""

import math

import pytest
import torch
from torch.nn import functional

from mien.data.augment import AugmentConfig, augment
from mien.errors import OptionError

STILL = {"flip": 0.0, "rotation": 0.0, "shift": 0.0, "scale": 0.0, "contrast": 0.0,
         "brightness": 0.0}  # fmt: skip


def pictures(n=64, channels=1, size=48):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


def run(images, seed=0, **changes):
    config = AugmentConfig(**{**STILL, **changes})
    return augment(images, config, torch.Generator().manual_seed(seed))


def test_nothing_asked_nothing_changed():
    images = pictures()
    assert torch.equal(run(images), images)


def test_flip_mirrors_some_and_leaves_the_rest():
    images = pictures(400)
    changed = run(images, flip=0.5)
    same = (changed == images).flatten(1).all(1)
    mirrored = (changed == images.flip(-1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert 160 < int(mirrored.sum()) < 240  # 200 ± 4 standard deviations


def test_geometry_is_torch_affine_grid():
    images = pictures(16)
    changed = run(images, seed=5, rotation=20.0, shift=0.1, scale=0.2, flip=0.5)
    g = torch.Generator().manual_seed(5)
    angle = (torch.rand(16, generator=g) * 2 - 1) * math.radians(20)
    zoom = torch.exp((torch.rand(16, generator=g) * 2 - 1) * 0.2)
    shift = (torch.rand(16, 2, generator=g) * 2 - 1) * 0.2
    sign = torch.where(torch.rand(16, generator=g) < 0.5, -1.0, 1.0)
    theta = torch.zeros(16, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = zoom * angle.cos() * sign, -zoom * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = zoom * angle.sin() * sign, zoom * angle.cos()
    theta[:, :, 2] = shift
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    expected = functional.grid_sample(
        images.float(), grid, padding_mode="border", align_corners=False
    )
    assert (changed.float() - expected).abs().max() < 0.51  # rounding to whole values


def test_light_is_bounded_and_the_same_all_over_a_picture():
    grey = torch.full((200, 1, 48, 48), 100, dtype=torch.uint8)
    changed = run(grey, brightness=0.1, contrast=0.2).float()
    assert (changed.flatten(1).std(dim=1) == 0).all()
    low = (100 - 127.5) * math.exp(0.2) + 127.5 - 25.5
    high = (100 - 127.5) * math.exp(-0.2) + 127.5 + 25.5
    assert changed.min() >= low - 1
    assert changed.max() <= high + 1
    assert changed.max() - changed.min() > 30


def test_erasing_paints_one_rectangle():
    black = torch.zeros((100, 1, 48, 48), dtype=torch.uint8)
    changed = run(black, erase=0.5, erase_side=(0.25, 0.5))
    hit = [picture[0] > 0 for picture in changed if bool((picture > 0).any())]
    assert 30 < len(hit) < 70
    for mask in hit:
        height, width = int(mask.any(1).sum()), int(mask.any(0).sum())
        assert int(mask.sum()) == height * width
        assert 11 <= height <= 25
        assert 11 <= width <= 25


def test_same_generator_same_batch_and_input_untouched():
    images = pictures(8, channels=3, size=32)
    before = images.clone()
    config = AugmentConfig(erase=0.5)
    first = augment(images, config, torch.Generator().manual_seed(3))
    again = augment(images, config, torch.Generator().manual_seed(3))
    other = augment(images, config, torch.Generator().manual_seed(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert first.shape == images.shape
    assert first.dtype == torch.uint8


@pytest.mark.parametrize("wrong", [{"flip": 1.5}, {"rotation": -1.0}, {"erase_side": (0.5, 0.2)}])
def test_configuration_is_checked(wrong):
    with pytest.raises(OptionError):
        AugmentConfig(**wrong)


def test_crop_is_the_middle_and_shift_moves_it():
    images = pictures(8)
    assert torch.equal(run(images, crop=40), images[:, :, 4:44, 4:44])
    assert torch.equal(run(images, crop=48), images)
    assert torch.equal(run(images, crop=64), images)  # larger than the picture: all of it
    moved = run(pictures(400), crop=40, shift=4 / 48)
    assert moved.shape == (400, 1, 40, 40)
    # A ramp tells where each crop was taken: its mean is the mean position.
    ramp = torch.arange(48, dtype=torch.uint8).mul(5)[None, None, None, :].expand(400, 1, 48, 48)
    place = run(ramp, crop=40, shift=4 / 48).float().mean(dim=(1, 2, 3)) / 5 - 23.5
    assert -4.1 < float(place.min()) < -3.8
    assert 3.8 < float(place.max()) < 4.1


def test_erasing_reaches_its_share_of_the_crop():
    black = torch.zeros((100, 1, 48, 48), dtype=torch.uint8)
    changed = run(black, crop=32, erase=1.0, erase_side=(0.5, 0.5))
    assert ((changed > 0).flatten(1).sum(1) == 16 * 16).all()


def test_bicubic_keeps_what_bilinear_blurs():
    """Half a pixel's shift of stripes two pixels wide: their contrast tells the blur."""
    stripes = torch.arange(48).div(2, rounding_mode="floor").remainder(2).mul(200).add(27)
    images = stripes.to(torch.uint8)[None, None, None, :].expand(300, 1, 48, 48)
    contrast = {
        kind: run(images, seed=2, shift=0.5 / 48, interpolation=kind)[..., 4:44].float().std()
        for kind in ("bilinear", "bicubic")
    }
    assert contrast["bilinear"] < 0.97 * contrast["bicubic"]
    with pytest.raises(OptionError, match="bicubic"):
        AugmentConfig(interpolation="nearest")
