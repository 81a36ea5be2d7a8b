"""Confident learning by hand and against recorded results of cleanlab 2.9; regions of a pair."""

import numpy as np
import pytest

from mien.explain.pairs import Pair, describe_pair, pair_regions, suspects
from mien.types import Interval


def test_confident_learning_by_hand():
    # Thresholds: a (0.8 + 0.7 + 0.2 + 0.3) / 4 = 0.5, b (0.9 + 0.6 + 0.3) / 3 = 0.6.
    a = np.array([0.8, 0.7, 0.2, 0.3, 0.1, 0.4, 0.7])
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    found = suspects(np.stack([a, 1 - a], axis=1), labels)
    assert found.thresholds == pytest.approx([0.5, 0.6])
    assert found.confident_joint.tolist() == [[2, 2], [1, 2]]
    # Margins: image 2 0.8 - 0.2, image 3 0.7 - 0.3, image 6 0.7 - 0.3; ties by position.
    assert found.index.tolist() == [2, 3, 6]
    assert found.suggested.tolist() == [1, 1, 0]
    assert found.confidence == pytest.approx([0.6, 0.4, 0.4])
    assert found.estimated == pytest.approx(np.array([[2, 2], [1, 2]]))


def test_an_image_below_every_threshold_is_not_suspect():
    chances = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.4, 0.3, 0.3], [0.9, 0.1, 0.0]])
    found = suspects(chances, np.array([0, 1, 1, 2]))
    # Thresholds 0.9, 0.6, 0: the third reaches only that of the third class, which has 0.
    assert found.confident_joint.sum() == 4
    assert set(found.index.tolist()) == {2, 3}
    assert found.suggested[found.index.tolist().index(2)] == 2


# Sixteen images of three classes; thresholds, joint and suspects as cleanlab 2.9.0 gives them:
# count.compute_confident_joint(labels, p, calibrate=False, return_indices_of_off_diagonals=True)
# and filter.find_label_issues(…, filter_by="confident_learning",
# return_indices_ranked_by="normalized_margin").
RECORDED = {
    "probabilities": [
        [0.04, 0.46, 0.5],
        [0.53, 0.05, 0.42],
        [0.74, 0.0, 0.26],
        [0.0, 0.97, 0.03],
        [0.86, 0.05, 0.09],
        [0.4, 0.58, 0.02],
        [0.21, 0.74, 0.05],
        [0.03, 0.48, 0.49],
        [0.42, 0.45, 0.13],
        [0.48, 0.49, 0.03],
        [0.47, 0.48, 0.05],
        [0.07, 0.71, 0.22],
        [0.01, 0.91, 0.08],
        [0.27, 0.46, 0.27],
        [0.81, 0.0, 0.19],
        [0.62, 0.09, 0.29],
    ],
    "labels": [1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 0, 1, 1, 2, 2, 0],
    "confident_joint": [[1, 0, 0], [1, 5, 3], [2, 0, 1]],
    "issues": [4, 2, 14, 1, 0, 7],
}


def test_as_cleanlab_finds_them():
    found = suspects(np.array(RECORDED["probabilities"]), np.array(RECORDED["labels"]))
    assert found.confident_joint.tolist() == RECORDED["confident_joint"]
    assert found.index.tolist() == RECORDED["issues"]


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        suspects(np.ones((2, 3)) / 3, np.array([0]))
    with pytest.raises(ValueError, match="labels outside"):
        suspects(np.ones((1, 3)) / 3, np.array([3]))


def test_flipped_labels_are_found():
    """Of 8 % flipped labels of a good classifier most are found, and most that is found is one."""
    rng = np.random.default_rng(0)
    truth = rng.integers(5, size=2000)
    logits = rng.normal(size=(2000, 5))
    logits[np.arange(2000), truth] += 4
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    flipped = rng.random(2000) < 0.08
    labels = np.where(flipped, (truth + rng.integers(1, 5, size=2000)) % 5, truth)
    found = np.isin(np.arange(2000), suspects(chances, labels).index)
    assert (found & flipped).sum() / flipped.sum() > 0.75
    assert (found & flipped).sum() / found.sum() > 0.75


UPPER = np.array([[[1, 1], [0, 0]], [[0, 0], [1, 1]]], dtype=bool)


def test_regions_of_a_pair_by_hand():
    maps = np.array([[[3.0, -1.0], [0.0, 4.0]], [[0.0, -2.0], [0.0, -2.0]]])
    change = np.array([[0.4, 0.0], [0.2, 0.0]])
    up, rest = pair_regions(maps, UPPER, change, change / 2, names=("up", "rest"), shift=0,
                            replicates=100)  # fmt: skip
    # Absolute: 4 of 8, 2 of 4 on half the area; signed: (3 - 1) / 8 and -2 / 4.
    assert up.times.value == pytest.approx(1.0)
    assert up.net.value == pytest.approx((2 / 8 - 2 / 4) / 2)
    assert rest.net.value == pytest.approx((4 / 8 - 2 / 4) / 2, abs=1e-6)
    assert up.hiding.value == pytest.approx(0.3)
    assert up.elsewhere.value == pytest.approx(0.15)


def _pair(n, regions):
    return Pair(
        truth="fear", predicted="sad", classes=("fear", "sad"), n=n, confident=(), suspects=(),
        regions=tuple(regions), method="gradient", held_out=True,
    )  # fmt: skip


def test_a_pair_says_only_what_its_intervals_bear():
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(60, 2, 2))
    change = 0.3 + 0.05 * rng.normal(size=(60, 2))
    change[:, 1] = rng.normal(size=60) * 0.01
    rows = pair_regions(maps, UPPER, change, change * 0, names=("mouth", "eyes"), shift=0)
    kinds = [(f.kind, f.classes.get("region")) for f in describe_pair(_pair(60, rows))]
    assert ("pair-misleads", "mouth") in kinds
    assert not [kind for kind in kinds if kind[1] == "eyes"]
    assert [f.kind for f in describe_pair(_pair(9, rows))] == ["pair-few"]
    flat = pair_regions(maps, UPPER, change * 0, change * 0, names=("mouth", "eyes"), shift=0)
    assert [f.kind for f in describe_pair(_pair(60, flat))] == ["pair-open"]


def test_json_of_a_pair_has_no_nan():
    import json

    rows = pair_regions(np.ones((1, 2, 2)), UPPER, np.zeros((1, 2)), np.zeros((1, 2)),
                        names=("mouth", "eyes"), shift=0)  # fmt: skip
    text = json.dumps(_pair(1, rows).to_json(), allow_nan=False)
    assert json.loads(text)["regions"]["mouth"]["times"]["low"] is None
    assert isinstance(rows[0].times, Interval)
