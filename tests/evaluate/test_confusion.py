import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from mien.errors import DataError
from mien.evaluate.confusion import (
    _resampled,
    _statistics,
    confusion_counts,
    cross_entropy,
    evaluate,
    score,
)
from mien.types import Outputs

Make = Callable[..., Outputs]


def test_everything_agrees_with_scikit_learn(random_outputs: Outputs) -> None:
    labels, predicted = random_outputs.labels, random_outputs.predicted
    found = score(random_outputs)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=[0, 1, 2], zero_division=np.nan
    )
    assert found.n == 300
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found.macro_f1.value == pytest.approx(
        metrics.f1_score(labels, predicted, average="macro")
    )
    assert found.balanced_accuracy.value == pytest.approx(
        metrics.balanced_accuracy_score(labels, predicted)
    )
    assert found.counts.tolist() == metrics.confusion_matrix(labels, predicted).tolist()
    np.testing.assert_allclose(
        found.rates, metrics.confusion_matrix(labels, predicted, normalize="true")
    )
    logits = random_outputs.logits.astype(np.float64)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.loss == pytest.approx(metrics.log_loss(labels, softmax, labels=[0, 1, 2]))
    for k, one in enumerate(found.per_class):
        assert one.support == support[k]
        assert one.predicted == (predicted == k).sum()
        values = (one.precision.value, one.recall.value, one.f1.value)
        assert values == pytest.approx((precision[k], recall[k], f1[k]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_undefined_scores_are_scikit_learns_too(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    counts = confusion_counts(labels, predicted, 4)
    assert (counts == metrics.confusion_matrix(labels, predicted, labels=range(4))).all()
    *f1, macro, balanced = _statistics(counts)
    theirs = metrics.f1_score(
        labels, predicted, labels=range(4), average=None, zero_division=np.nan
    )
    np.testing.assert_allclose(f1, theirs)
    assert macro == pytest.approx(np.nanmean(theirs))
    recall = [(predicted[labels == k] == k).mean() for k in set(labels.tolist())]
    assert balanced == pytest.approx(np.mean(recall))


def test_a_class_that_is_never_there_or_never_said(make_outputs: Make) -> None:
    # No image of class 2, and class 1 is never predicted.
    found = score(make_outputs([0, 0, 0, 1, 1], [0, 0, 2, 0, 0]))
    assert math.isnan(found.per_class[1].precision.value)
    assert math.isnan(found.per_class[2].recall.value)
    assert found.per_class[1].f1.value == 0
    assert np.isnan(found.rates[2]).all()
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["classes"][1]["precision"] == {"value": None, "low": 0, "high": 1}
    assert plain["confusion"]["rates"][2] == [None, None, None]
    assert plain["confusion"]["counts"] == [[2, 0, 1], [2, 0, 0], [0, 0, 0]]


def test_perfect_and_hopeless_scores_keep_an_interval_with_width(make_outputs: Make) -> None:
    labels = [0] * 20 + [1] * 5 + [2] * 15
    best, worst = score(make_outputs(labels, labels)), score(make_outputs([0] * 20, [1] * 20))
    for found in (best.accuracy, best.macro_f1, best.balanced_accuracy, best.per_class[1].f1):
        assert found.value == found.high == 1
        assert found.low < 0.95
    for found in (worst.accuracy, worst.macro_f1, worst.balanced_accuracy, worst.per_class[0].f1):
        assert found.value == found.low == 0
        assert found.high > 0.05
    # The rarer class is known less well.
    assert best.per_class[1].f1.low < best.per_class[0].f1.low


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rates = np.array([[0.8, 0.15, 0.05], [0.3, 0.5, 0.2], [0.05, 0.15, 0.8]])
    joint = (rates * np.array([[0.5], [0.1], [0.4]])).ravel()
    truth = _statistics(np.round(joint * 1e6).astype(np.int64).reshape(3, 3))
    rng, hits = np.random.default_rng(1), np.zeros(len(truth))
    for seed in range(250):
        f1s, macro, balanced = _resampled(rng.multinomial(200, joint).reshape(3, 3), seed)
        hits += [i.low <= t <= i.high for i, t in zip((*f1s, macro, balanced), truth, strict=True)]
    # 250 draws at 95 %: below 0.90 or at 1.00 only if the intervals are wrong.
    assert (hits / 250 >= 0.90).all()
    assert (hits / 250 < 1).all()


def test_copies_are_told_apart(random_outputs: Outputs) -> None:
    found = evaluate(random_outputs)
    copied = random_outputs.copied
    right = random_outputs.predicted == random_outputs.labels
    assert found.without_copies is not None
    assert found.copies_only is not None
    assert found.whole.n == 300
    assert found.without_copies.n == (~copied).sum()
    assert found.without_copies.accuracy.value == pytest.approx(right[~copied].mean())
    assert found.copies_only.accuracy.value == pytest.approx(right[copied].mean())
    total = found.without_copies.counts + found.copies_only.counts
    assert (total == found.whole.counts).all()
    assert found.splits == {"test": 300}
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["copies_only"]["n"] == copied.sum()
    assert plain["about"] == random_outputs.about


def test_no_copies_and_only_copies(make_outputs: Make) -> None:
    none = evaluate(make_outputs([0, 1, 2], [0, 1, 1]))
    assert none.copies_only is None
    assert none.without_copies is none.whole
    every = evaluate(make_outputs([0, 1, 2], [0, 1, 1], copied=[True] * 3))
    assert every.without_copies is None
    assert every.copies_only is not None
    assert every.copies_only.n == 3
    assert every.to_json()["without_copies"] is None


def test_images_without_a_label_are_left_out_and_counted(make_outputs: Make) -> None:
    outputs = make_outputs(
        [0, 1, 2, 0, 0], [0, 1, 1, 2, 0], copied=[False, True, False, True, True]
    )
    outputs = replace(outputs, labels=np.array([0, 1, 2, -1, -1]))
    found = evaluate(outputs)
    assert (found.whole.n, found.whole.unlabelled) == (3, 2)
    assert found.whole.accuracy.value == pytest.approx(2 / 3)
    assert found.copies_only is not None
    assert (found.copies_only.n, found.copies_only.unlabelled) == (1, 2)
    with pytest.raises(DataError, match="none of these images has a label"):
        evaluate(replace(outputs, labels=np.full(5, -1)))


def test_cross_entropy_of_huge_scores_is_exact() -> None:
    logits = np.array([[1000.0, 0.0], [0.0, 1000.0]], dtype=np.float32)
    assert cross_entropy(np.array([0, 0]), logits) == pytest.approx(500)
    assert cross_entropy(np.array([0, 1]), np.zeros((2, 7))) == pytest.approx(math.log(7))


def test_counts_refuse_what_they_cannot_count() -> None:
    with pytest.raises(ValueError, match="within"):
        confusion_counts(np.array([0, 3]), np.array([0, 1]), 3)
    with pytest.raises(ValueError, match="within"):
        confusion_counts(np.array([-1, 1]), np.array([0, 1]), 3)
    with pytest.raises(ValueError, match="differ"):
        confusion_counts(np.array([0]), np.array([0, 1]), 3)


def test_the_same_seed_gives_the_same_numbers(random_outputs: Outputs) -> None:
    assert evaluate(random_outputs).to_json() == evaluate(random_outputs).to_json()
    other = score(random_outputs, seed=1)
    assert other.macro_f1 != score(random_outputs).macro_f1
    assert other.accuracy == score(random_outputs).accuracy
