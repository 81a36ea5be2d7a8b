"""Text, tables and figures come from the same numbers, and say no more than these support."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.app.report.gather import gather
from mien.app.report.render import report
from mien.evaluate.findings import findings, pair_floor
from mien.evaluate.intervals import wilson
from mien.evaluate.predictions import read_predictions, write_predictions
from mien.words import percent
from report_runs import make_run, predictions

CELL = re.compile(r'data-i="(\d)" data-j="(\d)".*?aria-label="[^"]*?: ([\d,]+) of ([\d,]+) images')


def numbers_of(run: Path, out: Path) -> dict[str, str]:
    page, _ = report(gather(run), out)
    text = page.read_text(encoding="utf-8")
    summary = text[text.index('id="summary"') : text.index('id="architecture"')]
    confusion = text[text.index('id="confusion"') : text.index('id="saliency"')]
    figure = (run / "figures/confusion.svg").read_text(encoding="utf-8")
    classes = (run / "figures/classes.svg").read_text(encoding="utf-8")
    cells = {(i, j): (count, n) for i, j, count, n in CELL.findall(confusion)}
    right = sum(int(count.replace(",", "")) for (i, j), (count, _) in cells.items() if i == j)
    total = sum(int(n.replace(",", "")) for (i, j), (_, n) in cells.items() if j == "0")
    shown = re.search(r'class="value">([^<]+)</span> <span class="ends">([^<]+)<', summary)
    return {
        "summary": " ".join(shown.groups()),
        "cells": percent(wilson(right, total)),
        "figure": re.search(r"Accuracy ([^<]+?) on", figure)[1],
        "table": re.search(r"without a copy in training</th><td[^>]*>\d+</td><td[^>]*>([^<]+)<",
                           confusion)[1],
        "classes": re.search(r"Macro-F1 ([^<]+?) over", classes)[1],
        "classes-label": re.search(r"macro-F1 ([^;]+?\]), ", confusion)[1],
    }  # fmt: skip


def test_all_change_together(whole_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole_run, tmp_path / "run")
    before = numbers_of(run, tmp_path / "a.html")
    outputs = read_predictions(run / "predictions.parquet")
    logits = outputs.logits.copy()
    logits[:120] = np.roll(logits[:120], 1, axis=1)
    outputs = replace(outputs, logits=logits)
    write_predictions(run / "predictions.parquet", outputs)
    after = numbers_of(run, tmp_path / "b.html")
    for seen in (before, after):
        assert len({seen[k] for k in ("summary", "cells", "figure", "table")}) == 1, seen
        assert seen["classes"] == seen["classes-label"]
    assert all(before[key] != after[key] for key in before)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(5, 400), K=st.integers(2, 7))
def test_no_sentence_that_its_interval_contradicts(seed: int, n: int, K: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n, rng.dirichlet(np.full(K * K, 0.3))).reshape(K, K)
    names = [f"c{k}" for k in range(K)]
    for one in findings(counts, names):
        values = one.values
        if one.kind == "pair":
            i, j = names.index(one.classes["truth"]), names.index(one.classes["predicted"])
            assert values["rate"] == wilson(int(counts[i, j]), int(counts[i].sum()))
            assert values["rate"].low > pair_floor(counts)
        if one.kind in ("missed", "direction"):
            assert values["difference"].low > 0


@pytest.mark.parametrize("seed", range(3))
def test_chance_is_not_explained(tmp_path: Path, seed: int) -> None:
    """Predictions that know nothing: no pair, no class, no better calibration is claimed."""
    run = make_run(tmp_path / "run", layout="folders")
    outputs = predictions(seed, right=0.0)
    rng = np.random.default_rng(seed)
    outputs.logits[:] = rng.normal(size=outputs.logits.shape)
    write_predictions(run / "predictions.parquet", outputs)
    page, _ = report(gather(run), tmp_path / "a.html")
    text = page.read_text(encoding="utf-8")
    low = float(re.search(r'class="ends">\[([\d.]+),', text)[1])
    high = float(re.search(r'class="ends">\[[\d.]+, ([\d.]+)\]', text)[1])
    assert low < 100 / 7 < high
    assert "is the class most often missed" not in text
    assert not re.search(r"<li>\w+ is taken for", text)
