"""What a second worker, or a second rank, is worth on this machine; and what a picture costs.

    python scripts/scaling.py score
    python scripts/scaling.py train
    python scripts/scaling.py cost --photographs FOLDER

One worker and two take turns, so that each ratio is of things measured within the same minute or
two. Scoring counts from the first part written, when Python, Ray and the models have started. The
costs are processor time.
"""

import argparse
import csv
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

FEW = 256
MIEN = [sys.executable, "-m", "mien"]


def draw(folder, count):
    """``count`` drawn faces of 48×48, a file each."""
    from PIL import Image

    from mien.data.synthetic import generate

    folder.mkdir(parents=True)
    for number, image in enumerate(generate(min(count, 500), seed=4).images):
        for copy in range(number, count, 500):
            Image.fromarray(np.ascontiguousarray(image[0])).save(folder / f"{copy:06d}.bmp")
    return folder


def done(command, **environment):
    """Wall-clock and processor seconds of a command."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.run(command, capture_output=True, text=True, check=False,
                             env={**os.environ, **environment})  # fmt: skip
    if process.returncode not in (0, 1):
        raise SystemExit(process.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - begun, used


def pace(out):
    """Pictures a second from the first part written to the last, so without any start."""
    from pyarrow import parquet

    parts = sorted((path.stat().st_mtime, path) for path in out.glob("part-*"))
    rows = sum(parquet.read_metadata(path).num_rows for _, path in parts[1:])
    return rows / (parts[-1][0] - parts[0][0])


def scoring(folder, pictures, rounds):
    source = draw(folder / "many", pictures)
    print(
        f"| workers | {pictures:,} pictures with the start, s | pictures/s after the first part |"
    )
    print("|---|---|---|")
    for number in range(rounds):
        rates = {}
        for workers in (1, 2) if number % 2 == 0 else (2, 1):
            out = folder / f"out-{number}-{workers}"
            command = [*MIEN, "score", str(source), "--detector", "none", "--part", "64",
                       "--engine", "ray", "--workers", str(workers), "--out", str(out)]  # fmt: skip
            seconds, _ = done(command)
            rates[workers] = pace(out)
            print(f"| {workers} | {seconds:.1f} | {rates[workers]:.0f} |", flush=True)
        print(f"| 2 to 1 | | **{rates[2] / rates[1]:.2f} times** |", flush=True)


def training(folder, faces, rounds):
    def rate(ranks):
        out = folder / f"run-{time.monotonic_ns()}"
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks),
                  "--master-port", str(20000 + time.time_ns() % 20000), "-m", "mien"]  # fmt: skip
        command = [*(launch if ranks > 1 else MIEN), "train", f"synthetic:{faces}", "--recipe",
                   "cnn4", "--epochs", "3", "--batch-size", "64", "--threads", "1", "--no-report",
                   "--out", str(out)]  # fmt: skip
        done(command, OMP_NUM_THREADS="1")
        with (out / "history.csv").open() as file:
            return [float(row["images_per_second"]) for row in csv.DictReader(file)]

    print("| ranks | images/s in each epoch | median |", "|---|---|---|", sep="\n")
    for number in range(rounds):
        medians = {}
        for ranks in (1, 2) if number % 2 == 0 else (2, 1):
            found = rate(ranks)
            medians[ranks] = median(found)
            each = ", ".join(f"{one:.0f}" for one in found)
            print(f"| {ranks} | {each} | {medians[ranks]:.0f} |", flush=True)
        print(f"| 2 to 1 | | **{medians[2] / medians[1]:.2f} times** |", flush=True)


def costing(folder, pictures, photographs):
    few, many = draw(folder / "few", FEW), draw(folder / "many", pictures)

    def used(source, detector):
        out = folder / f"out-{time.monotonic_ns()}"
        return done([*MIEN, "score", str(source), "--detector", detector, "--out", str(out)],
                    OMP_NUM_THREADS="1")[1]  # fmt: skip

    start = used(few, "none")
    each = (used(many, "none") - start) / (pictures - FEW)
    print(f"start {start - FEW * each:.2f} core-s; a crop {1000 * each:.2f} core-ms")
    if photographs:
        names = [p for p in sorted(photographs.iterdir()) if p.suffix in (".jpg", ".png")]
        for copies, place in ((1, folder / "one"), (4, folder / "four")):
            place.mkdir()
            for copy in range(copies):
                for name in names:
                    shutil.copy(name, place / f"{copy}-{name.name}")
        more = used(folder / "four", "haar") - used(folder / "one", "haar")
        print(f"a photograph {more / (3 * len(names)):.3f} core-s ({len(names)} of them, haar)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("score", "train", "cost"))
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--faces", type=int, default=1200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--photographs", type=Path, help="a folder of .jpg and .png")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.what == "score":
            scoring(folder, given.pictures, given.rounds)
        elif given.what == "train":
            training(folder, given.faces, given.rounds)
        else:
            costing(folder, given.pictures, given.photographs)


if __name__ == "__main__":
    main()
