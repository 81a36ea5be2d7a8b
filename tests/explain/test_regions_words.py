"""No sentence on regions contradicts its intervals: random ledgers, every sentence read back."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.explain.regions.findings import FEWEST, SMALL, answer, describe, hiding_says, map_says
from mien.explain.regions.table import EVERY, WHICH, Cell, Ledger
from mien.explain.regions.template import REGIONS
from mien.types import Interval
from mien.words import LANGUAGES, say

CLASSES = ("happy", "neutral")
UNKNOWN = Interval(math.nan, math.nan, math.nan)


def _interval(rng, middle, width):
    value = float(rng.normal(middle, width))
    return Interval(value, value - float(rng.exponential(width)), value + float(rng.exponential(width)))  # noqa: E501  # fmt: skip


def _wider(rng, one, by):
    return Interval(one.value, one.low - float(rng.exponential(by)), one.high + float(rng.exponential(by)))  # noqa: E501  # fmt: skip


def _random(seed, *, hidden=True, few=False, tight=False):
    rng = np.random.default_rng(seed)
    width = 0.02 if tight else 0.4
    cells = []
    for label in (EVERY, *CLASSES):
        for which in WHICH:
            for region in REGIONS:
                times = _interval(rng, 1.2, width)
                change = _interval(rng, -0.05, width / 5)
                beyond = _interval(rng, -0.03, width / 8)
                cell = Cell(
                    label=label, which=which, region=region,
                    n=int(rng.integers(0, 15)) if few else 200, area=0.1, times=times,
                    joint=_wider(rng, times, width / 2), positive=times,
                    occlusion=change if hidden else None,
                    elsewhere=_interval(rng, -0.02, width / 8) if hidden else None,
                    beyond=beyond if hidden else None,
                    joint_beyond=_wider(rng, beyond, width / 10) if hidden else None,
                )  # fmt: skip
                cells.append(cell)
    gaps = [(mine, other) for mine in ("mouth", "eyes") for other in ("brows", "nose", "cheeks")]
    return Ledger(
        method="gradient", split="test", n=200, source="masks", shift=0, regions=REGIONS,
        classes=CLASSES, cells=tuple(cells), together=Interval(0.3, 0.25, 0.35),
        apart={(c, r): _interval(rng, 0, width) for c in (EVERY, *CLASSES) for r in REGIONS},
        ahead={
            (what, *gap): _interval(rng, 0.1, width)
            for what in (("times", "beyond") if hidden else ("times",)) for gap in gaps
        },
    )  # fmt: skip


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans())
def test_no_sentence_contradicts_its_interval(seed, hidden, few, tight):
    table = _random(seed, hidden=hidden, few=few, tight=tight)
    for finding in describe(table):
        for language in LANGUAGES:
            text = say(finding, language)
            assert "{" not in text
            assert "nan" not in text
        kind, values = finding.kind, finding.values
        label = finding.classes.get("truth", EVERY)
        region = finding.classes.get("region")
        base = kind.removesuffix("-overall").removesuffix("-plural")
        if base == "region-more":
            assert values["times"].low > 1
        if base == "region-less":
            assert values["times"].high < 1
        if base == "no-region":
            assert all(map_says(table.cell(label, r)) == 0 for r in REGIONS if r != "rest"
                       and table.cell(label, r).n >= FEWEST)  # fmt: skip
        if base == "hiding-lowers":
            assert values["difference"].high < 0
            assert values["hidden_difference"].high < 0
        if base == "hiding-spares":
            assert values["difference"].low > 0
        if base in ("map-alone", "map-against"):
            assert values["times"].low > 1
            assert values["difference"].low > (0 if base == "map-against" else -SMALL)
        if base == "hiding-alone":
            assert values["times"].high < 1
            assert values["difference"].high < 0
        if base in ("right-more", "wrong-more"):
            assert values["gap_times"].low > 0
            assert min(values["right_n"], values["wrong_n"]) >= FEWEST
        elif label != EVERY and region is not None:
            assert table.cell(label, region).n >= FEWEST
        _check_verdict(table, finding)


def _check_verdict(table, finding):
    if not finding.kind.startswith("looks-"):
        return
    mouth, eyes = table.cell(EVERY, "mouth"), table.cell(EVERY, "eyes")
    kind = finding.kind.removesuffix("-by-map")
    assert (kind == finding.kind) == (mouth.joint_beyond is not None)
    looked = [
        c.joint.low > 1
        and (c.joint_beyond is None or (c.joint_beyond.high < 0 and c.occlusion.high < 0))
        for c in (mouth, eyes)
    ]
    if kind in ("looks-yes", "looks-among"):
        assert all(looked)
    elif kind.startswith("looks-part"):
        assert sorted(looked) == [False, True]
    else:
        assert not any(looked)
    if kind == "looks-no":
        assert {answer(mouth), answer(eyes)} == {"no"}
        for cell in (mouth, eyes):
            assert cell.joint.high < 1 or cell.joint_beyond.low > -SMALL


def _set(table, region, times, beyond):
    """The table with one region's numbers over all images set."""
    cells = list(table.cells)
    at = REGIONS.index(region)
    old = cells[at]
    cells[at] = Cell(
        label=EVERY, which="all", region=region, n=200, area=0.06, times=times, joint=times,
        positive=times, occlusion=beyond, elsewhere=Interval(0, -0.001, 0.001), beyond=beyond,
        joint_beyond=beyond,
    )  # fmt: skip
    assert (old.label, old.which, old.region) == (EVERY, "all", region)
    return Ledger(**{**vars(table), "cells": tuple(cells)})


