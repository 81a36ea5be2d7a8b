import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mien.errors import DataError
from mien.evaluate.compare import Paired, compare
from mien.evaluate.intervals import wilson
from mien.types import Interval, Outputs
from mien.words import say as render

Make = Callable[..., Outputs]


def _two(make: Make, both: int, only_a: int, only_b: int, neither: int) -> tuple[Outputs, Outputs]:
    labels = [0] * (both + only_a + only_b + neither)
    a = [0] * (both + only_a) + [1] * (only_b + neither)
    b = [0] * both + [1] * only_a + [0] * only_b + [1] * neither
    return make(labels, a), make(labels, b, seed=1)


def _enumerated(only_a: int, only_b: int) -> float:
    """The exact two-sided p of McNemar's test: all splits as improbable as the one seen."""
    n = only_a + only_b
    odds = np.array([1.0])
    for _ in range(n):
        odds = np.convolve(odds, [0.5, 0.5])
    return float(odds[odds <= odds[only_a] * (1 + 1e-9)].sum())


@pytest.mark.parametrize("cells", [(1, 1, 7, 12), (50, 30, 12, 8), (900, 40, 41, 19), (3, 0, 5, 2)])
def test_counts_and_test(make_outputs: Make, cells: tuple[int, int, int, int]) -> None:
    whole = compare(*_two(make_outputs, *cells)).whole
    assert (whole.both, whole.only_a, whole.only_b, whole.neither) == cells
    assert whole.n == sum(cells)
    assert whole.p == pytest.approx(_enumerated(cells[1], cells[2]))
    assert whole.accuracy_a == wilson(cells[0] + cells[1], whole.n)
    assert whole.accuracy_b == wilson(cells[0] + cells[2], whole.n)
    gap = whole.accuracy_a.value - whole.accuracy_b.value
    assert whole.difference.value == pytest.approx(gap)


def test_by_hand(make_outputs: Make) -> None:
    # Fagerland, Lydersen, Laake 2014: 1 against 7 discordant pairs, p = 2 · (1 + 8) / 2**8.
    whole = compare(*_two(make_outputs, 1, 1, 7, 12)).whole
    assert whole.p == pytest.approx(18 / 256)


def test_swapping_the_models_swaps_the_result(make_outputs: Make) -> None:
    a, b = _two(make_outputs, 50, 30, 12, 8)
    there, back = compare(a, b).whole, compare(b, a).whole
    assert there.p == back.p
    assert there.difference.low == pytest.approx(-back.difference.high)
    assert there.verdict("A", "B") == back.verdict("B", "A")


def test_the_better_is_named_only_where_test_and_interval_agree(make_outputs: Make) -> None:
    clear = compare(*_two(make_outputs, 50, 12, 40, 8)).whole.verdict("old", "new")
    assert (clear.kind, clear.values["better"], clear.values["worse"]) == ("better", "new", "old")
    assert render(clear) == (
        "new is right more often than old on these 110 images: by 25 points [13, 37] "
        "(40 right by new alone, 12 by old alone; exact McNemar test, p = 0.0001)."
    )
    # The interval excludes 0, the exact test does not agree: nothing is claimed.
    close = compare(*_two(make_outputs, 1, 1, 7, 12)).whole
    assert close.difference.high < 0
    assert close.verdict("old", "new").kind == "undecided"
    text = render(close.verdict("old", "new"))
    assert text.startswith("These 21 images do not tell old and new apart: the accuracy of old ")
    assert "minus that of new is −29 points [−51, −1] (1 right by old alone, 7 by new" in text
    assert "p = 0.07)" in text


def test_nothing_is_claimed_against_the_interval(make_outputs: Make) -> None:
    # The exact test is the stricter of the two, so only an interval made wider shows this.
    clear = compare(*_two(make_outputs, 50, 12, 40, 8)).whole
    wide = replace(clear, difference=Interval(clear.difference.value, -0.5, 0.001))
    assert clear.verdict("A", "B").kind == "better"
    assert wide.verdict("A", "B").kind == "undecided"


