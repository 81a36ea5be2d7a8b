import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image

from mien.app.figures import style


def _draw(stem: Path) -> tuple[Path, Path]:
    with style.style():
        figure = style.new_figure(3, 2)
        style.headline(figure, "Héadline 100 %", "soft $not maths$")
        style.place(figure, 0.5, 0.4, 0.2, 0.7).plot([1, 2], [3, 4], color=style.BLUE)
        return style.save(figure, stem)


def test_two_files_with_the_whole_stem(tmp_path: Path) -> None:
    paths = _draw(tmp_path / "cnn4-v1.5")
    assert [path.name for path in paths] == ["cnn4-v1.5.svg", "cnn4-v1.5.png"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    with Image.open(paths[1]) as image:
        assert image.size == (600, 400)


def test_text_stays_text(tmp_path: Path) -> None:
    text = _draw(tmp_path / "a")[0].read_text(encoding="utf-8")
    assert ">Héadline 100 %<" in text
    assert ">soft $not maths$<" in text
    assert "<dc:date>" not in text
    assert re.search(r"font(-family)?:[^;\"]*sans-serif", text)


def test_the_same_bytes_twice_and_in_another_process(tmp_path: Path) -> None:
    first = _draw(tmp_path / "a")
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        second = _draw(tmp_path / "b")
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_nothing_global_changes(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    _draw(tmp_path / "a")
    assert dict(mpl.rcParams) == before
    with pytest.raises(RuntimeError), style.style():
        raise RuntimeError
    assert dict(mpl.rcParams) == before


def test_drawing_needs_no_pyplot_and_no_display() -> None:
    code = (
        "import sys; from mien.app.figures import classes, confusion, history; "
        "sys.exit('matplotlib.pyplot' in sys.modules or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3] / "src")


def test_contrast_is_wcags() -> None:
    assert style.contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert style.contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert style.ink_on("#FFFFFF") == "#000000"
    assert style.ink_on("#003A5C") == style.PAPER
    assert style.contrast(style.SOFT, style.PAPER) >= 4.5
