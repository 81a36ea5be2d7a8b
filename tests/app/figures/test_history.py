import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mien.app.figures.history import TRAIN, VALIDATION, draw_history
from mien.errors import RunError

Rows = list[dict[str, Any]]


def _texts(svg: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8"))


def test_curves_and_the_result(tmp_path: Path, history: Rows) -> None:
    svg, png = draw_history(history, tmp_path / "history", title="Training of cnn4")
    texts = _texts(svg)
    title, subtitle = texts[-2:]
    assert title == "Training of cnn4"
    last = history[-1]
    share = 100 * float(last["validation_accuracy"])
    assert subtitle.startswith(f"Result: epoch {last['epoch']}, validation {share:.1f} %")
    assert "6 min" in subtitle
    assert "941 images/s" in subtitle
    for name in ("Cross-entropy loss", "Accuracy", "Learning rate", "epoch"):
        assert texts.count(name) == 1
    assert texts.count("training") == texts.count("validation") == 2
    with Image.open(png) as image:
        assert min(image.size) > 1000


def test_a_blank_field_is_a_gap(tmp_path: Path, history: Rows) -> None:
    svg, _ = draw_history(history, tmp_path / "history")
    text = svg.read_text(encoding="utf-8")

    def paths(color: str) -> list[str]:
        found = re.findall(rf'<path d="([^"]*)"[^>]*fill: none; stroke: {color.lower()}', text)
        return [path for path in found if "L" in path]  # the rest is the result's dot

    for path in paths(TRAIN):
        assert (path.count("M"), path.count("L")) == (1, 11)
    assert len(paths(TRAIN)) == len(paths(VALIDATION)) == 2
    for path in paths(VALIDATION):
        assert (path.count("M"), path.count("L")) == (2, 9)


def test_names_do_not_stand_on_each_other(tmp_path: Path, history: Rows) -> None:
    for row in history:
        row["validation_loss"] = row["train_loss"]
    svg, _ = draw_history(history, tmp_path / "history")
    text = svg.read_text(encoding="utf-8")
    heights = [
        float(y)
        for y in re.findall(
            r'<text[^>]*?(?:y="|translate\([\d.]+ )([\d.]+)[^>]*>(?:training|validation)<', text
        )
    ]
    assert len(heights) == 4
    assert abs(heights[0] - heights[1]) > 9


@pytest.mark.parametrize("epochs", [1, 2])
def test_short_histories_and_no_validation(tmp_path: Path, history: Rows, epochs: int) -> None:
    rows = history[:epochs]
    draw_history(rows, tmp_path / "short")
    for row in rows:
        for name in ("validation_loss", "validation_accuracy", "seconds", "images_per_second"):
            row[name] = ""
    svg, _ = draw_history(rows, tmp_path / "bare")
    assert "validation" not in _texts(svg)


def test_bad_histories(tmp_path: Path, history: Rows) -> None:
    with pytest.raises(RunError, match="no epochs yet"):
        draw_history([], tmp_path / "a")
    with pytest.raises(RunError, match="column 'train_loss' has no number"):
        draw_history([{**history[0], "train_loss": "lots"}], tmp_path / "a")
    del history[1]["learning_rate"]
    with pytest.raises(RunError, match="no column 'learning_rate'"):
        draw_history(history, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
