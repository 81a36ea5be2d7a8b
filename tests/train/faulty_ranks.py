"""Runs on two ranks of which one is at fault; prints what each of them says and how it ends.

A program of its own for ``test_rank_faults.py``: ranks are forked, which a test's process that has
threads should not be.
"""

import contextlib
import errno
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import torch
from forked import start, wait
from rank_tolerance import without_normalisation
from torch import nn

import mien.jobs.train as job
from mien.data.augment import AugmentConfig
from mien.errors import MienError
from mien.jobs.prepare import DataOptions, read_source
from mien.jobs.train import Listeners, TrainOptions, resume, train
from mien.models.checkpoint import load_model
from mien.models.cnn4 import CNN4Config
from mien.train.recipes import demo

CONFIG = CNN4Config(
    size=24, widths=(2, 4, 4, 4), hidden=(8, 8), conv_dropout=(0.0,) * 4, linear_dropout=0.0
)
STILL = AugmentConfig(flip=0, rotation=0, shift=0, scale=0, contrast=0, brightness=0, erase=0)
RECIPE = replace(
    demo(), model=CONFIG, augment=STILL, batch_size=16, train_sample=20, epochs=2, seed=5
)
OPTIONS = TrainOptions(
    source="synthetic:80", data=DataOptions(size=24), threads=1, precision="fp32"
)
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Narrow(nn.Module):
    """Has memory for so many pictures, in training."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def forward(self, x):
        if self.training and len(x) > self.most:
            raise FULL
        return x


class Spoilt(nn.Module):
    """From the seventh batch on it gives no number."""

    seen = 0

    def forward(self, x):
        self.seen += self.training
        return x * float("nan") if self.seen >= 7 and self.training else x


def change_network(change):
    make = job.make_network

    def changed(*args):
        network = make(*args)
        without_normalisation(network)
        change(network)
        return network

    job.make_network = changed


def fill_disk():
    write = os.write

    def full(handle, data):
        if "step-000000003" in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data)

    os.write = full


def put(part):
    return lambda network: setattr(network.features[2], "dropout", part)


def fault(name, rank):
    """Prepare this process for a fault; which rank has it is part of the fault."""
    guilty = {"disk": 0}.get(name, 1) == rank
    if name == "disk" and guilty:
        fill_disk()
    part = {"memory": Narrow(5), "narrower": Narrow(5), "narrow": Narrow(1), "nan": Spoilt()}.get(
        name
    )
    change_network(put(part) if part and guilty else lambda network: None)


def attempt(name, folder, stop=0, go_on=False):
    """One process's part of a run called ``name``; leaves a note of how it went."""
    rank = int(os.environ.get("RANK", "0"))
    told, left = [], [stop]

    def stopping():
        left[0] -= 1
        return left[0] == 0

    fault(name, rank)
    ears = Listeners(told=told.append, stop=stopping)
    said = ""
    try:
        if go_on:
            resume(folder / name, save_seconds=0, listeners=ears)
        else:
            train(OPTIONS, out=folder / name, recipe=RECIPE, save_seconds=0, listeners=ears)
    except MienError as error:
        said = f"{type(error).__name__}: {error}"
    note = folder / f"{name}.jsonl"
    with note.open("a") as file:
        ranks = int(os.environ.get("WORLD_SIZE", "1"))
        file.write(json.dumps({"rank": rank, "ranks": ranks, "said": said, "told": told}) + "\n")


def pieces(folder):
    found = load_model(folder / "model.safetensors").about
    return found.get("batches_in_pieces", 1)


def main(folder):
    with contextlib.redirect_stdout(sys.stderr):
        read_source(OPTIONS.source, OPTIONS.data)  # fills the cache
        for name in ("whole", "memory", "disk", "nan", "narrow"):
            wait(start(lambda name=name: attempt(name, folder), 2))
        # Two ranks, then one, then two again.
        for ranks, stop, go_on in ((2, 3, False), (1, 2, True), (2, 0, True)):
            how = {"stop": stop, "go_on": go_on}
            wait(start(lambda how=how: attempt("narrower", folder, **how), ranks))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