MORE, LESS, OPEN = Interval(2.4, 2.2, 2.6), Interval(0.6, 0.5, 0.7), Interval(1.1, 0.9, 1.3)
LOWERS, NOTHING = Interval(-0.1, -0.12, -0.08), Interval(0.0, -0.004, 0.004)
UNSURE = Interval(-0.02, -0.06, 0.02)


@pytest.mark.parametrize(
    ("mouth", "eyes", "kind"),
    [
        ((MORE, LOWERS), (MORE, LOWERS), "looks-yes"),
        ((MORE, LOWERS), (LESS, NOTHING), "looks-part-no"),
        ((MORE, LOWERS), (OPEN, LOWERS), "looks-part-open"),
        ((MORE, LOWERS), (MORE, NOTHING), "looks-part-split"),
        ((LESS, NOTHING), (LESS, UNSURE), "looks-no"),
        ((MORE, NOTHING), (LESS, LOWERS), "looks-split"),
        ((OPEN, UNSURE), (LESS, NOTHING), "looks-open"),
    ],
)
def test_every_verdict(mouth, eyes, kind):
    table = _random(0)
    for region in REGIONS:
        table = _set(table, region, OPEN, UNSURE)
    table = _set(_set(table, "mouth", *mouth), "eyes", *eyes)
    verdict = describe(table)[0]
    assert verdict.kind == kind
    text = say(verdict)
    assert "2.4 [2.2, 2.6]" in text or "2.4 [2.2, 2.6]" not in str(mouth + eyes)
    assert re.search(r"on 12 % of the picture", text)


def test_others_that_count_as_much_are_named():
    table = _random(1)
    for region in REGIONS:
        table = _set(table, region, MORE if region != "rest" else LESS, LOWERS)
    ahead = {key: Interval(0.1, 0.05, 0.15) for key in table.ahead}
    table = Ledger(**{**vars(table), "ahead": dict.fromkeys(ahead, UNSURE)})
    verdict = describe(table)[0]
    assert verdict.kind == "looks-among"
    assert "for it looks at the brows, the nose and the cheeks as well" in say(verdict)
    first = describe(Ledger(**{**vars(table), "ahead": ahead}))
    assert [f.kind for f in first[:3]] == ["looks-yes", "map-first", "hiding-first"]


def test_the_sentence_of_the_issue():
    table = _random(2)
    cell = _set(table, "mouth", MORE, LOWERS).cell(EVERY, "mouth")
    assert (map_says(cell), hiding_says(cell), answer(cell)) == (1, 1, "yes")
    told = [say(f) for f in describe(_set(table, "mouth", MORE, LOWERS))]
    wanted = "Over all 200 images, the mouth holds 2.4 [2.2, 2.6] times its share"
    assert any(text.startswith(wanted) for text in told)
