"""How far losses differ between 1, 2 and 4 ranks on the same batches, and what makes them differ.

    python scripts/rank_tolerance.py

Trains the same small network on the same drawn faces with 1, 2 and 4 processes of this machine
(DDP over gloo, fp32), with augmentation, mixup and cutmix, three times: without batch normalisation
and dropout; with normalisation, which on a processor measures each rank's part of a batch; and with
both. Printed is the largest relative difference from one rank, over the epochs, of the loss that is
minimised, and of the losses on training and validation pictures.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

# Before anything of mien's or torch's runs: a child must not inherit a pool of threads.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from forked import start, wait
from torch import nn

from mien.data.augment import AugmentConfig
from mien.data.loader import Pictures
from mien.data.mixing import MixConfig
from mien.jobs.launch import launch
from mien.jobs.prepare import DataOptions, read_source
from mien.models.cnn4 import CNN4Config
from mien.models.registry import build
from mien.runs import Run
from mien.train.loop import Loop
from mien.train.recipes import demo
from mien.train.task import Task

VARIANTS = ("neither", "normalised", "with dropout")
LOSSES = ("running_loss", "train_loss", "validation_loss")


def recipe(variant, epochs, batch):
    dropout = {"conv_dropout": (0.1,) * 4, "linear_dropout": 0.2}
    if variant != "with dropout":
        dropout = {"conv_dropout": (0.0,) * 4, "linear_dropout": 0.0}
    model = CNN4Config(size=24, widths=(8, 8, 16, 16), hidden=(16, 16), **dropout)
    return replace(
        demo(), model=model, batch_size=batch, train_sample=64, epochs=epochs, seed=3,
        augment=AugmentConfig(erase=0.3), mixing=MixConfig(mixup=0.4, cutmix=0.4),
    )  # fmt: skip


def without_normalisation(network):
    for name, part in list(network.named_children()):
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            setattr(network, name, nn.Identity())
        else:
            without_normalisation(part)
    return network


def train(images, variant, wanted, folder):
    """One rank's part of one run; the first one writes the losses."""
    fabric, _ = launch("cpu", "fp32", 1)
    torch.manual_seed(wanted.seed)
    network = build(wanted.architecture, wanted.model)
    if variant == "neither":
        network = without_normalisation(network)
    pictures = [
        Pictures.of(images.images, images.labels, images.where(split), fabric.device)
        for split in ("train", "validation")
    ]
    task = Task(network=network, training=pictures[0], validation=pictures[1], recipe=wanted,
                run=Run(folder), save_seconds=1e9)  # fmt: skip
    loop = Loop(fabric, task)
    loop.run()
    if fabric.is_global_zero:
        rows = [{name: asdict(row)[name] for name in LOSSES} for row in loop.at.rows]
        (folder / "losses.json").write_text(json.dumps(rows))


def measured(images, variant, ranks, wanted, parent):
    folder = parent / f"{variant}-{ranks}"
    (folder / "state").mkdir(parents=True)
    if any(wait(start(lambda: train(images, variant, wanted, folder), ranks))):
        raise SystemExit(f"{variant} on {ranks} ranks failed: see above")
    return json.loads((folder / "losses.json").read_text())


def difference(rows, others, name):
    """The largest relative difference of a loss over the epochs."""
    pairs = zip(rows, others, strict=True)
    return max(abs(one[name] - other[name]) / abs(one[name]) for one, other in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64, help="over all ranks together")
    parser.add_argument("--ranks", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        os.environ["MIEN_CACHE"] = f"{folder}/cache"
        images = read_source(f"synthetic:{given.faces}", DataOptions(size=24))
        for variant in VARIANTS:
            wanted = recipe(variant, given.epochs, given.batch)
            one = measured(images, variant, 1, wanted, Path(folder))
            for ranks in given.ranks:
                other = measured(images, variant, ranks, wanted, Path(folder))
                row = {name: difference(one, other, name) for name in LOSSES}
                found.append({"variant": variant, "ranks": ranks, **row})
    if given.json:
        print(json.dumps(found))
        return
    print("| network | ranks | loss minimised | on training pictures | on validation pictures |")
    print("|---|---|---|---|---|")
    for row in found:
        print(f"| {row['variant']} | {row['ranks']} | "
              + " | ".join(f"{row[name]:.1e}" for name in LOSSES) + " |")  # fmt: skip


if __name__ == "__main__":
    main()
