"""Kill a small training again and again; every run must end with the bits of an undisturbed one.

    python scripts/kill_training.py --kills 200 --inside 50 --out docs/results/faults.md

Each run trains on drawn faces and is killed (SIGKILL) several times, from outside after a random
time or by itself at a named place inside a save, and resumed after each; the last life is left to
finish. Then the model file, all tensors of the last state (weights, average, optimizer) and the
history without its times must be sha256-identical to those of the undisturbed run. A process that
has torch loaded forks the children of a life, so a life costs no start of Python.

With --ranks 2 the runs train with DDP, and one of the two processes is killed: by itself inside a
save, which is the first rank's, or either of them at any time. The other must end by itself.

SIGKILL ends a process, not the machine: that data reached the disk before a rename (``fsync``)
cannot be seen this way.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

# Before anything of mien's or torch's runs: a child must not inherit a pool of threads.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from forked import LOST, start, wait

from mien.jobs.draw import draw_archive
from mien.jobs.prepare import DataOptions, read_source
from mien.jobs.train import TrainOptions, resume, train
from mien.models.checkpoint import unpack
from mien.models.cnn4 import CNN4Config
from mien.runs import Run
from mien.train.history import read_history
from mien.train.recipes import demo

PLACES = ("opened", "half written", "written", "synced", "renamed", "old ones gone")
TIMES = ("seconds", "images_per_second")
BEGIN, END = "<!-- kills: begin -->", "<!-- kills: end -->"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained. faces: a source of drawn faces, in the cache before the first life."""

    faces: str
    epochs: int = 3
    ranks: int = 1

    def recipe(self):
        model = CNN4Config(size=24, widths=(2, 4, 4, 4), hidden=(8, 8))
        return replace(
            demo(), model=model, batch_size=8, train_sample=20, epochs=self.epochs, seed=5
        )

    def options(self):
        return TrainOptions(source=self.faces, data=DataOptions(size=24), threads=1)


@dataclass(kw_only=True)
class Tally:
    """What was done and seen."""

    kills: Counter = field(default_factory=Counter)
    runs: int = 0
    identical: int = 0
    resumes: int = 0
    differences: list = field(default_factory=list)
    others: Counter = field(default_factory=Counter)
    ranks: int = 1


