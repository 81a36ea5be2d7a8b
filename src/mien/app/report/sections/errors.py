"""Where the model is wrong, how sure it is, and which labels may be wrong instead."""

from typing import Any

import numpy as np

from mien.app.figures.calibration import draw_reliability, draw_risk_coverage
from mien.app.figures.classes import draw_classes
from mien.app.figures.confusion import cell_color, draw_confusion, share_text
from mien.app.figures.style import ink_on
from mien.app.report.context import Context, Table
from mien.app.report.pixels import picture
from mien.app.report.sections.looking import pair
from mien.evaluate.confusion import Scores
from mien.evaluate.findings import findings, strongest
from mien.evaluate.pairs import confused_pairs
from mien.evaluate.temperature import softmax
from mien.types import Outputs

LISTED = 200  # images of one cell that the page names, the surest first
SHOWN = 20  # and shows
_RANKED = 10


def confusion(c: Context) -> dict[str, Any]:
    """The matrix, the ranked pairs, the classes."""
    t, scores = c.t, c.scores
    c.plot("confusion", draw_confusion, scores, label="", caption="")  # the files alone
    said = t("classes-label", n=f"{scores.n:,}", f1=t.percent(scores.macro_f1))
    plot = c.plot("classes", draw_classes, scores, label=said, caption=t("classes-caption"))
    found = strongest(findings(scores.counts, scores.classes), 3)
    return {
        "matrix": matrix(c, scores),
        "accuracies": _accuracies(c),
        "sentences": t.say(found),
        "ranked": _ranked(c),
        "plot": plot,
        "classes": _classes(c),
        "images_shown": c.g.pictures is not None,
        "unlabelled": scores.unlabelled,
    }


def matrix(c: Context, scores: Scores) -> dict[str, Any]:
    """Rows of cells with their colours and what a screen reader says of each."""
    t = c.t
    names = [t.name(k) for k in scores.classes]
    rows = []
    for i, one in enumerate(scores.per_class):
        cells = []
        for j, count in enumerate(scores.counts[i].tolist()):
            rate = float(scores.rates[i, j])
            colour = cell_color(rate, right=i == j)
            share = share_text(rate, count)
            key = "cell-right" if i == j else "cell-wrong"
            label = t(key, truth=names[i], predicted=names[j], count=f"{count:,}",
                      n=f"{one.support:,}", share=share)  # fmt: skip
            hexed = "#" + "".join(f"{round(255 * x):02x}" for x in colour)
            cells.append({"i": i, "j": j, "count": count, "share": share if count else "·",
                          "label": label, "paper": hexed, "ink": ink_on(colour),
                          "right": i == j})  # fmt: skip
        rows.append({"name": names[i], "n": one.support, "cells": cells})
    return {"names": names, "rows": rows, "predicted": [one.predicted for one in scores.per_class]}


def image_data(c: Context) -> dict[str, Any]:
    """For the page's script: the images of every cell, the surest first, at most LISTED of each.

    Probabilities are whole thousandths.
    """
    outputs = _main_outputs(c)
    p = softmax(outputs.logits)
    sure = p.max(axis=1)
    K = len(outputs.classes)
    cells: dict[str, list[Any]] = {}
    pictures: dict[str, str] = {}
    ids = outputs.ids.astype(str)
    for i in range(K):
        for j in range(K):
            rows = np.flatnonzero((outputs.labels == i) & (outputs.predicted == j))
            rows = rows[np.lexsort((ids[rows], -sure[rows]))][:LISTED]
            if len(rows) == 0:
                continue
            thousandths = np.rint(1000 * p[rows]).astype(int).tolist()
            cells[f"{i},{j}"] = [[ids[r], *q] for r, q in zip(rows, thousandths, strict=True)]
            for r in rows[:SHOWN] if c.g.pictures else ():
                image = c.g.pictures.get(str(ids[r])) if c.g.pictures else None
                if image is not None:
                    pictures[str(ids[r])] = picture(image)
    return {"cells": cells, "pictures": pictures}


def _main_outputs(c: Context) -> Outputs:
    """The rows that the scores on the page are of."""
    outputs, evaluation = c.g.result.outputs, c.g.result.evaluation
    labelled = outputs.labels >= 0
    if c.scores is evaluation.whole:
        return outputs.take(labelled)
    return outputs.take(labelled & ~outputs.copied)


def _accuracies(c: Context) -> Table:
    t, evaluation = c.t, c.g.result.evaluation
    parts: list[tuple[str, Scores | None]] = [("part-whole", evaluation.whole)]
    if evaluation.without_copies is not evaluation.whole:
        parts += [
            ("part-without", evaluation.without_copies),
            ("part-copies", evaluation.copies_only),
        ]
    rows = [
        [t(key), f"{s.n:,}", t.percent(s.accuracy), t.percent(s.macro_f1),
         t.percent(s.balanced_accuracy), f"{s.loss:.3f}"]
        for key, s in parts if s is not None
    ]  # fmt: skip
    head = [t("images-of"), t("number"), t("accuracy"), "macro-F1", t("balanced"), t("loss")]
    return Table(caption=t("accuracies"), head=head, rows=rows, numeric=(1, 2, 3, 4, 5))


