"""Settings tried against a recipe as it is, in short runs over several seeds.

    python bench/screen.py fer2013.zip --out screen --recipe tiny --epochs 20 \\
        --try "mixing.mixup=0.5" --try "augment.erase=0 augment.rotation=5"

Trains the recipe as it is and once with each ``--try`` (fields of the recipe, apart by spaces), all
with the same seeds; runs that are there are not trained again, and an interrupted one goes on.
Prints a Markdown table: accuracy on the validation images without a copy in training, with flip,
mean over the seeds; and its difference from the recipe as it is, paired image by image, with a 95 %
interval over the images (seeds add to that: with two, differences of a few tenths are chance).
"""

import argparse
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from mien.evaluate.predictions import read_predictions


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="tiny")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=1, help="runs side by side")
    parser.add_argument("--try", dest="tries", action="append", default=[])
    given = parser.parse_args()
    baseline = None
    print("| settings | no copy, % | each seed | against the recipe, points | minutes |")
    print("|---|---|---|---|---|")
    for fields in ["", *given.tries]:
        with ThreadPoolExecutor(given.at_once) as pool:
            runs = list(pool.map(partial(trained, given, fields), given.seeds))
        right = np.mean([correct(run) for run in runs], axis=0)
        each = ", ".join(f"{100 * correct(run).mean():.2f}" for run in runs)
        minutes = statistics.mean(map(spent, runs))
        against = "" if baseline is None else difference(right - baseline)
        baseline = right if baseline is None else baseline
        cells = [
            f"`{fields}`" if fields else "as it is",
            f"{100 * right.mean():.2f}",
            each,
            against,
        ]
        print("| " + " | ".join(cells) + f" | {minutes:.0f} |", flush=True)


def trained(given, fields, seed):
    """The run folder of these settings, trained to its end."""
    name = re.sub(r"[^\w.=-]+", "_", fields) or "as-it-is"
    run = given.out / f"{given.recipe}-{given.epochs}-{name}-{seed}"
    if (run / "predictions.parquet").is_file():
        return run
    command = [sys.executable, "-m", "mien", "train", "--no-report"]
    if (run / "run.json").is_file():
        command += ["--resume", run]
    else:
        command += [given.data, "--out", run, "--recipe", given.recipe, "--epochs", given.epochs,
                    "--seed", seed, "--threads", given.threads]  # fmt: skip
        command += [part for field in fields.split() for part in ("--set", field)]
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / f"{run.name}.log").open("a") as log:
        subprocess.run(list(map(str, command)), check=True, stdout=log, stderr=log)
    return run


def correct(run):
    """Whether each image without a copy is named rightly, float N, in the order of the file."""
    outputs = read_predictions(run / "predictions.parquet")
    outputs = outputs.take(~outputs.copied)
    return (outputs.predicted == outputs.labels).astype(float)


def spent(run):
    """Minutes of training."""
    rows = (run / "history.csv").read_text().splitlines()
    seconds = rows[0].split(",").index("seconds")
    return sum(float(row.split(",")[seconds]) for row in rows[1:]) / 60


def difference(paired):
    """Mean and 95 % interval (normal, over images) of paired differences, in points."""
    mean, error = paired.mean(), paired.std(ddof=1) / np.sqrt(len(paired))
    low, high = mean - 1.96 * error, mean + 1.96 * error
    return f"{100 * mean:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"


if __name__ == "__main__":
    main()
