"""Accuracy over several seeds of one recipe, from their run folders, as Markdown.

    python bench/seeds.py runs/cnn4-1 runs/cnn4-2 runs/cnn4-3

Prints a row a run, mean and standard deviation, and the confusion table summed over the runs, all
over the validation split; nothing is computed by a model here.
"""

import argparse
import csv
import json
import statistics
from pathlib import Path

import numpy as np

PARTS = {"without_copies": "no copy in training", "whole": "whole split", "copies_only": "copied"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    runs = parser.parse_args().runs
    evaluations = [json.loads((run / "evaluation.json").read_text()) for run in runs]
    records = [json.loads((run / "run.json").read_text()) for run in runs]
    for record in records:
        same = {**record["recipe"], "seed": 0} == {**records[0]["recipe"], "seed": 0}
        assert same, "the runs are not of one recipe"
    heads = [f"{name} ({evaluations[0][part]['n']:,})" for part, name in PARTS.items()]
    print("| seed | " + " | ".join(heads) + " | macro-F1, no copy | minutes |")
    print("|---" * (len(heads) + 3) + "|")
    columns = []
    for record, evaluation, run in zip(records, evaluations, runs, strict=True):
        values = [100 * evaluation[part]["accuracy"]["value"] for part in PARTS]
        values.append(100 * evaluation["without_copies"]["macro_f1"]["value"])
        with (run / "history.csv").open() as file:
            values.append(sum(float(row["seconds"]) for row in csv.DictReader(file)) / 60)
        columns.append(values)
        interval = evaluation["without_copies"]["accuracy"]
        cells = [f"{v:.2f}" for v in values[:-1]] + [f"{values[-1]:.0f}"]
        cells[0] += f" [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"
        print(f"| {record['recipe']['seed']} | " + " | ".join(cells) + " |")
    means = [statistics.mean(column) for column in zip(*columns, strict=True)]
    spreads = [
        statistics.stdev(column) if len(runs) > 1 else float("nan")
        for column in zip(*columns, strict=True)
    ]
    cells = [f"**{m:.2f}** ± {s:.2f}" for m, s in zip(means[:-1], spreads[:-1], strict=True)]
    print("| mean ± s.d. | " + " | ".join(cells) + f" | {means[-1]:.0f} |")
    _confusion(evaluations)


def _confusion(evaluations):
    scores = [evaluation["without_copies"] for evaluation in evaluations]
    names = [one["name"] for one in scores[0]["classes"]]
    counts = np.sum([score["confusion"]["counts"] for score in scores], axis=0)
    print("\n| label \\ prediction, % of the row | " + " | ".join(names) + " | images a run |")
    print("|---" * (len(names) + 2) + "|")
    for name, row in zip(names, counts, strict=True):
        total = row.sum()
        cells = " | ".join(f"{100 * n / total:.1f}" for n in row)
        print(f"| {name} | {cells} | {total // len(scores):,} |")


if __name__ == "__main__":
    main()
