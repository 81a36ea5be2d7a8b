import math
import re
from string import Formatter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.evaluate.findings import describe
from mien.evaluate.intervals import wilson
from mien.types import Finding, Interval
from mien.words import CATALOGUES, p_value, percent, points, times
from mien.words import say as render


def test_the_sentence_of_the_issue() -> None:
    finding = Finding(
        kind="pair",
        classes={"truth": "disgust", "predicted": "angry"},
        values={"rate": Interval(0.31, 0.20, 0.44), "n": 56, "floor": 0.06},
    )
    assert render(finding) == "disgust is taken for angry in 31 % [20, 44] of 56 images."


def test_every_kind_reads_as_english() -> None:
    counts = np.array(
        [[300, 20, 80, 0], [2, 480, 8, 0], [150, 10, 240, 0], [0, 0, 0, 0]], dtype=np.int64
    )
    names = ("fear", "happy", "sad", "disgust")
    sentences = describe(counts, names)
    assert sentences == [
        "sad is the class most often missed of the 3 classes that have images: "
        "40 % [35, 45] of 400 images; next is fear with 25 % [21, 29] of 400.",
        "sad is taken for fear in 38 % [33, 42] of 400 images.",
        "fear is taken for sad in 20 % [16, 24] of 400 images.",
        "sad is taken for fear more often than for any other class: 150 times, "
        "against 10 for happy.",
        "fear is taken for sad more often than for any other class: 80 times, "
        "against 20 for happy.",
        "sad is taken for fear more often than fear for sad: "
        "38 % [33, 42] of 400 images against 20 % [16, 24] of 400.",
    ]
    assert describe(counts, names, most=1)[1:3] == [sentences[1], sentences[3]]
    assert describe(np.full((3, 3), 5), names[:3]) == []


def test_candidates_are_joined() -> None:
    two = Finding(kind="missed-one-of", classes={"candidates": ("fear", "sad")})
    assert render(two).startswith("The class most often missed is fear or sad; these images")
    three = Finding(kind="missed-one-of", classes={"candidates": ("a", "b", "c")})
    assert "is a, b or c;" in render(three)


def test_another_language_is_another_catalogue() -> None:
    finding = Finding(
        kind="pair",
        classes={"truth": "disgust", "predicted": "angry"},
        values={"rate": Interval(0.31, 0.20, 0.44), "n": 1056},
    )
    text = render(finding, "zh-Hant")
    assert text == "厭惡被誤判為生氣：1,056 張影像中有 31 % [20, 44]。"


def test_both_languages_know_the_same_facts() -> None:
    fields = {
        language: {
            kind: {part[1] for part in Formatter().parse(text) if part[1] is not None}
            for kind, text in texts.items()
        }
        for language, texts in CATALOGUES.items()
    }
    assert fields["en"] == fields["zh-Hant"]


def test_a_factor_is_never_rounded_onto_one() -> None:
    assert times(Interval(2.4, 2.2, 2.6)) == "2.4 [2.2, 2.6]"
    assert times(Interval(1.08, 1.02, 1.13)) == "1.08 [1.02, 1.13]"
    assert times(Interval(math.nan, 0, 1)) == "undefined"


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(0.31, 0.20, 0.44), "31 % [20, 44]"),
        (Interval(0.6372, 0.6213, 0.6528), "63.7 % [62.1, 65.3]"),
        (Interval(0.0, 0.0, 0.07), "0 % [0, 7]"),
        (Interval(0.005, 0.001, 0.056), "0.5 % [0.1, 5.6]"),
        (Interval(0.03, 0.0004, 0.1), "3.00 % [0.04, 10.00]"),
        (Interval(1.0, 0.72, 1.0), "100 % [72, 100]"),
        (Interval(0.9999, 0.9, 0.99999), "99.990 % [90.000, 99.999]"),
        (Interval(float("nan"), 0, 1), "undefined"),
    ],
)
def test_rates(interval: Interval, text: str) -> None:
    assert percent(interval) == text


def test_differences() -> None:
    assert points(Interval(-0.009, -0.029, 0.012)) == "−0.9 points [−2.9, 1.2]"
    assert points(Interval(0.05, 0.002, 0.1), "點") == "5.0 點 [0.2, 10.0]"
    assert points(Interval(float("nan"), -1, 1)) == "undefined"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.43, "p = 0.43"),
        # Never rounded up to where it would not be significant.
        (0.0499, "p = 0.0499"),
        (0.049996, "p = 0.049996"),
        (0.0501, "p = 0.05"),
        (0.003, "p = 0.003"),
        (0.0004, "p = 0.0004"),
        (1e-9, "p < 0.0001"),
        (1.0, "p = 1.00"),
    ],
)
def test_p_values(p: float, text: str) -> None:
    assert p_value(p) == text


@settings(deadline=None)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_rounding_never_moves_an_end_onto_none_or_all(counts: tuple[int, int]) -> None:
    found = wilson(*counts)
    value, low, high = (float(x) for x in re.findall(r"[\d.]+", percent(found)))
    for shown, true in ((value, found.value), (low, found.low), (high, found.high)):
        assert (shown in (0, 100)) == (true in (0, 1))
        assert shown == pytest.approx(100 * true, abs=0.5001)
