"""What the answers rest on: attribution maps, face regions, trust in the maps, filters."""

import math
from typing import Any

import numpy as np

from mien.app.report.context import Context, Table
from mien.app.report.pixels import heat, over, pattern, picture
from mien.explain.display import as_picture, shared_limit
from mien.types import Interval
from mien.words.trust import PREFIX, baseline_name, short_verdict

EACH = 3  # examples of a class, right and wrong
PATCHES = 5
FILTERS = 16
FEWEST = 5  # images in a mean map that is worth a look


def saliency(c: Context) -> dict[str, Any]:
    """The gallery of all classes, then regions, then how far to believe the maps."""
    t = c.t
    answer: dict[str, Any] = {
        "faces_why": t("faces-shown") if c.g.drawn_faces else
        t("faces-asked") if c.g.pictures else t("faces-why"),
        "regions": _regions(c),
        "trust": _trust(c),
    }  # fmt: skip
    if c.lacks("saliency") or "saliency" not in c.g.arrays:
        return {**answer, "gallery": c.missing("saliency", "mien explain {run} {data}")}
    data = c.g.found["saliency"]
    about = t("saliency-about", title=data["title"], n=f"{data['n']:,}",
              split=t.word("split", data["split"]))  # fmt: skip
    answer["gallery"] = {
        "about": about,
        "classes": _class_maps(c, data),
        "examples": _examples(c, data),
        "drawn": _drawn(c),
        "notes": data.get("notes", []),
    }
    return answer


