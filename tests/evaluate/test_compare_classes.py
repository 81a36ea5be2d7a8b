"""Two models class by class, against counts made by hand."""

import numpy as np
import pytest
from scipy import stats

from mien.evaluate.compare_classes import compare_classes
from mien.evaluate.intervals import paired_difference, wilson
from mien.types import Outputs
from mien.words import say


def outputs(labels, guesses, copied=None):
    labels, guesses = np.array(labels), np.array(guesses)
    N = len(labels)
    logits = np.zeros((N, 3), np.float32)
    logits[np.arange(N), guesses] = 1
    return Outputs(
        ids=np.array([f"{n:04d}" for n in range(N)]), splits=np.array(["test"] * N), labels=labels,
        logits=logits, hashes=np.array([f"{n:032x}" for n in range(N)]),
        copied=np.zeros(N, bool) if copied is None else np.array(copied), classes=("a", "b", "c"),
    )  # fmt: skip


def test_by_hand():
    # Of a: A alone has 40 right, B alone 5, both 55. Of b: both all. Of c there are none.
    labels = [0] * 100 + [1] * 20
    a = outputs(labels, [0] * 95 + [1] * 5 + [1] * 20)
    b = outputs(labels, [0] * 55 + [1] * 40 + [0] * 5 + [1] * 20)
    found = compare_classes(a, b)
    assert found.n == 120
    assert [one.name for one in found.classes] == ["a", "b"]
    first = found.classes[0]
    assert first.recall_a == wilson(95, 100)
    assert first.recall_b == wilson(60, 100)
    assert first.difference == paired_difference(40, 5, 100)
    assert first.p == pytest.approx(stats.binomtest(40, 45, 0.5).pvalue)
    assert first.supported
    assert not found.classes[1].supported
    cells = {(c.truth, c.predicted): c for c in found.cells}
    assert cells["a", "b"].rate_a == pytest.approx(0.05)
    assert cells["a", "b"].difference.value == pytest.approx(-0.35)
    assert cells["a", "b"].supported
    assert [say(one) for one in found.findings("first", "second")] == [
        "a is recognised better by first than by second: "
        "by 35 points [23, 46] of 100 images."
    ]  # fmt: skip
    swapped = compare_classes(b, a).findings("second", "first")
    assert swapped == found.findings("first", "second")


def test_copies_are_left_out_where_others_are_left():
    labels, copied = [0, 0, 1, 1], [True, False, False, False]
    a = outputs(labels, [0, 0, 1, 1], copied)
    assert compare_classes(a, a).n == 3
    every = outputs(labels, [0, 0, 1, 1], [True] * 4)
    assert compare_classes(every, every).n == 4
    assert not compare_classes(every, every).without_copies
