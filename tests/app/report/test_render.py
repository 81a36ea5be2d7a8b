"""The page from a whole run and from a bare one: complete, offline, in both languages."""

import re
import shutil
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mien.app.report import render
from mien.app.report.gather import gather
from mien.app.report.render import report, write_pdf
from mien.errors import OptionError, RunError
from mien.evaluate.predictions import read_predictions, write_predictions
from report_runs import make_run

SECTIONS = ["summary", "architecture", "history", "confusion", "saliency", "filters", "maths",
            "calibration", "audit", "suspects", "provenance", "card"]  # fmt: skip
# What may load something. A namespace or a citation is no request.
LOADING = re.compile(r"""\s(?:src|srcset|poster|data|action)=(?!"data:)|@import|url\((?!#)""")


def rendered(run: Path, out: Path, **options: str) -> str:
    written, _ = report(gather(run), out, **options)
    return written.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Section ids and heading levels in their order, and pictures without a text."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.levels: list[int] = []
        self.ids: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "section" and given.get("class") == "part":
            self.sections.append(str(given["id"]))
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self.silent += tag == "img" and not given.get("alt")


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
def test_a_whole_run(whole_run: Path, tmp_path: Path, language: str) -> None:
    text = rendered(whole_run, tmp_path / "page.html", language=language)
    outline = Outline()
    outline.feed(text)
    assert outline.sections == SECTIONS
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.levels[0] == 1
    steps = zip(outline.levels, outline.levels[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)
    assert outline.silent == 0
    assert f'<html lang="{language}">' in text
    assert 'class="missing"' not in text
    assert "default-src 'none'" in unescape(text)
    body = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    assert not LOADING.search(body)
    assert not re.search(r"\{[a-z_]+\}", body.replace("{shown}", "").replace("{n}", ""))
    assert len(text.encode()) < 3 * 2**20
    assert "P &lt;1&gt;" in text
    folder = whole_run / "figures" / ("" if language == "en" else language)
    for name in ("history", "confusion", "classes", "architecture", "reliability"):
        assert (folder / f"{name}.svg").is_file(), name
    if language == "zh-Hant":
        assert "生氣" in text
        assert "嘴" in text


def test_a_bare_run_names_the_commands(tmp_path: Path) -> None:
    run = make_run(tmp_path / "bare", layout="folders")
    (run / "history.csv").unlink()
    (run / "explain").mkdir()
    (run / "explain/trust.json").write_text("{")
    text = rendered(run, tmp_path / "page.html")
    for command in ("mien architecture", "mien explain", "mien filters", "mien trust",
                    "mien check", "mien audit", "mien train"):  # fmt: skip
        assert f"<code>{command} " in text, command
    assert "Cannot be read (explain/trust.json" in text
    assert "personal data" in text
    assert '"pictures":{}' in text


def test_an_analysis_of_another_model_is_not_shown(whole_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole_run, tmp_path / "run")
    outputs = read_predictions(run / "predictions.parquet")
    outputs.about["model_checksum"] = "0" * 64
    write_predictions(run / "predictions.parquet", outputs)
    text = rendered(run, tmp_path / "page.html")
    assert "is of another model" in text


def test_pictures_of_drawn_faces_are_shown(whole_run: Path, tmp_path: Path) -> None:
    text = rendered(whole_run, tmp_path / "page.html")
    assert "data:image/jpeg" in text
    assert '"pictures":{"face' in text


def test_bad_input_is_one_line(whole_run: Path, tmp_path: Path, monkeypatch: object) -> None:
    with pytest.raises(OptionError, match="--lang fr: one of en, zh-Hant"):
        report(gather(whole_run), tmp_path / "x.html", language="fr")
    with pytest.raises(RunError, match="no run here"):
        gather(tmp_path)
    with pytest.raises(RunError, match="not the pictures of this run"):
        gather(whole_run, data="synthetic:20")
    with pytest.raises(RunError, match="cannot be written"):
        report(gather(whole_run), tmp_path / "no" / "x.html")


def test_pdf_without_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render.shutil, "which", lambda name: None)
    with pytest.raises(RunError, match="--pdf needs Chromium or Google Chrome"):
        write_pdf(tmp_path / "a.html", tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


def test_names_cannot_break_out(whole_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole_run, tmp_path / "<b>&run")
    outputs = read_predictions(run / "predictions.parquet")
    ids = np.array([f"</script><script>alert({n})" for n in range(len(outputs))])
    outputs = replace(outputs, ids=ids)
    write_predictions(run / "predictions.parquet", outputs)
    text = rendered(run, tmp_path / "page.html")
    assert "<script>alert" not in text
    assert "<b>&run" not in text
    assert text.count("<script") == 2