def _class_maps(c: Context, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each class the mean face, and the mean maps of its right and its wrong images over it."""
    t, arrays = c.t, c.g.arrays["saliency"]
    means, right, wrong = (arrays[k] for k in ("mean_faces", "class_sizes_right",
                                               "class_sizes_wrong"))  # fmt: skip
    counts, limit = data["counts"], shared_limit([right, wrong])
    rows = []
    for k, label in enumerate(data["classes"]):
        name, panels = t.name(label), []
        for maps, key in ((right, "right"), (wrong, "wrong")):
            n = int(counts[key][k])
            shown = n >= FEWEST and bool(np.isfinite(maps[k]).all())
            alt = t(f"map-{key}", name=name, n=f"{n:,}")
            panels.append({"n": n, "alt": alt, "kind": t(key),
                           "src": over(means[k], maps[k], limit) if shown else ""})  # fmt: skip
        there = bool(np.isfinite(means[k]).all())
        face = picture(np.clip(means[k], 0, 255).astype(np.uint8)[None]) if there else ""
        rows.append({"name": name, "face": face, "alt": t("mean-face", name=name),
                     "panels": panels})  # fmt: skip
    return rows


def _examples(c: Context, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Single images with their maps: over themselves where they may be shown, else none."""
    if c.g.pictures is None:
        return []
    t, arrays = c.t, c.g.arrays["saliency"]
    maps = arrays["maps"].astype(np.float32) * arrays.get("scale", np.float32(1))
    limit = shared_limit(maps)
    rows = []
    for label in range(len(data["classes"])):
        chosen: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for n, one in enumerate(data["examples"]):
            kept = chosen[bool(one["right"])]
            image = c.g.pictures.get(one["id"]) if one["label"] == label else None
            if image is None or len(kept) >= EACH:
                continue
            kept.append(_example(c, named(one, data["classes"]), image, maps[n], limit))
        rows.append(
            {"name": t.name(data["classes"][label]), "right": chosen[True], "wrong": chosen[False]}
        )
    return rows


def named(one: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """An example with the names of its classes in place of their numbers."""
    return {**one, "label": classes[one["label"]], "predicted": classes[one["predicted"]]}


def _example(
    c: Context, one: dict[str, Any], image: Any, values: Any, limit: float
) -> dict[str, Any]:
    t = c.t
    sure = max(one["probabilities"])
    said = t("example", id=one.get("id", ""), label=t.name(one["label"]),
             predicted=t.name(one["predicted"]), confidence=f"{100 * sure:.0f} %")  # fmt: skip
    return {
        "id": one.get("id", ""),
        "alt": said,
        "caption": f"{t.name(one['predicted'])} {100 * sure:.0f} %",
        "image": picture(image),
        "map": heat(values, limit),
        "overlay": over(as_picture(image), values, limit),
    }


def _drawn(c: Context) -> list[dict[str, Any]]:
    """Drawn faces with their maps, where people may not be shown."""
    if c.g.pictures is not None or c.lacks("drawn") or "drawn" not in c.g.arrays:
        return []
    t, data, arrays = c.t, c.g.found["drawn"], c.g.arrays["drawn"]
    maps = arrays["maps"].astype(np.float32) * arrays["scale"]
    limit = shared_limit(maps)
    return [
        {"name": t.name(one["label"]),
         **_example(c, one, arrays["images"][n], maps[n], limit)}
        for n, one in enumerate(data["examples"])
    ]  # fmt: skip


def _interval(data: dict[str, Any] | None) -> Interval:
    """An interval of a file; undefined where there is none, or too few images for its ends."""
    if not data or any(data[end] is None for end in ("value", "low", "high")):
        return Interval(math.nan, 0, 1)
    return Interval.from_json(data)


def _regions(c: Context) -> dict[str, Any]:
    t = c.t
    if c.lacks("regions"):
        return c.missing("regions", "mien regions {run} {data}")
    data = c.g.found["regions"]
    by = {(one["class"], one["which"], one["region"]): one for one in data["cells"]}
    tables = []
    for which in ("all", "right", "wrong"):
        rows = []
        for label in ("*", *data["classes"]):
            cells = [by.get((label, which, region)) for region in data["regions"]]
            if any(cells):
                name = t("every-class") if label == "*" else t.name(label)
                shown = [t.times(_interval(one["times"])) if one else "–" for one in cells]
                rows.append([name, *shown])
        if rows:
            head = [t("class"), *(t.word("region", r) for r in data["regions"])]
            tables.append(Table(caption=t(f"regions-{which}"), head=head, rows=rows,
                                numeric=tuple(range(1, len(head)))))  # fmt: skip
    about = t("regions-about", n=f"{data['n']:,}", split=t.word("split", data["split"]),
              method=data["method"])  # fmt: skip
    if data["shift"]:
        about += t("regions-shift", shift=data["shift"])
    return {"about": about, "sentences": c.findings("regions"), "tables": tables}


def _trust(c: Context) -> dict[str, Any]:
    t = c.t
    if c.lacks("trust"):
        return c.missing("trust", "mien trust {run} {data}")
    data = c.g.found["trust"]
    rows = []
    for one in data["methods"]:
        last = one["weights"][-1]["similarity"] if one.get("weights") else None
        rows.append([
            one["title"], short_verdict(one["verdict"], tuple(one.get("against", ())), t.code),
            t.number(_interval(last)), t.number(_interval(one.get("weights_reference"))),
            t.percent(_interval(one.get("deletion"))), t.percent(_interval(one.get("insertion"))),
        ])  # fmt: skip
    for one in data["baselines"]:
        name = baseline_name(PREFIX + one["baseline"], t.code) or one["title"]
        rows.append([name, t("knows-nothing"), "–", "–", t.percent(_interval(one["deletion"])),
                     t.percent(_interval(one["insertion"]))])  # fmt: skip
    head = [t("method"), t("check-verdict"), t("similarity"), t("similarity-faces"),
            t("deletion"), t("insertion")]  # fmt: skip
    sentences = [s for one in data["methods"] for s in c.sentences(one["findings"])]
    about = t("trust-intro", n=f"{data['n']:,}", split=t.word("split", data["split"]))
    return {"about": about, "sentences": sentences, "notes": data.get("notes", []),
            "table": Table(caption=t("trust"), head=head, rows=rows,
                           numeric=(2, 3, 4, 5))}  # fmt: skip


def pair(c: Context) -> dict[str, Any] | None:
    """The most confused pair: its sentences, mean faces, and what speaks for one over the other."""
    if c.lacks("pairs"):
        return None
    t, data, arrays = c.t, c.g.found["pairs"], c.g.arrays.get("pairs", {})
    names = {role: t.name(data[role]) for role in ("truth", "predicted")}
    faces = [
        {"src": picture(np.clip(arrays[key], 0, 255).astype(np.uint8)[None]),
         "alt": t(f"pair-{key}", **names)}
        for key in ("right", "confused", "rival") if key in arrays
    ]  # fmt: skip
    if "difference" in arrays and "confused" in arrays:
        values = arrays["difference"]
        faces.append({"src": over(arrays["confused"], values, shared_limit([values])),
                      "alt": t("pair-difference", **names)})  # fmt: skip
    return {"title": t("pair-title", **names), "sentences": c.findings("pairs"), "faces": faces}


def filters(c: Context) -> dict[str, Any]:
    """Patches and patterns of the last convolution's filters, and the classes they speak for."""
    t = c.t
    if c.lacks("filters"):
        return c.missing("filters", "mien filters {run} {data}")
    data = c.g.found["filters"]
    patterns = c.g.arrays.get("filters", {}).get("patterns")
    shown = []
    for one in data["filters"][:FILTERS]:
        row = one.get("pattern_row")
        drawn = [] if patterns is None or row is None else [pattern(p) for p in patterns[row]]
        speaks = [
            t("speaks", name=t.name(k["class"]), effect=t.number(_interval(k["effect"])))
            for k in one["classes"][:2] if k["effect"]["low"] > 0
        ]  # fmt: skip
        shown.append({
            "name": t("filter", n=one["number"]), "dead": bool(one["dead"]), "patterns": drawn,
            "patches": _patches(c, one), "speaks": speaks,
            "sparsity": f"{100 * one['sparsity']['images']:.0f} %",
        })  # fmt: skip
    about = t("filters-about", layer=data["layer"], total=f"{data['filters_total']:,}",
              drawn=f"{data['drawn']:,}", n=f"{data['n']:,}",
              field="×".join(map(str, data["receptive_field"])))  # fmt: skip
    return {"about": about, "sentences": c.findings("filters"), "filters": shown,
            "notes": data.get("notes", []), "faces": c.g.pictures is not None}  # fmt: skip


def _patches(c: Context, one: dict[str, Any]) -> list[dict[str, str]]:
    """The patches that activate a filter most; cut from pictures, so only where these are."""
    found: list[dict[str, str]] = []
    for patch in one["patches"] if c.g.pictures else ():
        image = c.g.pictures.get(patch["id"]) if c.g.pictures else None
        if image is None or len(found) >= PATCHES:
            continue
        y, x = max(0, int(patch["y"])), max(0, int(patch["x"]))
        end_y, end_x = int(patch["y"] + patch["height"]), int(patch["x"] + patch["width"])
        piece = np.ascontiguousarray(image[:, y:end_y, x:end_x])
        if piece.size:
            alt = c.t("patch", id=patch["id"], activation=f"{patch['activation']:.2f}")
            found.append({"src": picture(piece), "alt": alt})
    return found
