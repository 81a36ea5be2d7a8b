import re
from pathlib import Path

from PIL import Image

from mien.app.figures.classes import METRICS, draw_classes
from mien.evaluate.confusion import Scores


def test_the_best_class_is_on_top_and_undefined_scores_have_no_dot(
    tmp_path: Path, scores: Scores
) -> None:
    svg, png = draw_classes(scores, tmp_path / "classes")
    text = svg.read_text(encoding="utf-8")
    names = {one.name for one in scores.per_class}
    order = [name for name in re.findall(r"<text[^>]*>([^<]*)</text>", text) if name in names]
    f1 = {one.name: one.f1.value for one in scores.per_class}
    assert order == sorted(names, key=lambda name: (-f1[name], name))
    # A dot a score and one in the legend: surprise has no recall, disgust no precision.
    for metric, color in METRICS:
        defined = sum(getattr(one, metric).value >= 0 for one in scores.per_class)
        dots = re.findall(rf"<use [^>]*fill: {color.lower()}", text)
        assert len(dots) == defined + 1, metric
    with Image.open(png) as image:
        assert min(image.size) > 1000


def test_dots_and_lines_stand_where_the_numbers_say(tmp_path: Path, scores: Scores) -> None:
    svg, _ = draw_classes(scores, tmp_path / "classes")
    text = svg.read_text(encoding="utf-8")
    # The scale, from the axis' labels.
    ends = [
        float(re.search(rf'<text[^>]*?(?:x="|translate\()([\d.]+)[^>]*>{label}<', text).group(1))  # type: ignore[union-attr]
        for label in ("0 %", "100 %")
    ]
    color = dict(METRICS)["f1"].lower()
    lines = re.findall(rf'd="M ([\d.]+) [\d.]+ \s*L ([\d.]+) [\d.]+ \s*"[^>]*stroke: {color}', text)
    drawn = sorted((float(a), float(b)) for a, b in lines)
    wanted = sorted(
        tuple(ends[0] + x * (ends[1] - ends[0]) for x in (one.f1.low, one.f1.high))
        for one in scores.per_class
    )
    assert len(drawn) == len(wanted) == 7
    for found, expected in zip(drawn, wanted, strict=True):
        assert abs(found[0] - expected[0]) < 0.5
        assert abs(found[1] - expected[1]) < 0.5