def test_equally_good_models_are_called_better_in_at_most_one_of_twenty() -> None:
    rng = np.random.default_rng(2)
    named = 0
    for both, only_a, only_b, neither in rng.multinomial(400, [0.55, 0.1, 0.1, 0.25], size=600):
        labels = np.zeros(400, dtype=np.int64)
        p = stats.binomtest(int(only_a), int(only_a + only_b)).pvalue
        paired = Paired(
            n=len(labels),
            both=int(both),
            only_a=int(only_a),
            only_b=int(only_b),
            neither=int(neither),
            accuracy_a=wilson(int(both + only_a), 400),
            accuracy_b=wilson(int(both + only_b), 400),
            difference=_difference(int(only_a), int(only_b)),
            p=float(p),
        )
        named += paired.verdict("A", "B").kind == "better"
    assert named / 600 <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5


def _difference(only_a: int, only_b: int) -> Any:
    from mien.evaluate.intervals import paired_difference

    return paired_difference(only_a, only_b, 400)


def test_the_same_model_twice(random_outputs: Outputs) -> None:
    whole = compare(random_outputs, random_outputs).whole
    assert (whole.p, whole.difference.value, whole.only_a, whole.only_b) == (1, 0, 0, 0)
    text = render(whole.verdict("A", "B"))
    assert text == "A and B are right on exactly the same of these 300 images."


def test_the_order_of_the_images_does_not_matter(random_outputs: Outputs) -> None:
    other = replace(random_outputs, logits=np.roll(random_outputs.logits, 1, axis=1))
    shuffled = other.take(np.random.default_rng(0).permutation(300))
    as_bytes = replace(shuffled, hashes=shuffled.hashes.astype("S32"))
    assert compare(random_outputs, as_bytes) == compare(random_outputs, other)


def test_copies_of_either_are_left_out(make_outputs: Make) -> None:
    a = make_outputs([0, 1, 2, 0], [0, 1, 2, 1], copied=[True, False, False, False])
    b = make_outputs([0, 1, 2, 0], [0, 0, 2, 0], copied=[False, True, False, False])
    found = compare(a, b)
    assert found.whole.n == 4
    assert found.without_copies is not None
    assert (found.without_copies.n, found.without_copies.only_b) == (2, 1)
    every = compare(replace(a, copied=np.ones(4, dtype=bool)), b)
    assert every.without_copies is None
    assert json.loads(json.dumps(every.to_json()))["without_copies"] is None
    fresh = np.zeros(4, dtype=bool)
    none = compare(replace(a, copied=fresh), replace(b, copied=fresh))
    assert none.without_copies is none.whole


def test_images_without_a_label(make_outputs: Make) -> None:
    a = replace(make_outputs([0, 1, 2], [0, 1, 2]), labels=np.array([0, -1, 2]))
    assert compare(a, a).unlabelled == 1
    assert compare(a, a).whole.n == 2
    nothing = replace(a, labels=np.full(3, -1))
    with pytest.raises(DataError, match="none of these images has a label"):
        compare(nothing, nothing)


def test_what_cannot_be_compared(random_outputs: Outputs) -> None:
    a = random_outputs

    def changed(field: str, value: Any) -> Outputs:
        array = getattr(a, field).copy()
        array[5] = value
        return replace(a, **{field: array})

    cases = [
        (a.take(np.arange(298)), r"second predictions lack 2 of the other's 300 images .*test/298"),
        (changed("ids", "new.jpg"), r"second predictions lack 1 of the other's 300 .*test/5.jpg"),
        (changed("ids", "test/4.jpg"), "second predictions name an image twice"),
        (changed("hashes", "f" * 32), r"1 images have the same id but other content .*test/5.jpg"),
        (changed("labels", (a.labels[5] + 1) % 3), r"1 images .* other labels .*test/5.jpg"),
        (replace(a, classes=("a", "b", "c")), "know different classes"),
    ]
    for b, says in cases:
        with pytest.raises(DataError, match=says) as error:
            compare(a, b)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="first predictions lack 2"):
        compare(a.take(np.arange(298)), a)
