"""What one should know in a minute."""

from pathlib import Path
from typing import Any

from mien.app.report.context import Context
from mien.evaluate.calibration import calibration_findings
from mien.evaluate.findings import findings
from mien.types import Finding, Interval
from mien.words.trust import short_verdict

# Kinds that say how far confidence is off; where there is none, it is off no more than by chance.
_LEVELS = ("too-sure", "too-sure-where", "too-unsure", "too-unsure-where", "uneven")


def summary(c: Context) -> dict[str, Any]:
    """Six numbers with a sentence each."""
    t, scores = c.t, c.scores
    found = findings(scores.counts, scores.classes)
    items = [_accuracy(c), _missed(c, found), _pair(c, found), _calibration(c), _trust(c),
             _training(c)]  # fmt: skip
    return {"items": items, "title": t("summary"), "lede": _lede(c)}


def _item(
    label: str, value: str, about: str, href: str, interval: Interval | None = None
) -> dict[str, Any]:
    value, _, ends = value.partition(" [")
    return {
        "label": label, "value": value, "ends": f"[{ends}" if ends else "", "about": about,
        "href": href, "gauge": interval,
    }  # fmt: skip


def _accuracy(c: Context) -> dict[str, Any]:
    t, scores, whole = c.t, c.scores, c.g.result.evaluation.whole
    if scores is whole:
        about = t("accuracy-about", n=f"{scores.n:,}")
    else:
        about = t("accuracy-about-copies", n=f"{scores.n:,}", whole=t.percent(whole.accuracy),
                  whole_n=f"{whole.n:,}")  # fmt: skip
    return _item(t("accuracy"), t.percent(scores.accuracy), about, "#confusion", scores.accuracy)


def _missed(c: Context, found: list[Finding]) -> dict[str, Any]:
    t = c.t
    for finding in found:
        if finding.kind == "missed":
            name = t.name(str(finding.classes["truth"]))
            rate = finding.values["rate"]
            assert isinstance(rate, Interval)
            return _item(t("missed"), name, t.say([finding])[0], "#confusion", rate)
        if finding.kind == "missed-one-of":
            names = [t.name(str(one)) for one in finding.classes["candidates"]]
            return _item(t("missed"), " / ".join(names), t.say([finding])[0], "#confusion")
    return _item(t("missed"), "–", t("missed-untold"), "#confusion")


def _pair(c: Context, found: list[Finding]) -> dict[str, Any]:
    t = c.t
    pairs = [one for one in found if one.kind == "pair"]
    if not pairs:
        return _item(t("worst"), "–", t("worst-untold"), "#confusion")
    names = [t.name(str(pairs[0].classes[role])) for role in ("truth", "predicted")]
    rate = pairs[0].values["rate"]
    assert isinstance(rate, Interval)
    return _item(t("worst"), " → ".join(names), t.say(pairs[:1])[0], "#confusion", rate)


def _calibration(c: Context) -> dict[str, Any]:
    t = c.t
    if c.calibration is None:
        return _item(t("ece"), "–", t("ece-none"), "#calibration")
    before = c.calibration.before
    level = [one for one in calibration_findings(c.calibration) if one.kind in _LEVELS]
    said = t.say(level)
    about = said[0] if said else t("ece-fine", n=f"{before.n:,}")
    return _item(t("ece"), t.percent(before.ece), about, "#calibration", before.ece)


def _trust(c: Context) -> dict[str, Any]:
    t = c.t
    if c.lacks("trust"):
        return _item(t("trust"), "–", t("missing-short"), "#saliency")
    method = c.g.found.get("saliency", {}).get("method")
    methods = c.g.found["trust"]["methods"]
    one = next((m for m in methods if m["method"] == method), methods[0])
    said = c.sentences(one["findings"])
    verdict = short_verdict(one["verdict"], tuple(one.get("against", ())), t.code)
    about = said[0] if said else t("trust-about", method=one["title"])
    return _item(t("trust"), verdict, about, "#saliency")


def _training(c: Context) -> dict[str, Any]:
    t, record = c.t, c.g.record
    seconds = sum(row.seconds for row in c.g.history)
    data, hardware = record.get("data", {}), record.get("hardware", {})
    about = t(
        "trained-about",
        epochs=f"{len(c.g.history):,}",
        n=f"{data.get('training_images', 0):,}",
        validation=f"{data.get('validation_images', 0):,}",
        hardware=f"{hardware.get('processor', '?')}, {hardware.get('cores', '?')}",
    )
    shown = t.duration(seconds) if c.g.history else "–"
    return _item(t("trained"), shown, about, "#history")


def _lede(c: Context) -> str:
    splits = c.g.result.evaluation.splits
    names = c.t.list(
        [c.t("split-images", n=f"{n:,}", split=c.t.word("split", s)) for s, n in splits.items()]
    )
    return c.t("lede", architecture=str(c.g.result.outputs.about.get("architecture", "?")),
               data=Path(c.g.source).name, splits=names)  # fmt: skip
