import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.app.figures.calibration import draw_reliability, draw_risk_coverage
from mien.evaluate.calibration import Calibration, calibration
from mien.types import Outputs
from mien.words import percent


@pytest.fixture(scope="module")
def found() -> Calibration:
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(900, 4)).astype(np.float32)
    p = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    return calibration(
        Outputs(
            ids=np.arange(900).astype(str),
            splits=np.array(["validation"] * 900),
            labels=(p.cumsum(axis=1) > rng.random((900, 1))).argmax(axis=1),
            logits=logits,
            hashes=np.array([f"{i:032x}" for i in range(900)]),
            copied=np.zeros(900, dtype=bool),
            classes=("a", "b", "c", "d"),
        ),
        replicates=50,
    )


def _texts(svg: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8"))


def test_reliability(tmp_path: Path, found: Calibration) -> None:
    svg, png = draw_reliability(found, tmp_path / "reliability")
    texts = _texts(svg)
    assert f"with temperature {found.temperature:.2f}, cross-fitted" in texts
    for part in (found.before, found.after):
        assert any(percent(part.ece) in t and percent(part.debiased_ece) in t for t in texts)
    assert texts.count("confidence") == 2
    with Image.open(png) as image:
        assert min(image.size) > 1000
    again, _ = draw_reliability(found, tmp_path / "again")
    assert again.read_bytes() == svg.read_bytes()


def test_risk_and_coverage(tmp_path: Path, found: Calibration) -> None:
    svg, _ = draw_risk_coverage(found, tmp_path / "risk-coverage")
    texts = _texts(svg)
    assert any(percent(found.at_80.accuracy) in text for text in texts)
    promised = [one for one in found.abstain if one.threshold is not None]
    assert promised
    assert sum(text.startswith("at most") for text in texts) == len(promised)
