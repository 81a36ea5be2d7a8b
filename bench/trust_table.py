"""The tables of docs/results/trust.md: methods × tests on faces of one region, and on a model.

Without arguments it measures every method and baseline on drawn faces of which one region alone
carries the label (kept in mien's cache), and writes the table, the figure and the default method
that follows. With a folder that ``mien trust`` wrote, the table of that model is added.

    python bench/trust_table.py [--model-trust runs/cnn4-0/explain] [--figures docs/results/trust]
"""

import argparse
import json
from pathlib import Path

from mien.app.console import progress_bars
from mien.app.figures.trust import draw_trust
from mien.explain.attribution import METHODS
from mien.explain.trust.baselines import BASELINES
from mien.explain.trust.default import default_method
from mien.explain.trust.verdict import judge, judge_baseline
from mien.jobs.one_region import region_table
from mien.jobs.trust_report import TrustReport
from mien.types import Interval
from mien.words import number, percent
from mien.words.trust import short_verdict


def one_region_report(folder):
    """The report on faces of one region, as ``mien trust`` would give it for a model."""
    with progress_bars() as progress:
        table = region_table(list(METHODS), progress=progress)
    known = ", ".join(f"{name} {share:.1%}" for name, share in table.accuracies.items())
    report = TrustReport(
        n=table.n, split="drawn", seed=0, model="networks of one region each", model_checksum="",
        data_fingerprint="", folder=folder,
        methods=tuple(
            judge(name, METHODS[name].title, table.methods[name], table.baselines, table.layers)
            for name in METHODS
        ),
        baselines=tuple(
            judge_baseline(name, one.title, table.baselines[name])
            for name, one in BASELINES.items()
        ),
        notes=(f"accuracies on new faces: {known}", f"masks cover {table.area:.1%} of a picture"),
    )  # fmt: skip
    return report, table.area


def interval(data):
    return Interval(data["value"], data["low"], data["high"])


def markdown(data, area=None):
    """The table of a ``trust.json`` as Markdown."""
    labels = any(one["labels"] for one in data["methods"])
    head = ["method", "mass accuracy", "pointing game", "deletion area", "insertion area",
            "similarity, random weights", "two faces"]  # fmt: skip
    head += ["similarity, shuffled labels"] * labels + ["verdict"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for one in data["methods"]:
        cells = [one["title"], *scores(one, area)]
        cells += [number(interval(one["weights"][-1]["similarity"])),
                  number(interval(one["weights_reference"]))]  # fmt: skip
        cells += [number(interval(one["labels"]["similarity"])) if one["labels"] else "–"] * labels
        cells.append(short_verdict(one["verdict"], tuple(one["against"])))
        lines.append("| " + " | ".join(cells) + " |")
    for one in data["baselines"]:
        same = ["1", "–"] + ["1"] * labels
        cells = [f"*{one['title']}*", *scores(one, area), *same, "knows nothing"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def scores(one, area):
    region = one["one_region"]
    shown = ["–", "–"]
    if region:
        mass = interval(region["mass"])
        times = f", {mass.value / area:.1f}× its area" if area else ""
        shown = [percent(mass) + times, percent(interval(region["pointing"]))]
    return [*shown, percent(interval(one["deletion"])), percent(interval(one["insertion"]))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model-trust", type=Path, help="a folder with a trust.json")
    parser.add_argument("--figures", type=Path, default=Path("docs/results/trust"))
    args = parser.parse_args()
    args.figures.mkdir(parents=True, exist_ok=True)
    report, area = one_region_report(args.figures)
    draw_trust(report, args.figures / "one-region")
    print("## Faces of which one region carries the label\n")
    print(f"n = {report.n}; {'; '.join(report.notes)}\n")
    print(markdown(report.to_json(), area))
    print("\n" + "\n".join(f"- {sentence}" for sentence in report.sentences()))
    passes = {name: one.passes for name, one in METHODS.items()}
    print(f"\nDefault by the rule, of this table alone: {report.default}")
    if args.model_trust:
        data = json.loads((args.model_trust / "trust.json").read_text(encoding="utf-8"))
        print("\n## The model\n\n" + "; ".join(data["notes"]) + "\n")
        print(markdown(data))
        sentences = [s for one in data["methods"] for s in one["sentences"]["en"]]
        print("\n" + "\n".join(f"- {sentence}" for sentence in sentences))
        also = {one["method"]: (one["verdict"], len(one["against"])) for one in data["methods"]}
        print(f"\nDefault by the rule: {default_method(report.methods, passes, [also])}")


if __name__ == "__main__":
    main()
