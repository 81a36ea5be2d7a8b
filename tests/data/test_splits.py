"""Holding out and keeping copies together, on small sets drawn at random and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.splits import copied_in_training, hold_out, training_indices
from mien.errors import LayoutError, OptionError
from mien.types import ImageSet
from picture_files import face, image_set

CLASSES = ("angry", "disgust", "happy")
FACES = [face(n, 4) for n in range(12)]


def small_set(rows: list[tuple[int, int, str]]) -> ImageSet:
    pictures, labels, splits = zip(*rows, strict=True)
    return image_set([FACES[p] for p in pictures], list(labels), list(splits))


ROWS = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 2), st.sampled_from(["train", "test"])),
    min_size=2,
    max_size=60,
)


@given(ROWS, st.integers(0, 5), st.floats(0.05, 0.6))
def test_holding_out(rows: list[tuple[int, int, str]], seed: int, fraction: float) -> None:
    images = small_set(rows)
    before = images.splits.copy()
    try:
        held = hold_out(images, fraction=fraction, seed=seed)
    except LayoutError:
        train = images.where("train")
        _, first = np.unique(images.hashes[train], return_index=True)
        labels = images.labels[train[first]].tolist()
        assert max([labels.count(k) for k in set(labels)], default=0) < 2
        return
    np.testing.assert_array_equal(images.splits, before)
    validation = held.where("validation")
    assert len(validation)
    assert (before[validation] == 0).all()  # from train alone
    np.testing.assert_array_equal(held.where("test"), images.where("test"))
    train_hashes = set(held.hashes[held.where("train")].tolist())
    assert train_hashes.isdisjoint(held.hashes[validation].tolist())
    assert held.where("train").size
    again = hold_out(images, fraction=fraction, seed=seed)
    np.testing.assert_array_equal(again.splits, held.splits)
    assert not held.has_validation
    assert hold_out(held, seed=seed + 1) is held
    assert training_indices(held)[1] == 0


def test_a_tenth_of_each_class() -> None:
    pictures = [face(n, 8) for n in range(1000)]
    labels = [0] * 700 + [1] * 270 + [2] * 30
    images = image_set(pictures, labels, ["train"] * 1000)
    held = hold_out(images)
    chosen = held.labels[held.where("validation")].tolist()
    assert [chosen.count(k) for k in range(3)] == [70, 27, 3]
    other = hold_out(images, seed=1)
    assert not np.array_equal(held.splits, other.splits)
    half = hold_out(images, fraction=0.5)
    assert len(half.where("validation")) == 500


def test_a_class_of_one_picture_stays_in_training() -> None:
    rows = [(0, 0, "train")] * 9 + [(n, 1, "train") for n in (1, 2)] + [(3, 2, "train")]
    held = hold_out(small_set(rows))
    assert held.labels[held.where("validation")].tolist() == [1]


def test_too_little_to_hold_out() -> None:
    for rows in ([(0, 0, "train")] * 5, [(0, 0, "test"), (1, 0, "test")]):
        with pytest.raises(LayoutError, match="too few"):
            hold_out(small_set(rows))
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(OptionError):
            hold_out(small_set([(0, 0, "train"), (1, 0, "train")]), fraction=fraction)


def test_training_leaves_out_copies_of_validation_whatever_their_label() -> None:
    images = small_set(
        [
            (0, 0, "train"),
            (1, 0, "train"),
            (1, 1, "train"),
            (2, 2, "train"),
            (1, 0, "validation"),
            (3, 0, "validation"),
            (0, 0, "test"),
        ]
    )
    index, left_out = training_indices(images)
    assert index.tolist() == [0, 3]
    assert left_out == 2
    index, left_out = training_indices(images, keep_copies=True)
    assert index.tolist() == [0, 1, 2, 3]
    assert left_out == 0


def test_copied_in_training() -> None:
    images = small_set(
        [(0, 0, "train"), (1, 0, "train"), (1, 1, "train"), (1, 0, "validation"),
         (3, 0, "validation"), (0, 2, "test")]
    )  # fmt: skip
    everything = np.arange(6)
    expected = [False, True, True, True, False, True]
    assert copied_in_training(images, everything).tolist() == expected
    assert copied_in_training(images, np.array([4, 3])).tolist() == [False, True]
    assert copied_in_training(images, np.array([], np.int64)).tolist() == []
    alone = small_set([(0, 0, "validation"), (0, 0, "test")])
    assert copied_in_training(alone, np.array([0, 1])).tolist() == [False, False]
