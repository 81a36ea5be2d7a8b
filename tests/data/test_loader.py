"""Who comes when: each image once an epoch, whatever the ranks and wherever one starts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.loader import Pictures, Sampler, mix, sampling_weights
from mien.errors import OptionError


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 700), st.integers(2, 130), st.integers(1, 4), st.integers(0, 5))
def test_each_image_once_an_epoch_over_all_ranks(total, batch_size, ranks, epoch):
    if min(total, batch_size) < 2 * ranks:
        with pytest.raises(OptionError):
            Sampler(total, batch_size, seed=7, ranks=ranks)
        return
    sampler = Sampler(total, batch_size, seed=7, ranks=ranks)
    seen, sizes = [], []
    for rank in range(ranks):
        for part, size in sampler.epoch(epoch, rank=rank):
            seen += part.tolist()
            assert len(part) >= 2
            if rank == 0:
                sizes.append(size)
    assert sorted(seen) == list(range(total))
    assert len(sizes) == sampler.steps
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2


def test_resuming_in_the_middle_gives_the_same_batches():
    sampler = Sampler(100, 16, seed=1)
    whole = [part for part, _ in sampler.epoch(3)]
    rest = [part for part, _ in sampler.epoch(3, first=4)]
    assert len(rest) == len(whole) - 4
    assert all(torch.equal(a, b) for a, b in zip(whole[4:], rest, strict=True))


def test_epochs_and_seeds_differ():
    orders = {
        tuple(torch.cat([p for p, _ in Sampler(50, 10, seed).epoch(epoch)]).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_weighted_sampling_evens_out_the_classes():
    labels = torch.tensor([0] * 900 + [1] * 100)
    weights = sampling_weights(labels, 2, 1.0)
    assert weights is not None
    drawn = torch.cat([part for part, _ in Sampler(1000, 50, 0, weights).epoch(0)])
    share = (labels[drawn] == 1).float().mean().item()
    assert share == pytest.approx(0.5, abs=4 * 0.5 / 1000**0.5)
    assert sampling_weights(labels, 2, 0.0) is None


def test_pictures_point_at_rows_without_copying():
    images = np.arange(6 * 4, dtype=np.uint8).reshape(6, 1, 2, 2)
    images.setflags(write=False)
    labels = np.array([5, 4, 3, 2, 1, 0])
    pictures = Pictures.of(images, labels, np.array([1, 3, 5]), torch.device("cpu"))
    got, wanted = pictures.get(torch.tensor([2, 0]))
    assert np.array_equal(got.numpy(), images[[5, 1]])
    assert wanted.tolist() == [0, 4]
    assert pictures.images.data_ptr() == images.ctypes.data
    assert pictures.subset(torch.tensor([1])).get(torch.tensor([0]))[1].tolist() == [2]


def test_mix_is_stable_and_spreads():
    assert mix(0, 1) == mix(0, 1)
    assert len({mix(a, b) for a in range(30) for b in range(30)}) == 900
    assert 0 <= mix(2**40, 3) < 2**63


def test_too_little_is_refused():
    with pytest.raises(OptionError):
        Sampler(10, 1, 0)
    with pytest.raises(OptionError):
        Sampler(1, 10, 0)
