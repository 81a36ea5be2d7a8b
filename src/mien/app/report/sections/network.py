"""The network itself: its layers, its training, its maths."""

from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from mien.app.derivations import fragment
from mien.app.figures.architecture import draw_architecture
from mien.app.figures.history import draw_history
from mien.app.report.context import Context, Table
from mien.evaluate.fit import describe_fit, image_losses
from mien.jobs.architecture import walk_from_json
from mien.theory.derivations import SECTIONS
from mien.theory.examples import worked_numbers


def architecture(c: Context) -> dict[str, Any]:
    """The drawing and the layer table."""
    t = c.t
    if c.lacks("architecture"):
        return c.missing("architecture", "mien architecture {run} --out {run}/theory")
    data = c.g.found["architecture"]
    walked = walk_from_json(data)
    about = t("architecture-about", layers=len(data["layers"]), parameters=f"{walked.parameters:,}",
              macs=f"{walked.macs:,}", input=_by(data["input"]), output=_by(data["output"]),
              mib=f"{data['activation_bytes'] / 2**20:.2f}")  # fmt: skip
    name = str(c.g.result.outputs.about.get("architecture", data["name"]))

    def draw(stem: Any, *, language: str) -> Any:
        return draw_architecture(walked, stem, title=name, language=language)

    plot = c.plot("architecture", draw, label=about, caption=t("architecture-caption"))
    return {"about": about, "plot": plot, "table": _layers(c, data["layers"])}


def _layers(c: Context, layers: list[dict[str, Any]]) -> Table:
    t = c.t
    rows = []
    for one in layers:
        field = one["receptive_field"]
        seen = t("all") if field == "all" else _by([f"{x:g}" for x in field or []]) or "?"
        sources = ", ".join(str(s + 1) if s >= 0 else t("input") for s in one["from"])
        rows.append([
            str(one["number"] + 1), one["name"], one["kind"], sources, _by(one["input"]),
            _by(one["output"]), t("shared") if one["shared"] else f"{one['parameters']:,}",
            f"{one['macs']:,}", seen,
        ])  # fmt: skip
    head = [t(f"layer-{key}") for key in ("number", "name", "kind", "from", "input", "output",
                                           "parameters", "macs", "field")]  # fmt: skip
    return Table(caption=t("layers"), head=head, rows=rows, numeric=(0, 6, 7, 8))


def _by(shape: Any) -> str:
    return "×".join(map(str, shape))


def history(c: Context) -> dict[str, Any]:
    """The curves, what they show, and every epoch."""
    t, rows = c.t, c.g.history
    if not rows:
        return c.missing("history", "mien train {data}")
    recipe, data = c.g.record.get("recipe", {}), c.g.record.get("data", {})
    losses = image_losses(c.g.result.outputs)
    sample = min(int(recipe.get("train_sample") or 0) or 10**9, int(data.get("training_images", 0)))
    found = describe_fit(
        [(row.train_loss, row.train_accuracy) for row in rows],
        [(row.validation_loss, row.validation_accuracy) for row in rows],
        epochs=[row.epoch for row in rows],
        n_train=sample,
        n_validation=int(data.get("validation_images", 0)),
        spread=float(losses.std(ddof=1)) if len(losses) > 1 else 0.0,
    )
    last = rows[-1]
    chosen = t("chosen", epoch=last.epoch, loss=f"{last.validation_loss:.3f}",
               accuracy=f"{100 * last.validation_accuracy:.1f}",
               train_loss=f"{last.train_loss:.3f}",
               train_accuracy=f"{100 * last.train_accuracy:.1f}")  # fmt: skip
    plot = c.plot("history", draw_history, [asdict(row) for row in rows], label=chosen,
                  caption=t("history-caption"))  # fmt: skip
    head = [t(f"epoch-{key}") for key in ("number", "train-loss", "train-accuracy", "loss",
                                           "accuracy", "rate", "seconds", "speed")]  # fmt: skip
    cells = [
        [str(row.epoch), f"{row.train_loss:.3f}", f"{100 * row.train_accuracy:.1f} %",
         f"{row.validation_loss:.3f}", f"{100 * row.validation_accuracy:.1f} %",
         f"{row.learning_rate:.4g}", f"{row.seconds:.0f}", f"{row.images_per_second:,.0f}"]
        for row in rows
    ]  # fmt: skip
    table = Table(caption=t("epochs"), head=head, rows=cells, numeric=tuple(range(8)),
                  marked=(len(rows) - 1,))  # fmt: skip
    return {"plot": plot, "table": table, "chosen": chosen, "sentences": t.say(found),
            "rule": t("fit-rule")}  # fmt: skip


def maths(c: Context) -> dict[str, Any]:
    """The derivations with this network's numbers, and the check of every layer."""
    t = c.t
    answer: dict[str, Any] = {"intro": t("maths-intro"), "derivations": []}
    worked = c.g.found.get("worked") if not c.lacks("worked") else None
    for section in SECTIONS:
        numbers, intro = None, ""
        if worked and section.key in worked:
            numbers = worked_numbers(section.key, worked[section.key])
            intro = t(f"worked-{section.key}", **_about(c, worked[section.key]["about"]))
        made = fragment(section, t.code, numbers=numbers, intro=intro, level=3)
        answer["derivations"].append(Markup(made))  # noqa: S704  made of escaped parts
    if worked is None:
        answer["worked"] = c.missing("worked", "mien report {run} --analyse")
    answer["check"] = _check(c)
    return answer


def _about(c: Context, about: dict[str, Any]) -> dict[str, Any]:
    """Where the numbers come from, with the classes by their names."""
    shown = dict(about)
    if "label" in about:
        shown |= {"label": c.t.name(about["label"]), "classes": c.t.list(
            [c.t.name(one) for one in about["classes"]])}  # fmt: skip
    return shown


def _check(c: Context) -> dict[str, Any]:
    t = c.t
    if c.lacks("check"):
        return c.missing("check", "mien check {run} --data {data} --json > {run}/theory/check.json")
    layers = c.g.found["check"]["layers"]
    rows = []
    for one in layers:
        worst = max((x for x in one["comparisons"] if x["relative_error"] is not None),
                    key=lambda x: x["relative_error"], default=None)  # fmt: skip
        rows.append([
            one["name"], one["kind"], _by(one["output"]),
            "–" if one["expected"] is None else "✓" if one["expected"] == one["output"] else "✗",
            worst["name"] if worst else "–",
            f"{worst['relative_error']:.1e}" if worst else "–",
            t.word("verdict", one["verdict"]),
        ])  # fmt: skip
    head = [t(f"check-{key}") for key in ("layer", "kind", "output", "shape", "quantity", "error",
                                           "verdict")]  # fmt: skip
    right = sum(one["verdict"] == "right" for one in layers)
    wrong = sum(one["verdict"] == "wrong" for one in layers)
    said = t("check-said", right=right, wrong=wrong, layers=len(layers))
    marked = tuple(n for n, one in enumerate(layers) if one["verdict"] == "wrong")
    table = Table(caption=t("check"), head=head, rows=rows, numeric=(5,), marked=marked,
                  quiet=True)  # fmt: skip
    return {"said": said, "table": table}
