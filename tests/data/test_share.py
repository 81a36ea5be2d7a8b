"""What is drawn for a batch is the same however many ranks share it."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.augment import AugmentConfig, augment
from mien.data.mixing import MixConfig, mix_pictures
from mien.data.share import Share


def generator(seed=4):
    return torch.Generator().manual_seed(seed)


def pictures(n):
    return torch.randint(0, 256, (n, 1, 16, 16), dtype=torch.uint8, generator=generator(9))


@given(st.integers(0, 600), st.integers(1, 9))
def test_shares_are_a_batchs_rows_each_once(total, ranks):
    shares = [Share.of(total, ranks, rank) for rank in range(ranks)]
    assert torch.cat([share.rows for share in shares]).tolist() == list(range(total))
    assert max(s.own for s in shares) - min(s.own for s in shares) <= 1


def test_the_neighbour_is_the_row_before():
    assert Share.of(10, 2, 1, neighbour=True).rows.tolist() == [5, 6, 7, 8, 9, 4]
    assert Share.of(10, 2, 0, neighbour=True).rows.tolist() == [0, 1, 2, 3, 4, 9]
    assert Share.of(4, 1, 0, neighbour=True).rows.tolist() == [0, 1, 2, 3]


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 5), st.booleans())
def test_each_row_is_augmented_and_mixed_as_among_all(total, ranks, mixing):
    ranks = min(ranks, total)
    config = AugmentConfig(erase=0.5)
    mix = MixConfig(mixup=0.45, cutmix=0.45)
    whole_generator = generator()
    changed = augment(pictures(total), config, whole_generator)
    whole = mix_pictures(changed, mix, whole_generator)
    for rank in range(ranks):
        share = Share.of(total, ranks, rank, neighbour=mixing)
        mine = generator()
        part = augment(pictures(total)[share.rows], config, mine, share)
        torch.testing.assert_close(part, changed[share.rows], rtol=0, atol=1)
        assert (part == changed[share.rows]).float().mean() > 0.99
        if not mixing:
            continue
        mixed = mix_pictures(part, mix, mine, share)
        own = slice(share.start, share.stop)
        torch.testing.assert_close(mixed.images, whole.images[own], rtol=0, atol=1)
        torch.testing.assert_close(mixed.share, whole.share[own])
        # Partners are rows of what this rank was given; they name the same pictures.
        assert share.rows[mixed.partner].tolist() == whole.partner[own].tolist()
