"""Where it all comes from: the data, the run, and what the model is for."""

import shlex
from typing import Any

from mien.app.report.context import Context, Table


def audit(c: Context) -> dict[str, Any]:
    """What is wrong with the data."""
    t = c.t
    if "audit" not in c.g.found:
        return c.missing("audit", "mien audit {data} --json > {run}/audit.json")
    data = c.g.found["audit"]
    counts, splits = data["counts"], list(data["counts"])
    rows = [
        [t.name(k) if k else t("unlabelled"), *(f"{counts[s].get(k, 0):,}" for s in splits)]
        for k in [*data["classes"], ""] if k or any(counts[s].get("") for s in splits)
    ]  # fmt: skip
    rows.append([t("total"), *(f"{sum(counts[s].values()):,}" for s in splits)])
    names = [t.word("split", s) for s in splits]
    across = [
        [t.word("split", one["split"]), t.word("split", one["other"]), f"{one['copied']:,}",
         f"{one['otherwise_labelled']:,}", f"{one['near']:,}"]
        for one in data["across"]
    ]  # fmt: skip
    within = [
        [t.word("split", one["split"]), f"{one['groups']:,}", f"{one['pictures']:,}",
         f"{one['conflicting']:,}"]
        for one in data["within"]
    ]  # fmt: skip
    said = [
        t("audit-copies", n=f"{sum(one['pictures'] for one in data['within']):,}"),
        t("audit-near", n=f"{len(data['near']):,}", bits=data["near_bits"],
          more="" if data["near_complete"] else t("or-more")),
        t("audit-blank", n=f"{len(data['blank']):,}"),
        t("audit-problems", n=f"{len(data['problems']):,}"),
    ]  # fmt: skip
    return {
        "sentences": said,
        "counts": Table(caption=t("audit-counts"), head=[t("class"), *names], rows=rows,
                        numeric=tuple(range(1, len(names) + 1))),
        "within": Table(caption=t("audit-within"), rows=within, numeric=(1, 2, 3),
                        head=[t("split"), t("contents-count"), t("pictures"), t("conflicting")]),
        "across": Table(caption=t("audit-across"), rows=across, numeric=(2, 3, 4),
                        head=[t("split"), t("also-in"), t("identical"), t("other-label"),
                              t("near")]) if across else None,
    }  # fmt: skip


def provenance(c: Context) -> dict[str, Any]:
    """Enough to make the run again."""
    t, record = c.t, c.g.record
    data, about = record.get("data", {}), c.g.result.outputs.about
    recipe, hardware = record.get("recipe", {}), record.get("hardware", {})
    memory = hardware.get("memory_gib")
    rows = [
        [t("command"), shlex.join(record.get("command", []))],
        [t("started"), str(record.get("started", "?"))],
        [t("recipe"), str(recipe.get("name", "?"))],
        [t("seed"), str(recipe.get("seed", "?"))],
        [t("data"), f"{c.g.source} ({data.get('layout', '?')})"],
        [t("fingerprint"), str(data.get("fingerprint", "?"))],
        [t("checksum"), str(about.get("model_checksum", "?"))],
        [t("training-images"), t("training-images-said", n=f"{data.get('training_images', 0):,}",
                                 left=f"{data.get('copies_left_out', 0):,}")],
        [t("evaluated"), t("evaluated-said", split=t.word("split", str(about.get("split", "?"))),
                           flip=t("yes") if about.get("flip") else t("no"),
                           precision=str(about.get("precision", "?")))],
        [t("versions"), ", ".join(f"{k} {v}" for k, v in record.get("versions", {}).items())],
        [t("hardware"), f"{hardware.get('processor', '?')}, {hardware.get('system', '?')}; "
         + t("cores", n=hardware.get("cores", "?"), memory=f"{memory or '?'}")],
    ]  # fmt: skip
    for step in c.g.found.get("analysis", {}).get("parts", []):
        said = t("seconds", n=f"{step['seconds']:.1f}") if step["state"] == "done" else step["note"]
        rows.append([t("analysis-part", name=step["name"]), f"{said}"])
    return {"table": Table(caption=t("provenance"), head=[t("what"), t("value")], rows=rows,
                           quiet=True),
            "notes": data.get("notes", []), "recipe": recipe}  # fmt: skip


def card(c: Context) -> dict[str, Any]:
    """Intended and prohibited uses, limits and data."""
    t, source = c.t, c.g.source.casefold()
    kind = "other"
    if c.g.drawn_faces:
        kind = "synthetic"
    elif "fer2013" in source or c.g.record.get("data", {}).get("layout") == "fer2013-csv":
        kind = "fer2013"
    text = t.text
    parts = [
        {"key": key, "title": text(f"card-{key}"),
         "points": [text(f"card-{key}-{n}") for n in range(1, count + 1)]}
        for key, count in (("intended", 3), ("prohibited", 3), ("duty", 1), ("limits", 2))
    ]  # fmt: skip
    parts.append({"key": "data", "title": text("card-data"), "points": [text(f"card-data-{kind}")]})
    return {"what": text("card-what", k=len(c.scores.classes)), "parts": parts}
