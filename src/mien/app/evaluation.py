"""What a person sees of an evaluation: tables in the terminal, sentences, figures."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mien.app import console
from mien.app.figures.calibration import draw_reliability, draw_risk_coverage
from mien.app.figures.classes import draw_classes
from mien.app.figures.confusion import draw_confusion
from mien.app.figures.history import draw_history
from mien.errors import RunError
from mien.evaluate.calibration import Calibration, describe_calibration
from mien.evaluate.confusion import Evaluation, Scores
from mien.evaluate.findings import describe
from mien.evaluate.pairs import confused_pairs
from mien.jobs.recompute import EvaluateResult
from mien.train.history import Row
from mien.words import percent, points

_PAIRS_SHOWN = 8


def show_evaluation(result: EvaluateResult) -> None:
    """Accuracy, per-class table, confusion matrix, ranked pairs and what they support saying."""
    evaluation = result.evaluation
    main = main_scores(evaluation)
    console.show(_accuracy_table(evaluation))
    about = evaluation.about
    if about.get("flip"):
        console.show("Each picture's probabilities are averaged with those of its mirror image.")
    if len(about.get("zooms", [])) > 1:
        zooms = ", ".join(f"{zoom:g}" for zoom in about["zooms"])
        console.show(f"They are averaged over the zooms {zooms} as well.")
    if about.get("crops"):
        side = about["crops"]
        console.show(f"They are averaged over five parts of {side}×{side} pixels as well.")
    console.show(_class_table(main))
    console.show(_confusion_table(main))
    pairs = _pair_table(main)
    if pairs.row_count:
        console.show(pairs)
    for sentence in describe(main.counts, main.classes):
        console.show(f"  {sentence}")
    if result.calibration is not None:
        show_calibration(result.calibration)


def show_calibration(found: Calibration) -> None:
    """Confidence before and after the temperature, abstention, and what they support saying."""
    console.show(_calibration_table(found))
    if any(one.threshold is not None for one in found.abstain):
        console.show(_abstention_table(found))
    for sentence in describe_calibration(found):
        console.show(f"  {sentence}")


def main_scores(evaluation: Evaluation) -> Scores:
    """The scores to look at first: without copies, where that leaves any images."""
    return evaluation.without_copies or evaluation.whole


def write_figures(
    result: EvaluateResult, folder: Path, history: Sequence[Row] | None = None
) -> list[Path]:
    """Draw the confusion matrix, the classes and the history as SVG and PNG into ``folder``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made; name another with --out") from error
    scores = main_scores(result.evaluation)
    written = [*draw_confusion(scores, folder / "confusion")]
    written += draw_classes(scores, folder / "classes")
    if result.calibration is not None:
        written += draw_reliability(result.calibration, folder / "reliability")
        written += draw_risk_coverage(result.calibration, folder / "risk-coverage")
    if history:
        written += draw_history([asdict(row) for row in history], folder / "history")
    return written


def _accuracy_table(evaluation: Evaluation) -> console.PlainTable:
    splits = ", ".join(f"{name} {count:,}" for name, count in evaluation.splits.items())
    table = console.PlainTable(
        f"Evaluation ({splits}); 95 % intervals", "images", "number", "accuracy", "macro-F1", "loss"
    )
    parts: list[tuple[str, Scores | None]] = [("whole split", evaluation.whole)]
    if evaluation.without_copies is not evaluation.whole:
        parts.append(("without a copy in training", evaluation.without_copies))
        parts.append(("with a copy in training", evaluation.copies_only))
    for name, scores in parts:
        if scores is not None:
            accuracy, f1 = percent(scores.accuracy), percent(scores.macro_f1)
            table.row(name, f"{scores.n:,}", accuracy, f1, f"{scores.loss:.3f}")
    return table


def _class_table(scores: Scores) -> console.PlainTable:
    table = console.PlainTable("\nPer class", "class", "images", "recall", "precision", "F1")
    for one in scores.per_class:
        recall, precision, f1 = percent(one.recall), percent(one.precision), percent(one.f1)
        table.row(one.name, f"{one.support:,}", recall, precision, f1)
    return table


def _confusion_table(scores: Scores) -> console.PlainTable:
    table = console.PlainTable(
        "\nConfusion: rows the label, columns the prediction; count and % of the row",
        "",
        *scores.classes,
    )
    for name, row in zip(scores.classes, scores.counts.tolist(), strict=True):
        total = max(sum(row), 1)
        table.row(name, *(f"{n:,} {100 * n / total:3.0f}%" if n else "·" for n in row))
    return table


def _calibration_table(found: Calibration) -> console.PlainTable:
    copies = ", none with a copy in training" if found.without_copies else ""
    table = console.PlainTable(
        f"\nConfidence ({found.n:,} images{copies}; temperature {found.temperature:.3f}, "
        "measured on images that did not fit it)",
        "", "calibration error", "adaptive bins", "debiased (r.m.s.)", "too high by", "Brier",
        "loss",
    )  # fmt: skip
    for name, part in (("as trained", found.before), ("with temperature", found.after)):
        table.row(
            name,
            percent(part.ece),
            percent(part.adaptive_ece),
            percent(part.debiased_ece),
            points(part.overconfidence),
            f"{part.brier.value.value:.3f}",
            f"{part.nll.value:.3f}",
        )
    return table


def _abstention_table(found: Calibration) -> console.PlainTable:
    table = console.PlainTable(
        '\nAnswering "unsure": thresholds chosen and measured on different images',
        "wrong at most", "unsure below", "answered", "of these wrong",
    )  # fmt: skip
    for one in found.abstain:
        threshold = "none promises it" if one.threshold is None else f"{100 * one.threshold:.1f} %"
        answered = one.threshold is not None
        table.row(
            f"{100 * one.error:.0f} %",
            threshold,
            percent(one.coverage) if answered else "",
            percent(one.realised) if answered else "",
        )
    return table


def _pair_table(scores: Scores) -> console.PlainTable:
    table = console.PlainTable("\nMost confused", "label → prediction", "rate", "images")
    for pair in confused_pairs(scores.counts, scores.classes)[:_PAIRS_SHOWN]:
        table.row(
            f"{pair.truth} → {pair.predicted}", percent(pair.rate), f"{pair.count:,} of {pair.n:,}"
        )
    return table


def as_json(result: EvaluateResult) -> dict[str, object]:
    """The evaluation with its sentences and the folder that it was written to."""
    scores = main_scores(result.evaluation)
    data: dict[str, object] = json.loads(json.dumps(result.evaluation.to_json()))
    sentences = describe(scores.counts, scores.classes)
    if result.calibration is not None:
        data["calibration"] = result.calibration.to_json()
        sentences += describe_calibration(result.calibration)
    data["findings"] = sentences
    data["folder"] = str(result.folder)
    return data
