from pathlib import Path

import numpy as np
import pytest

from mien.app.figures.filters import draw_filters
from mien.jobs.filters import FilterReport

CLASSES = ["happy", "sad", "[/b]"]


@pytest.fixture
def report(tmp_path: Path) -> FilterReport:
    rng = np.random.default_rng(0)
    rows = []
    for number in (7, 3):
        effects = [{"class": c, "effect": {"value": v, "low": v - 0.1, "high": v + 0.1}}
                   for c, v in zip(CLASSES, (0.4, -0.3, 0.02), strict=True)]  # fmt: skip
        rows.append({
            "number": number, "dead": "constant" if number == 3 else "", "classes": effects,
            "sparsity": {"images": 1.0, "positions": 0.42}, "gabor": 0.31, "line": None,
            "fit": {"family": "gabor"}, "line_response": 0.5, "pattern_best": 1,
            "needed": {"picture": 0.3, "field": 0.5},
        })  # fmt: skip
    return FilterReport(
        data={"layer": "conv", "receptive_field": [9, 9], "filters_total": 20, "n": 1234,
              "split": "all", "classes": CLASSES, "filters": rows},
        arrays={"patterns": rng.uniform(0, 255, (2, 2, 1, 9, 9)),
                "fits": rng.uniform(0, 255, (2, 9, 9))},
        findings=(), patches=rng.integers(0, 256, (2, 9, 1, 9, 9), dtype=np.uint8),
        inside=np.ones((2, 9, 9, 9), dtype=bool), drawn_faces=False, folder=tmp_path,
    )  # fmt: skip


def test_real_patches_are_drawn_only_when_asked_for(report: FilterReport, tmp_path: Path) -> None:
    svg, png = draw_filters(report, tmp_path / "sheet")
    text = svg.read_text()
    assert png.read_bytes()[:4] == b"\x89PNG"
    assert text.count("<image") == 2 * 3  # two patterns and their fit
    for words in ("filter 7", "gabor, R² 0.31", "active at 42 % of positions", "1,234 pictures",
                  "dead: constant", "happy"):  # fmt: skip
        assert words in text
    shown, _ = draw_filters(report, tmp_path / "shown", images=True)
    assert shown.read_text().count("<image") == 2 * (3 + 9)
