"""Copies, conflicts, near-duplicates and blanks, on sets whose answers are known beforehand."""

import json
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.data import audit as audit_module
from mien.data.audit import NEAR_BITS, Across, Member, Within, audit
from mien.data.near import near_pairs, perceptual_hashes
from mien.types import Problem
from picture_files import image_set

Picture = NDArray[np.uint8]


def smooth(seed: int, side: int = 48) -> Picture:
    """A picture of soft shapes, as different from another seed's as two photographs."""
    noise = np.random.default_rng(seed).normal(size=(12, 12)).astype(np.float32)
    large = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    scaled = (large - large.min()) / (large.max() - large.min()) * 180 + 30
    return np.asarray(scaled, np.uint8)


def changed(picture: Picture) -> Picture:
    return np.asarray(picture * 0.8 + 20, np.uint8)


def hashes_of(*pictures: Picture) -> Any:
    stack = np.stack(pictures)[:, None]
    return perceptual_hashes(stack, np.arange(len(stack)))


def bits_apart(a: Picture, b: Picture) -> int:
    first, second = hashes_of(a, b)
    return int(np.bitwise_count(first ^ second))


def test_copies_and_labels_within_and_across_splits() -> None:
    a, b, c, d = (smooth(n) for n in range(4))
    pictures = [a, a, b, c, a, b, b, d, c]
    labels = [0, 1, 0, 2, 0, 1, -1, 2, -1]
    splits = ["train"] * 4 + ["validation"] * 4 + ["test"]
    report = audit(image_set(pictures, labels, splits))
    assert report.pictures == 9
    assert report.counts == {
        "train": {"angry": 2, "disgust": 1, "happy": 1},
        "validation": {"angry": 1, "disgust": 1, "happy": 1, "": 1},
        "test": {"angry": 0, "disgust": 0, "happy": 0, "": 1},
    }
    assert [[m.id for m in group.members] for group in report.copies] == [
        ["p0", "p1", "p4"],
        ["p2", "p5", "p6"],
        ["p3", "p8"],
    ]
    assert [group.conflicting for group in report.copies] == [True, True, False]
    assert report.copies[0].members[2] == Member("p4", "validation", "angry")
    assert report.copies[1].members[2] == Member("p6", "validation", None)
    assert report.within == (
        Within("train", groups=1, pictures=2, conflicting=1),
        Within("validation", groups=1, pictures=2, conflicting=0),
        Within("test", groups=0, pictures=0, conflicting=0),
    )
    assert report.across == (
        Across("train", "validation", copied=3, otherwise_labelled=2, near=0),
        Across("train", "test", copied=1, otherwise_labelled=1, near=0),
        Across("validation", "train", copied=3, otherwise_labelled=1, near=0),
        Across("validation", "test", copied=0, otherwise_labelled=0, near=0),
        Across("test", "train", copied=1, otherwise_labelled=0, near=0),
        Across("test", "validation", copied=0, otherwise_labelled=0, near=0),
    )
    assert report.near == ()
    assert report.near_complete


def test_near_duplicates_are_named_once_and_counted_across() -> None:
    a, b, c = (smooth(n) for n in range(3))
    pictures = [a, a, b, changed(a), changed(a), c]
    report = audit(
        image_set(pictures, [0, 0, 1, 0, 2, 1], ["train"] * 3 + ["validation"] * 2 + ["test"])
    )
    (pair,) = report.near
    assert (pair.first.id, pair.second.id) == ("p0", "p3")
    assert pair.bits <= NEAR_BITS
    across = {(x.split, x.other): x.near for x in report.across}
    assert across["train", "validation"] == 2
    assert across["validation", "train"] == 2
    assert across["test", "train"] == 0


def test_blank_pictures_are_listed_and_never_near() -> None:
    flat = [np.full((48, 48), value, np.uint8) for value in (0, 0, 128)]
    noisy = np.full((48, 48), 50, np.uint8)
    noisy[::2] = 60
    contrast = noisy.copy()
    contrast[0] = 61
    report = audit(image_set([*flat, noisy, contrast], [0] * 5, ["train"] * 5))
    assert [m.id for m in report.blank] == ["p0", "p1", "p2", "p3"]
    assert report.near == ()
    assert [[m.id for m in g.members] for g in report.copies] == [["p0", "p1"]]