def live(plan, out):
    """One life of a run, in this process: begin it or go on with it."""
    if (out / "run.json").exists():
        resume(out, save_seconds=0)
    else:
        train(plan.options(), out=out, recipe=plan.recipe(), save_seconds=0)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_inside_a_save(place, number):
    """In this process: be killed at ``place`` of the ``number``-th file written under state/."""
    left = [number]
    handles = set()
    write, sync, opened = os.write, os.fsync, tempfile.mkstemp
    rename, unlink = Path.replace, Path.unlink

    def mkstemp(*args, **named):
        handle, name = opened(*args, **named)
        if "/state/" in name:
            left[0] -= 1
            if left[0] == 0:
                handles.add(handle)
                if place == "opened":
                    die()
        return handle, name

    def half_write(handle, data):
        if handle in handles and place == "half written":
            write(handle, bytes(data)[: len(data) // 2])
            die()
        return write(handle, data)

    def fsync(handle):
        if handle in handles and place == "written":
            die()
        sync(handle)
        if handle in handles and place == "synced":
            die()

    def replaced(self, target):
        result = rename(self, target)
        if handles and place == "renamed":
            die()
        return result

    def unlinked(self, missing_ok=False):
        unlink(self, missing_ok=missing_ok)
        if handles and place == "old ones gone" and self.suffix == ".safetensors":
            die()

    tempfile.mkstemp, os.write, os.fsync = mkstemp, half_write, fsync
    Path.replace, Path.unlink = replaced, unlinked


def killed_life(plan, out, dice, place, life_seconds, others):
    """One life that is killed at ``place``, or after a time; whether it was hit.

    others: counts how the ranks ended that were not killed.
    """
    victim = 0
    if place is not None:
        number = dice.randint(3 if place == "old ones gone" else 1, 8)

        def action():
            die_inside_a_save(place, number)
            live(plan, out)

        codes = wait(start(action, plan.ranks))
    else:
        victim = dice.randrange(plan.ranks)
        pids = start(lambda: live(plan, out), plan.ranks)
        time.sleep(dice.uniform(0.0, life_seconds))
        os.kill(pids[victim], signal.SIGKILL)  # one that has ended is ours until it is waited for
        codes = wait(pids)
    hit = codes.pop(victim) == -signal.SIGKILL
    allowed = (0, LOST, -signal.SIGKILL) if hit else (0,)
    if any(code not in allowed for code in codes):
        raise SystemExit(f"a life of {out} ended with {codes}: see above")
    if hit:
        names = {0: "had ended", LOST: "told and ended", -signal.SIGKILL: "still waited to begin"}
        others.update(names[code] for code in codes)
    return hit


def campaign(plan, folder, *, kills, inside, seed, each=4, told=lambda tally: None):
    """Kill runs until ``kills`` have hit, at least ``inside`` of them in a save."""
    dice, tally = random.Random(seed), Tally(ranks=plan.ranks)
    begun = time.monotonic()
    if any(wait(start(lambda: live(plan, folder / "whole"), plan.ranks))):
        raise SystemExit("the undisturbed run failed: see above")
    seconds = time.monotonic() - begun
    wanted = digest(folder / "whole")
    while sum(tally.kills.values()) < kills:
        out = folder / f"run-{tally.runs}"
        for _ in range(each):
            left = kills - sum(tally.kills.values())
            hit_inside = sum(tally.kills[p] for p in PLACES)
            if left == 0:
                break
            must = inside - hit_inside >= left
            place = (
                PLACES[hit_inside % len(PLACES)] if must or dice.random() < inside / kills else None
            )
            if killed_life(plan, out, dice, place, seconds, tally.others):
                tally.kills[place or "any time"] += 1
                tally.resumes += (out / "run.json").exists()
        if any(wait(start(lambda out=out: live(plan, out), plan.ranks))):
            raise SystemExit(f"{out} could not be ended: see above")
        tally.runs += 1
        found = digest(out)
        tally.identical += found == wanted
        tally.differences += [k for k in wanted if found[k] != wanted[k]]
        told(tally)
    return tally


def digest(out):
    """SHA-256 of what must be equal: model file, each state tensor, position and history."""
    run = Run.open(out)
    newest = max(run.state.glob("step-*.safetensors"))
    tensors, meta = unpack(newest, "state")
    parts = {"model": hashlib.sha256(run.model.read_bytes()).hexdigest()}
    for kind in ("model", "average", "optimizer"):
        sha = hashlib.sha256(newest.name.encode())
        for name in sorted(name for name in tensors if name.startswith(f"{kind}.")):
            sha.update(name.encode() + tensors[name].numpy().tobytes())
        parts[f"state: {kind}"] = sha.hexdigest()
    rows = [asdict(row) for row in read_history(run.history)]
    position = {**meta["position"], "step_seconds": 0, "seconds": 0}
    for row in (*rows, *position["rows"]):
        for name in TIMES:
            del row[name]
    parts["history"] = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    parts["position"] = hashlib.sha256(json.dumps(position).encode()).hexdigest()
    leftovers = [path.name for path in out.rglob("*.tmp")]
    parts["nothing left over"] = str(leftovers)
    return parts


def table(tally, seconds):
    """The result in Markdown."""
    inside = sum(tally.kills[place] for place in PLACES)
    rows = [f"| {place} | {tally.kills[place]} |" for place in (*PLACES, "any time")]
    ranks = "one rank" if tally.ranks == 1 else f"{tally.ranks} ranks"
    same = "yes" if tally.identical == tally.runs else "no: " + ", ".join(set(tally.differences))
    return "\n".join(
        [
            f"{sum(tally.kills.values())} SIGKILLs in {tally.runs} runs ({ranks}), {inside} of "
            f"them inside a save; {tally.resumes} resumes, {tally.identical} of {tally.runs} runs "
            f"ended sha256-identical in model, optimizer state and history: **{same}**. "
            f"It took {seconds:.0f} s.",
            "",
            "| where it was killed: in a save of a state, temporary file … | kills |",
            "|---|---|",
            *rows,
            *[f"| the other rank {what} | {n} |" for what, n in sorted(tally.others.items())],
        ]
    )


def write_between(path, text):
    """Put ``text`` between the marks in ``path``."""
    page = path.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--inside", type=int, default=50, help="at least so many inside a save")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faces", type=int, default=100, help="how many are drawn")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=1, choices=(1, 2))
    parser.add_argument("--out", type=Path, help="a page whose table is replaced")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.monotonic()

    def told(tally):
        if not given.json:
            done = sum(tally.kills.values())
            print(f"{done} kills, {tally.runs} runs, {tally.identical} identical", file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        os.environ["MIEN_CACHE"] = f"{folder}/cache"
        draw_archive(Path(folder) / "faces.zip", given.faces, seed=1)
        plan = Plan(faces=f"{folder}/faces.zip", epochs=given.epochs, ranks=given.ranks)
        read_source(plan.faces, plan.options().data)  # fills the cache
        tally = campaign(
            plan, Path(folder), kills=given.kills, inside=given.inside, seed=given.seed, told=told
        )
    if given.json:
        print(json.dumps(vars(tally)))
    else:
        print(table(tally, time.monotonic() - begun))
    if given.out:
        write_between(given.out, table(tally, time.monotonic() - begun))
    sys.exit(tally.identical != tally.runs)


if __name__ == "__main__":
    main()
