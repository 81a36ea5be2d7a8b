"""The page that compares runs: each of them with the first, on the same images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.app.figures.confusion import share_text
from mien.app.figures.histories import draw_histories
from mien.app.report.context import Context, Plot, Table
from mien.app.report.gather import Gathered, gather
from mien.app.report.render import page, write
from mien.app.report.speech import Speech
from mien.app.report.svg import inline
from mien.errors import OptionError
from mien.evaluate.compare import Comparison, compare
from mien.evaluate.compare_classes import CellDifference, ClassComparison, compare_classes
from mien.words import catalogue, p_value

# Of a difference of shares, what is drawn in full colour.
_FULL = 0.15


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Two runs and what was found of them; A is the first run."""

    a: str
    b: str
    whole: Comparison
    classes: ClassComparison


def compare_page(runs: list[Path], out: Path, *, language: str = "en") -> tuple[Path, list[str]]:
    """Write the page; gives its path and what a person should hear.

    Raises:
        MienError: a run is missing, or they are not about the same images.
    """
    catalogue(language)
    gathered = [gather(run, pictures=False) for run in runs]
    names = _names(gathered)
    if len(set(names)) < len(names):
        raise OptionError("the same run is named twice; name different runs")
    first = gathered[0].result.outputs
    pairs = [
        _Pair(a=names[0], b=name, whole=compare(first, one.result.outputs),
              classes=compare_classes(first, one.result.outputs))
        for name, one in zip(names[1:], gathered[1:], strict=True)
    ]  # fmt: skip
    t = Speech(language)
    context = Context(g=gathered[0], t=t, calibration=None, figures=out.parent / "figures")
    views = {
        "compare-accuracy": _accuracy(t, pairs),
        "compare-history": _history(context, gathered, names),
        "compare-classes": {"parts": [_classes(t, pair) for pair in pairs]},
        "compare-confusion": {"parts": [_matrix(t, pair) for pair in pairs],
                              "about": t("compare-confusion-about")},
    }  # fmt: skip
    sections = [
        {"id": key, "number": str(n), "title": t(key), "template": f"{key}.html.j2", "view": view}
        for n, (key, view) in enumerate(views.items(), start=1)
    ]  # fmt: skip
    heading = " · ".join(names)
    lede = t("compare-lede", a=names[0], n=f"{pairs[0].whole.whole.n:,}")
    text = page(t, heading=heading, lede=lede, sections=sections, data=None, run=heading,
                notes=context.notes)  # fmt: skip
    write(out, text)
    return out, context.notes


def _names(runs: list[Gathered]) -> list[str]:
    """The folders' names, or the paths where these do not tell the runs apart."""
    short = [run.name for run in runs]
    return short if len(set(short)) == len(short) else [str(run.path) for run in runs]


def _accuracy(t: Speech, pairs: list[_Pair]) -> dict[str, Any]:
    rows, said = [], []
    for pair in pairs:
        parts = [("part-whole", pair.whole.whole)]
        if pair.whole.without_copies not in (None, pair.whole.whole):
            assert pair.whole.without_copies is not None
            parts.append(("part-without", pair.whole.without_copies))
        for key, one in parts:
            rows.append([
                f"{pair.a} – {pair.b}", t(key), f"{one.n:,}", t.percent(one.accuracy_a),
                t.percent(one.accuracy_b), t.points(one.difference), p_value(one.p),
            ])  # fmt: skip
        said += t.say([parts[-1][1].verdict(pair.a, pair.b)])
    head = [t("runs"), t("images-of"), t("number"), t("accuracy-a"), t("accuracy-b"),
            t("difference"), "McNemar"]  # fmt: skip
    return {"sentences": said, "rule": t("compare-rule"),
            "table": Table(caption=t("compare-accuracy"), head=head, rows=rows,
                           numeric=(2, 3, 4, 5, 6))}  # fmt: skip


def _history(c: Context, runs: list[Gathered], names: list[str]) -> dict[str, Any]:
    t = c.t
    curves = {name: run.history for name, run in zip(names, runs, strict=True) if run.history}
    if not curves:
        return c.missing("history", "mien train {data}")
    c.figures.mkdir(parents=True, exist_ok=True)
    svg, _ = draw_histories(curves, c.figures / "histories", language=t.code)
    ends = "; ".join(
        t("compare-end", name=name, epochs=len(rows), loss=f"{rows[-1].validation_loss:.3f}",
          accuracy=f"{100 * rows[-1].validation_accuracy:.1f}")
        for name, rows in curves.items()
    )  # fmt: skip
    plot = Plot(svg=inline(svg, "histories", ends), caption=t("compare-history-caption"),
                file="histories")  # fmt: skip
    return {"plot": plot, "ends": ends}


def _classes(t: Speech, pair: _Pair) -> dict[str, Any]:
    rows = [
        [t.name(one.name), f"{one.n:,}", t.percent(one.recall_a), t.percent(one.recall_b),
         t.points(one.difference), p_value(one.p)]
        for one in pair.classes.classes
    ]  # fmt: skip
    head = [t("class"), t("images"), pair.a, pair.b, t("difference"), "McNemar"]
    said = t.say(pair.classes.findings(pair.a, pair.b))
    marked = tuple(n for n, one in enumerate(pair.classes.classes) if one.supported)
    return {"sentences": said or [t("compare-classes-none", a=pair.a, b=pair.b)],
            "table": Table(caption=t("compare-recalls", a=pair.a, b=pair.b), head=head, rows=rows,
                           numeric=(1, 2, 3, 4, 5), marked=marked)}  # fmt: skip


def _matrix(t: Speech, pair: _Pair) -> dict[str, Any]:
    names = list(dict.fromkeys(t.name(cell.predicted) for cell in pair.classes.cells))
    rows = []
    for one in pair.classes.classes:
        cells = [_cell(t, cell) for cell in pair.classes.cells if cell.truth == one.name]
        rows.append({"name": t.name(one.name), "n": one.n, "cells": cells})
    return {"matrix": {"names": names, "rows": rows},
            "title": t("compare-pair", a=pair.a, b=pair.b)}  # fmt: skip


def _cell(t: Speech, cell: CellDifference) -> dict[str, Any]:
    """Green where A does it oftener, purple where B; bold with a dot where that is supported."""
    value = cell.difference.value
    strength = min(1.0, abs(value) / _FULL)
    tint = "var(--green)" if value > 0 else "var(--purple)"
    points = f"{100 * value:+.1f}".replace("-", "−") if round(1000 * value) else "0"
    label = t("compare-cell", truth=t.name(cell.truth), predicted=t.name(cell.predicted),
              difference=t.points(cell.difference), a=share_text(cell.rate_a, 1),
              b=share_text(cell.rate_b, 1))  # fmt: skip
    return {"share": points + (" •" if cell.supported else ""), "label": label,
            "paper": f"color-mix(in srgb,{tint} {round(45 * strength)}%,var(--card))",
            "ink": "var(--ink)", "right": cell.supported}  # fmt: skip
