"""The figures of the ledger, of a pair and of the template: written, and with every number."""

import re

import numpy as np

from mien.app.figures.pairs import draw_pair
from mien.app.figures.regions import draw_ledger, draw_template
from mien.explain.pairs import Pair, pair_regions
from mien.explain.regions.ledger import ledger
from mien.explain.regions.template import REGIONS, template


def _ledger():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    predicted = np.where(rng.random(40) < 0.3, 1 - labels, labels)
    change = rng.normal(-0.05, 0.02, size=(40, 6))
    return ledger(
        rng.normal(size=(40, 24, 24)), labels, predicted, template(24, 24), ("happy", "sad"),
        occlusion=change, elsewhere=change / 2, shift=1, replicates=50, method="gradient",
    )  # fmt: skip


def test_a_ledger_is_drawn_with_its_regions_and_classes(tmp_path):
    svg, png = draw_ledger(_ledger(), tmp_path / "regions")
    text = svg.read_text()
    assert png.stat().st_size > 10_000
    for word in (*REGIONS, "happy", "sad", "all classes", "right predictions", "region hidden"):
        assert word in text
    assert re.search(r"gradient, 40 images; template, moved by up to 1 pixels", text)
    assert draw_ledger(_ledger(), tmp_path / "again")[1].read_bytes() == png.read_bytes()


def test_a_ledger_without_hiding_has_no_lower_half(tmp_path):
    rng = np.random.default_rng(1)
    labels = np.zeros(5, dtype=np.int64)
    table = ledger(rng.normal(size=(5, 12, 12)), labels, labels, template(12, 12), ("a",),
                   shift=0, replicates=20)  # fmt: skip
    text = draw_ledger(table, tmp_path / "plain")[0].read_text()
    assert "hidden" not in text


def test_the_template_over_a_face(tmp_path):
    face = np.linspace(0, 255, 24 * 24).reshape(24, 24)
    svg, png = draw_template(face, tmp_path / "template", classes={"happy": face}, n=1234)
    assert "1,234 images" in svg.read_text()
    assert png.stat().st_size > 10_000


def test_a_pair_with_and_without_pictures(tmp_path):
    rng = np.random.default_rng(2)
    maps, change = rng.normal(size=(30, 24, 24)), rng.normal(size=(30, 6)) / 10
    rows = pair_regions(maps, template(24, 24), change, change * 0, shift=1, replicates=50)
    pair = Pair(
        truth="fear", predicted="sad", classes=("fear", "sad"), n=30, confident=(), suspects=(),
        regions=tuple(rows), method="gradient", held_out=True,
    )  # fmt: skip
    pictures = {
        name: rng.normal(size=(24, 24)).astype(np.float32)
        for name in ("right", "confused", "difference", "difference_right")
    }
    text = draw_pair(pair, pictures, tmp_path / "pair")[0].read_text()
    assert "fear taken for sad" in text
    assert "difference, confused" in text
    assert "sad, right" not in text  # its mean is of too few
    bare = draw_pair(pair, {}, tmp_path / "bare")[0].read_text()
    assert "difference, confused" not in bare
    assert "points of fear less sad when hidden" in bare