def test_one_picture_and_only_blanks() -> None:
    assert audit(image_set([smooth(0)], [0], ["train"])).copies == ()
    report = audit(image_set([np.zeros((8, 8), np.uint8)], [-1], ["test"]))
    assert len(report.blank) == 1
    assert report.counts == {"test": {"angry": 0, "disgust": 0, "happy": 0, "": 1}}


def test_problems_and_notes_are_passed_on_and_all_is_json() -> None:
    images = replace(
        image_set([smooth(0), smooth(0)], [0, 1], ["train", "validation"]),
        problems=(Problem(where="x.png", what="broken"),),
        notes=("a note",),
    )
    plain = audit(images).to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["problems"] == [{"where": "x.png", "what": "broken"}]
    assert plain["notes"] == ["a note"]
    assert plain["near_bits"] == NEAR_BITS
    assert plain["copies"][0]["members"][0] == {"id": "p0", "split": "train", "label": "angry"}


def test_a_search_that_meets_too_much_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "MOST_PAIRS", 10)
    base = smooth(0)
    pictures = []
    for n in range(40):
        picture = base.copy()
        picture[0, n] ^= 1
        pictures.append(picture)
    report = audit(image_set(pictures, [0] * 40, ["train"] * 40))
    assert not report.near_complete
    assert len(report.near) == 10


@pytest.mark.parametrize("seed", range(8))
def test_the_hash_survives_size_light_and_noise(seed: int) -> None:
    picture = smooth(seed)
    halved = cv2.resize(picture, (24, 24), interpolation=cv2.INTER_AREA)
    back = np.asarray(cv2.resize(halved, (48, 48), interpolation=cv2.INTER_CUBIC), np.uint8)
    noise = np.random.default_rng(seed).integers(-3, 4, picture.shape)
    assert bits_apart(picture, changed(picture)) <= NEAR_BITS
    assert bits_apart(picture, back) <= NEAR_BITS
    assert bits_apart(picture, np.asarray(picture + noise, np.uint8)) <= NEAR_BITS
    assert bits_apart(picture, smooth(seed + 100)) > 12
    assert bits_apart(picture, picture[:, ::-1]) > 12


def test_the_hash_is_what_its_docstring_says() -> None:
    picture = smooth(5)
    small = cv2.resize(picture.astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
    k, n = np.ogrid[:32, :32]
    basis = np.cos(np.pi * (2 * n + 1) * k / 64)
    low = (basis @ small @ basis.T)[:8, :8]
    low /= np.sqrt(np.outer(np.where(np.arange(8) == 0, 2, 1), np.where(np.arange(8) == 0, 2, 1)))
    expected = low.ravel() > np.median(low.ravel()[1:])
    expected[0] = False
    bits = np.unpackbits(hashes_of(picture).view(np.uint8)).astype(bool)
    np.testing.assert_array_equal(bits, expected)
    colour = np.stack([picture] * 3)[None]
    assert perceptual_hashes(colour, np.array([0]))[0] == hashes_of(picture)[0]


@pytest.mark.parametrize("distance", [0, 2, 4, 7])
def test_near_pairs_are_all_pairs_and_no_others(distance: int) -> None:
    chance = np.random.default_rng(distance)
    hashes = chance.integers(0, 2**63, 60, dtype=np.uint64)
    flips = np.zeros(240, np.uint64)
    for n in range(240):
        for bit in chance.choice(64, chance.integers(0, 10), replace=False):
            flips[n] ^= np.uint64(1) << np.uint64(bit)
    hashes = np.concatenate((hashes, np.repeat(hashes, 4) ^ flips))
    pairs, bits, complete = near_pairs(hashes, distance)
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    i, j = np.nonzero(np.triu(apart <= distance, 1))
    assert len(i) > 10
    np.testing.assert_array_equal(pairs, np.stack((i, j), axis=1))
    np.testing.assert_array_equal(bits, apart[i, j])
    assert complete


def test_no_hashes_no_pairs() -> None:
    pairs, bits, complete = near_pairs(np.empty(0, np.uint64), 4)
    assert pairs.shape == (0, 2)
    assert len(bits) == 0
    assert complete
