"""mien's training step against the usual pipeline, for the same network, in one run.

The usual pipeline is what notebooks do: a Dataset that opens each picture as a PIL image, flips,
turns, shifts, scales and lights it one by one, a DataLoader with two workers, fp32, torch's
default memory format, SGD, ``loss.item()`` each step. mien's is its own Loop, step by step. Both
take turns, so that a noisy machine slows both; the ratio of medians is what counts.

It also prints which share of the machine's measured matrix-product peak mien's training reaches:
six times the multiply-accumulates of the forward pass are counted for a training image.

    python bench/train_throughput.py [--rounds 5] [--batches 12]
"""

import argparse
import itertools
import math
import random
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch.utils.data import DataLoader, Dataset

from mien.data.loader import Pictures
from mien.data.synthetic import generate
from mien.jobs.launch import launch
from mien.models.cnn4 import CNN4
from mien.runs import Run
from mien.train.loop import Loop
from mien.train.recipes import cnn4
from mien.train.task import Task


class UsualDataset(Dataset):
    """One picture at a time through PIL, as torchvision's transforms do it."""

    def __init__(self, images, labels, config):
        self.images, self.labels, self.config = images, labels, config

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, n):
        c = self.config
        image = Image.fromarray(self.images[n, 0])
        if random.random() < c.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        angle = math.radians(random.uniform(-c.rotation, c.rotation))
        zoom = math.exp(random.uniform(-c.scale, c.scale))
        side = image.size[0]
        dx, dy = (random.uniform(-c.shift, c.shift) * side for _ in range(2))
        cos, sin, half = math.cos(angle) * zoom, math.sin(angle) * zoom, side / 2
        matrix = (cos, -sin, half - half * cos + half * sin + dx,
                  sin, cos, half - half * sin - half * cos + dy)  # fmt: skip
        image = image.transform(
            image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
        contrast = math.exp(random.uniform(-c.contrast, c.contrast))
        image = ImageEnhance.Contrast(image).enhance(contrast)
        light = 1 + random.uniform(-c.brightness, c.brightness)
        image = ImageEnhance.Brightness(image).enhance(light)
        tensor = torch.from_numpy(np.asarray(image, dtype=np.float32))[None] / 255
        return (tensor - 0.5) / 0.25, int(self.labels[n])


def usual(faces, recipe, threads):
    """A generator that trains one batch each time it is asked."""
    torch.set_num_threads(threads)
    network = CNN4(recipe.model)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    data = UsualDataset(faces.images, faces.labels, recipe.augment)
    loader = DataLoader(data, batch_size=recipe.batch_size, shuffle=True, num_workers=2)
    total = 0.0
    while True:
        for images, labels in loader:
            network.train()
            optimizer.zero_grad()
            loss = criterion(network(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
            yield len(labels)


def ours(faces, recipe, folder):
    """The same with mien's loop, augmentation, averaged model and all."""
    fabric, hardware = launch("cpu", "auto", 0)
    pictures = Pictures.of(
        faces.images, faces.labels, np.arange(len(faces.labels)), torch.device("cpu")
    )
    task = Task(
        network=CNN4(recipe.model),
        training=pictures,
        validation=pictures.subset(torch.arange(256)),
        recipe=recipe,
        run=Run.create(folder),
    )
    loop = Loop(fabric, task)
    print(f"mien: {hardware.precision}, {hardware.threads} threads ({hardware.reason})")

    def batches():
        while True:
            loop.model.train()
            for batch in loop.sampler.batches(0):
                loop._step(batch)
                yield len(batch)

    return batches(), hardware


def peak(dtype, side=2048, tries=12):
    """Best floating-point operations a second of a square matrix product."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - start)
    return 2 * side**3 / min(times[2:])


def multiply_accumulates(config):
    """Of one picture's forward pass."""
    channels, side, total = (config.channels, *config.widths), config.size, 0
    for i, kernel in enumerate(config.kernels):
        total += side * side * channels[i] * channels[i + 1] * kernel**2
        side //= 2
    flat = config.widths[3] * (config.size // 16) ** 2
    widths = (flat, *config.hidden, config.classes)
    return total + sum(a * b for a, b in itertools.pairwise(widths))


def images_per_second(batches, number):
    """Over ``number`` batches."""
    start = time.perf_counter()
    images = sum(next(batches) for _ in range(number))
    return images / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=12)
    args = parser.parse_args()
    recipe = replace(cnn4(), train_sample=256)
    faces = generate(4000, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        mine, hardware = ours(faces, recipe, Path(folder) / "run")
        theirs = usual(faces, recipe, hardware.threads)
        images_per_second(mine, 3), images_per_second(theirs, 3)
        rows = [
            (images_per_second(theirs, args.batches), images_per_second(mine, args.batches),
             peak(torch.bfloat16 if hardware.precision == "bf16" else torch.float32))
            for _ in range(args.rounds)
        ]  # fmt: skip
    print(f"{'round':>5} {'usual':>9} {'mien':>9} {'ratio':>6}   images/s")
    for number, (a, b, _) in enumerate(rows, 1):
        print(f"{number:>5} {a:>9.0f} {b:>9.0f} {b / a:>6.1f}")
    a, b, best = (statistics.median(column) for column in zip(*rows, strict=True))
    work = 6 * multiply_accumulates(recipe.model) * b
    print(f"median: {b:.0f} against {a:.0f} images/s, {b / a:.1f} times")
    print(f"{hardware.precision} matrix-product peak {best / 1e9:.0f} GFLOP/s (median of rounds); "
          f"training does {work / 1e9:.0f} GFLOP/s, {work / best:.0%} of it")  # fmt: skip


if __name__ == "__main__":
    main()
