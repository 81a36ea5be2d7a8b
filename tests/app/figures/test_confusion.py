import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.app.figures import style
from mien.app.figures.confusion import cell_color, draw_confusion, share_text
from mien.evaluate.confusion import Scores
from mien.words import percent


def _texts(svg: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8"))


def test_every_count_and_share_is_there(tmp_path: Path, scores: Scores) -> None:
    svg, png = draw_confusion(scores, tmp_path / "confusion")
    texts = [text.replace("&lt;", "<").replace("&gt;", ">") for text in _texts(svg)]
    shown = iter(texts)
    for count, rate in zip(scores.counts.ravel(), scores.rates.ravel(), strict=True):
        assert next(shown) == share_text(rate, count)
        if count:
            assert next(shown) == f"{count:,}"
    assert f"Accuracy {percent(scores.accuracy)} on 1,400 images" in texts
    for one in scores.per_class:
        assert texts.count(one.name) == 2
        assert f"{one.support:,} images" in texts
        assert f"{one.predicted:,}×" in texts
    with Image.open(png) as image:
        assert min(image.size) > 1000


@pytest.mark.parametrize("right", [False, True])
def test_the_numbers_can_be_read_on_every_colour(right: bool) -> None:
    luminances = []
    for rate in np.linspace(0, 1, 201):
        color = cell_color(rate, right=right)
        luminances.append(style.luminance(color))
        assert style.contrast(color, style.ink_on(color)) >= 4.5
    # The more, the darker, so that it reads in grey as well.
    assert (np.diff(luminances) <= 1e-9).all()
    assert luminances[0] > 0.8 > 0.2 > luminances[-1]
    assert style.contrast(cell_color(0, right=right), style.SOFT) >= 4.5
    assert cell_color(float("nan"), right=right) == cell_color(0, right=right)


@pytest.mark.parametrize(
    ("rate", "count", "text"),
    [
        (0.31, 9, "31 %"),
        (0.0, 0, "0"),
        (float("nan"), 0, "0"),
        (0.0049, 3, "<1 %"),
        (0.0051, 3, "1 %"),
        (0.9949, 99, "99 %"),
        (0.996, 99, ">99 %"),
        (1.0, 99, "100 %"),
    ],
)
def test_shares(rate: float, count: int, text: str) -> None:
    assert share_text(rate, count) == text


def test_colours_reach_the_picture(tmp_path: Path, scores: Scores) -> None:
    _, png = draw_confusion(scores, tmp_path / "confusion")
    with Image.open(png) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    for rate, right in ((scores.rates[3, 3], True), (scores.rates[1, 0], False)):
        wanted = np.round(255 * np.array(cell_color(rate, right=right)))
        near = (np.abs(pixels - wanted).max(axis=1) <= 1).sum()
        assert near > 5000
