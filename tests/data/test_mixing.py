"""Mixup and cutmix: every pixel comes from the two pictures named, in the stated shares."""

import pytest
import torch

from mien.data.mixing import MixConfig, mix_pictures
from mien.errors import OptionError


def grey(n):
    """Pictures of one value each, so that a pixel tells where it came from."""
    values = torch.arange(n, dtype=torch.uint8)
    return values[:, None, None, None].expand(n, 1, 48, 48)


def run(n, seed=0, **config):
    return mix_pictures(grey(n), MixConfig(**config), torch.Generator().manual_seed(seed))


def test_mixup_is_the_stated_blend_with_the_partner():
    mixed = run(200, mixup=0.5, share=0.4)
    own, other = torch.arange(200.0), mixed.partner.float()
    assert torch.equal(other, torch.arange(200.0).roll(1))
    expected = (1 - mixed.share) * own + mixed.share * other
    pixels = mixed.images.flatten(1)
    torch.testing.assert_close(pixels, expected[:, None].expand_as(pixels))
    touched = mixed.share > 0
    assert 70 < int(touched.sum()) < 130  # 100 ± 4 standard deviations
    assert float(mixed.share.max()) <= 0.4
    assert float(mixed.share[touched].mean()) == pytest.approx(0.2, abs=0.05)


def test_cutmix_pastes_one_rectangle_of_the_stated_share():
    mixed = run(200, cutmix=0.5)
    pasted = mixed.images[:, 0] == mixed.partner.float()[:, None, None]
    kept = mixed.images[:, 0] == torch.arange(200.0)[:, None, None]
    assert bool((pasted ^ kept).all())  # no pixel is anything else
    torch.testing.assert_close(pasted.float().mean(dim=(1, 2)), mixed.share)
    assert 70 < int((mixed.share > 0).sum()) < 130
    for mask in pasted[mixed.share > 0]:
        assert int(mask.sum()) == int(mask.any(0).sum()) * int(mask.any(1).sum())
    assert float(mixed.share.max()) < 0.55  # half, and what rounding to whole pixels adds


def test_both_at_once_touch_every_picture_when_chances_add_up_to_one():
    mixed = run(300, mixup=0.5, cutmix=0.5)
    own = torch.arange(300.0)[:, None, None]
    changed = (mixed.images[:, 0] != own).flatten(1)
    assert int(changed.any(1).sum()) > 290  # all but shares that round to nothing
    assert 100 < int(changed.all(1).sum()) < 200  # the blended half


def test_same_generator_same_mix():
    first, second = run(8, seed=3, mixup=0.3, cutmix=0.3), run(8, seed=3, mixup=0.3, cutmix=0.3)
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.share, second.share)


def test_nothing_is_mixed_in_the_last_phase_or_unless_asked():
    config = MixConfig(mixup=0.2, until=0.75)
    assert config.active(0.0)
    assert config.active(0.74)
    assert not config.active(0.75)
    assert not MixConfig().active(0.0)


@pytest.mark.parametrize(
    "wrong", [{"mixup": -0.1}, {"mixup": 0.6, "cutmix": 0.6}, {"share": 0.0}, {"share": 0.6},
              {"until": 1.1}]
)  # fmt: skip
def test_configuration_is_checked(wrong):
    with pytest.raises(OptionError):
        MixConfig(**wrong)