def _ranked(c: Context) -> Table:
    t, scores = c.t, c.scores
    rows = [
        [f"{t.name(one.truth)} → {t.name(one.predicted)}", t.percent(one.rate),
         t("of", count=f"{one.count:,}", n=f"{one.n:,}")]
        for one in confused_pairs(scores.counts, scores.classes)[:_RANKED]
    ]  # fmt: skip
    return Table(caption=t("ranked"), head=[t("pair"), t("rate"), t("images")], rows=rows,
                 numeric=(1, 2))  # fmt: skip


def _classes(c: Context) -> Table:
    t = c.t
    rows = [
        [t.name(one.name), f"{one.support:,}", f"{one.predicted:,}", t.percent(one.recall),
         t.percent(one.precision), t.percent(one.f1)]
        for one in c.scores.per_class
    ]  # fmt: skip
    head = [t("class"), t("images"), t("predicted"), t("recall"), t("precision"), "F1"]
    return Table(caption=t("per-class"), head=head, rows=rows, numeric=(1, 2, 3, 4, 5))


def calibration(c: Context) -> dict[str, Any]:
    """How far its confidence is to be believed."""
    t, found = c.t, c.calibration
    if found is None:
        return {"missing": t("ece-none"), "command": ""}
    rows = []
    for key in ("ece", "adaptive_ece", "debiased_ece", "classwise_ece", "overconfidence"):
        ends = [getattr(side, key) for side in (found.before, found.after)]
        shown = t.points if key == "overconfidence" else t.percent
        rows.append([t(f"calibration-{key}"), *map(shown, ends)])
    rows.append(["Brier", *(t.number(s.brier.value, 3) for s in (found.before, found.after))])
    rows.append([t("calibration-nll"), *(t.number(s.nll, 3) for s in (found.before, found.after))])
    head = [t("measure"), t("as-trained"), t("tempered", temperature=f"{found.temperature:.2f}")]
    bins = [
        [f"{100 * b.low:.0f}–{100 * b.high:.0f} %", f"{b.n:,}",
         f"{100 * b.confidence:.1f} %" if b.n else "–",
         t.percent(b.accuracy) if b.n else "–"]
        for b in found.before.bins if b.n
    ]  # fmt: skip
    names = [t("confidence"), t("images"), t("mean-confidence"), t("accuracy")]
    promises = [
        [f"{100 * a.error:.0f} %", f"{100 * a.threshold:.1f} %", t.percent(a.coverage),
         t.percent(a.realised)] if a.threshold is not None
        else [f"{100 * a.error:.0f} %", t("no-threshold"), "–", "–"]
        for a in found.abstain
    ]  # fmt: skip
    columns = [t("wanted-error"), t("threshold"), t("coverage"), t("realised")]
    return {
        "intro": t("calibration-intro", n=f"{found.n:,}"),
        "sentences": c.sentences(found.to_json()["findings"]),
        "plots": [
            c.plot("reliability", draw_reliability, found, label=t("calibration-label",
                   n=f"{found.n:,}", before=t.percent(found.before.ece),
                   after=t.percent(found.after.ece)), caption=t("reliability-caption")),
            c.plot("risk-coverage", draw_risk_coverage, found, label=t("risk-label",
                   share=f"{100 * found.at_80.coverage:.0f} %",
                   accuracy=t.percent(found.at_80.accuracy), full=t.percent(found.at_80.full)),
                   caption=t("risk-caption")),
        ],
        "table": Table(caption=t("calibration-table"), head=head, rows=rows, numeric=(1, 2)),
        "bins": Table(caption=t("bins"), head=names, rows=bins, numeric=(1, 2, 3)),
        "abstain": Table(caption=t("abstain"), head=columns, rows=promises, numeric=(1, 2, 3)),
    }  # fmt: skip


def suspects(c: Context) -> dict[str, Any]:
    """Images whose label may be wrong, and the images of the worst pair."""
    t = c.t
    if c.lacks("suspects"):
        return c.missing("suspects", "mien pairs {run} {data}")
    data = c.g.found["suspects"]
    rows = [
        [one["id"], t.name(one["label"]), t.name(one["suggested"]),
         f"{100 * one['confidence']:.1f} %"]
        for one in data["suspects"][:LISTED // 4]
    ]  # fmt: skip
    head = [t("image"), t("label"), t("suggested"), t("confidence")]
    about = t("suspects-about", count=f"{len(data['suspects']):,}", n=f"{data['n']:,}",
              shown=f"{len(rows):,}")  # fmt: skip
    gallery = []
    if c.g.pictures:
        for one in data["suspects"][:SHOWN]:
            image = c.g.pictures.get(one["id"])
            if image is not None:
                gallery.append({"src": picture(image), "id": one["id"],
                                "label": t.name(one["label"]),
                                "suggested": t.name(one["suggested"])})  # fmt: skip
    return {"about": about, "sentences": c.findings("suspects"), "gallery": gallery,
            "pair": pair(c),
            "table": Table(caption=t("suspects"), head=head, rows=rows, numeric=(3,),
                           quiet=True)}  # fmt: skip
