"""Score many drawn pictures with 1, 2 and 4 Ray workers, two of them killed; compare every byte.

    python scripts/score_many.py --pictures 20003 --workers 1 2 4 --out docs/scale.md

Draws small pictures of noise, a few of them spoilt, scores them with a small untrained network (the
time is that of reading, decoding and bookkeeping, not of a large network), once with the engine
local and once for each number of workers with Ray. In each Ray run actors are killed (SIGKILL) as
parts appear. Every run must have every picture once, and the files of the first to the byte.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

BEGIN, END = "<!-- many: begin -->", "<!-- many: end -->"


def draw(folder, count):
    """``count`` pictures of 48×48, every 997th of them no picture; quick, so uncompressed."""
    dice = np.random.default_rng(11)
    for number in range(count):
        place = folder / f"{number // 1000:03d}" / f"{number:06d}.bmp"
        place.parent.mkdir(parents=True, exist_ok=True)
        if number % 997 == 500:
            place.write_bytes(b"no picture")
        else:
            Image.fromarray(dice.integers(0, 256, (48, 48), dtype=np.uint8)).save(place)


def small_model(folder):
    """An untrained network as ONNX."""
    import torch

    from mien.jobs.export import export
    from mien.labels import CLASSES
    from mien.models.checkpoint import Model, save_model
    from mien.models.cnn4 import CNN4Config
    from mien.models.registry import build

    torch.manual_seed(0)
    config = CNN4Config(widths=(4, 8, 8, 8), hidden=(16, 16))
    model = Model(network=build("cnn4", config).eval(), architecture="cnn4", config=config,
                  classes=CLASSES, about={})  # fmt: skip
    save_model(folder / "small.safetensors", model)
    export(folder / "small.safetensors", folder / "small.onnx")
    return folder / "small.onnx"


def actors(root):
    """The pids of Ray's workers that hold a model, among what ``root`` started."""
    parents, names = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            parents[int(place.name)] = int(fields[1])
            names[int(place.name)] = (place / "cmdline").read_bytes()
        except OSError:
            continue

    def below(pid):
        while pid in parents and pid != root:
            pid = parents[pid]
        return pid == root

    return sorted(pid for pid, name in names.items() if b"MapWorker" in name and below(pid))


def scored(command, out, kills, parts):
    """Seconds of one run in which ``kills`` actors are killed; how many were."""
    begun, killed = time.monotonic(), []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True)  # fmt: skip
    while process.poll() is None:
        there = len(list(out.glob("part-*"))) if out.exists() else 0
        if len(killed) < kills and there > (len(killed) + 1) * parts // (kills + 2):
            found = [pid for pid in actors(process.pid) if pid not in killed]
            if found:
                victim = found[len(killed) % len(found)]
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)
        time.sleep(0.02)
    told = process.communicate()[1]
    if process.returncode not in (0, 1):
        raise SystemExit(told)
    return time.monotonic() - begun, len(killed)


def contents(out):
    """Each part's name and the SHA-256 of its bytes."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.glob("part-*"))}  # fmt: skip


def once_each(out, count):
    """Whether every picture has its one row (detector none) and nothing else has."""
    from pyarrow import parquet

    paths = parquet.read_table(out, columns=["path"])["path"].to_pylist()
    wanted = [f"{number // 1000:03d}/{number:06d}.bmp" for number in range(count)]
    return paths == wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20003)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--kills", type=int, default=2, help="in each run with Ray")
    parser.add_argument("--part", type=int, default=512)
    parser.add_argument("--out", type=Path, help="a page whose table is replaced")
    given = parser.parse_args()
    rows, bad = [], False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "pictures", given.pictures)
        model = small_model(folder)
        base = [sys.executable, "-m", "mien", "score", str(folder / "pictures"), "--model",
                str(model), "--detector", "none", "--part", str(given.part)]  # fmt: skip
        seconds, _ = scored([*base, "--out", str(folder / "local")], folder / "local", 0, 0)
        wanted = contents(folder / "local")

        def judged(engine, killed, seconds, out):
            same, whole = contents(out) == wanted, once_each(out, given.pictures)
            rows.append(f"| {engine} | {killed} | {seconds:.0f} | {given.pictures / seconds:,.0f} "
                        f"| {'yes' if whole else 'NO'} | {'yes' if same else 'NO'} |")  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
            return same and whole

        bad |= not judged("local", 0, seconds, folder / "local")
        for workers in given.workers:
            for kills in sorted({0, given.kills}):
                out = folder / f"ray-{workers}-{kills}"
                command = [*base, "--engine", "ray", "--workers", str(workers), "--out", str(out)]
                seconds, killed = scored(command, out, kills, len(wanted))
                bad |= killed < kills or not judged(f"ray, {workers}", killed, seconds, out)
    table = "\n".join([
        f"{given.pictures:,} pictures in {len(wanted)} parts:", "",
        "| engine, workers | killed | seconds | pictures/s | every picture once, in order "
        "| same bytes as local |", "|---|---|---|---|---|---|", *rows,
    ])  # fmt: skip
    print(table)
    if given.out:
        page = given.out.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        text = f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"
        given.out.write_text(text, encoding="utf-8")
    sys.exit(bad)


if __name__ == "__main__":
    main()
