import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.app.figures.trust import draw_trust
from mien.explain.trust.measure import Measured, from_arrays
from mien.explain.trust.verdict import judge, judge_baseline
from mien.jobs.trust_report import TrustReport


def _measured(seed: int, good: float) -> Measured:
    rng = np.random.default_rng(seed)

    def around(value: float, n: int = 60) -> np.ndarray:
        return value + 0.05 * rng.standard_normal(n)

    return from_arrays({
        "deletion": around(0.5 - good), "insertion": around(0.5 + good),
        "deletion_curve": np.linspace(0.8, 0.1, 5), "insertion_curve": np.linspace(0.1, 0.8, 5),
        "cascade": np.stack([around(0.5, 24), around(0.1, 24)]), "alone": np.zeros((2, 24)),
        "between": around(0.3, 24), "draw": np.arange(24) % 4,
        "labels": around(0.2), "between_all": around(0.3),
        "mass": around(0.1 + good), "pointing": (rng.random(60) < 0.5).astype(float),
    })  # fmt: skip


def report(folder: Path) -> TrustReport:
    rivals = {"edges": _measured(1, 0.05), "mean_face": _measured(2, 0.15)}
    methods = [("good", 0.3), ("middling", 0.1)]
    return TrustReport(
        n=60, split="validation", seed=0, model="net", model_checksum="0", data_fingerprint="1",
        methods=tuple(
            judge(name, name, _measured(k + 3, good), rivals, ["last", "first"])
            for k, (name, good) in enumerate(methods)
        ),
        baselines=tuple(judge_baseline(name, name, m) for name, m in rivals.items()),
        notes=(), folder=folder,
    )  # fmt: skip


def _texts(svg: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8"))


def test_every_row_has_its_verdict(tmp_path: Path) -> None:
    svg, png = draw_trust(report(tmp_path), tmp_path / "trust")
    texts = _texts(svg)
    assert texts.count("passes") == 1
    assert "not better than the mean face" in texts
    assert {"good", "middling", "edge detector", "mean face"} <= set(texts)
    assert texts.count("knows nothing of the model") == 2
    with Image.open(png) as image:
        assert min(image.size) > 600


# The font that comes with matplotlib has no Chinese; the SVG's text is text all the same.
@pytest.mark.filterwarnings("ignore:Glyph")
def test_without_trainings_and_in_chinese(tmp_path: Path) -> None:
    whole = report(tmp_path)
    quick = dataclasses.replace(
        whole,
        methods=tuple(dataclasses.replace(m, labels=None, mass=None) for m in whole.methods),
        baselines=tuple(dataclasses.replace(b, mass=None) for b in whole.baselines),
    )
    svg, _ = draw_trust(quick, tmp_path / "quick", language="zh-Hant")
    texts = _texts(svg)
    assert "通過檢驗" in texts
    assert "不優於平均臉" in texts
    assert not any("打亂" in text for text in texts)
