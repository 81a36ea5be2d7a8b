"""A training step with convolutions of small maps as matrix products, against torch's own.

The same network, loss and optimizer in mien's own Loop, step by step in turns, so that a noisy
machine slows both; the ratio of medians is what counts. Also with the allocator left as it is,
which is set for the whole process and so is measured in processes of its own.

    python bench/small_maps.py [--recipes cnn4 tiny residual wide] [--rounds 5] [--steps 8]
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from mien.data.loader import Pictures
from mien.data.synthetic import generate
from mien.jobs import launch as launching
from mien.models.registry import build
from mien.runs import Run
from mien.train import loop as looping
from mien.train.loop import Loop
from mien.train.recipes import recipe
from mien.train.small_maps import small_maps
from mien.train.task import Task


def steps_of(name, folder):
    """A generator that trains one batch each time it is asked, and gives its number of images."""
    fabric, _ = launching.launch("cpu", "auto", 0)
    chosen = replace(recipe(name), train_sample=256)
    faces = generate(2000, seed=0)
    pictures = Pictures.of(
        faces.images, faces.labels, np.arange(len(faces.labels)), torch.device("cpu")
    )
    task = Task(
        network=build(chosen.architecture, chosen.model),
        training=pictures,
        validation=pictures.subset(torch.arange(256)),
        recipe=chosen,
        run=Run.create(folder),
    )
    loop = Loop(fabric, task)
    loop.model.train()
    while True:
        for batch in loop.sampler.batches(0):
            loop._step(batch)
            yield len(batch)


def rate(steps, number):
    """Images a second over ``number`` steps."""
    start = time.perf_counter()
    images = sum(next(steps) for _ in range(number))
    return images / (time.perf_counter() - start)


def compare(name, rounds, steps):
    """Medians of images a second: torch's convolutions, and products."""
    with tempfile.TemporaryDirectory() as folder:
        training = steps_of(name, Path(folder) / "run")
        rows = []
        for _ in range(rounds + 1):
            pair = []
            for maps in (contextlib.nullcontext, small_maps):
                with mock.patch.object(looping, "fast_maps", maps):
                    pair.append(rate(training, steps))
            rows.append(pair)
    return [statistics.median(column) for column in zip(*rows[1:], strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=["cnn4", "tiny", "residual", "wide"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--allocator", choices=["kept", "left"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.allocator:
        if given.allocator == "left":
            launching.keep_freed_memory = lambda: False
        print(*compare(given.recipes[0], given.rounds, given.steps))
        return
    print("| recipe | as it was | memory kept | products | both | ratio |")
    print("|---|---|---|---|---|---|")
    for name in given.recipes:
        left, kept = (
            [float(number) for number in subprocess.run(
                [sys.executable, __file__, "--recipes", name, "--rounds", str(given.rounds),
                 "--steps", str(given.steps), "--allocator", word],
                check=True, capture_output=True, text=True).stdout.split()]
            for word in ("left", "kept")
        )  # fmt: skip
        print(f"| `{name}` | {left[0]:,.0f} | {kept[0]:,.0f} | {left[1]:,.0f} | {kept[1]:,.0f} "
              f"| {kept[1] / left[0]:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
