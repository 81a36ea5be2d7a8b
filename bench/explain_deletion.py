"""Deletion curves, mien's against one forward pass a step and image, in one run.

The straightforward implementation takes one picture at a time: rank the pixels, fill in the next
ones, run the network on that one picture, softmax, note the probability, and on to the next step;
then the same for insertion. It is timed in two settings:

- usual: the published one, a row's worth of single pixels a step (Petsiuk et al. 2018), so as many
  steps as the picture has rows, in float32;
- same: mien's steps and patches, so that both do the same passes; in float32.

mien's runs in float32 (same passes, same numbers: the differences are printed) and in the precision
that it chooses on this processor, which is what 'mien trust' uses. All take turns, so that a noisy
machine slows all; the ratios of medians count, by the clock and by the processor's time, which
other programs disturb less. What bounds it is printed too: multiply-accumulates a second against
the machine's best matrix product.

    python bench/explain_deletion.py [MODEL] [--images 32] [--rounds 5] [--threads 2]
"""

import argparse
import statistics
import time

import numpy as np
import torch

from mien.data.synthetic import generate
from mien.explain.attribution import attribute
from mien.explain.trust.curves import CurveOptions, Prober, area, filled, patches
from mien.jobs.one_region import curve_precision
from mien.models.checkpoint import load_model
from mien.models.cnn4 import CNN4, CNN4Config
from mien.theory.walk import walk


def straightforward(network, image, fill, strength, target, where, steps):
    """Areas of deletion and insertion of one picture, a pass a step."""
    groups = where.max() + 1
    sums = np.bincount(where.ravel(), weights=np.abs(strength).ravel(), minlength=groups)
    order = np.argsort(-sums, kind="stable")
    counts = np.round(np.linspace(0, groups, steps + 1)).astype(int)
    areas = []
    for start, end in ((image, fill), (fill, image)):
        picture, chances = start.copy(), []
        for begin, count in zip([0, *counts[:-1]], counts, strict=True):
            changed = np.isin(where, order[begin:count])
            picture[:, changed] = end[:, changed]
            with torch.no_grad():
                logits = network(torch.from_numpy(picture)[None])
            chances.append(float(torch.softmax(logits, dim=1)[0, target]))
        areas.append(area(counts / groups, [chances])[0])
    return areas


def clock(run):
    start, used = time.perf_counter(), time.process_time()
    found = run()
    return time.perf_counter() - start, time.process_time() - used, found


def peak(dtype, side=2048, tries=8):
    """Best multiply-accumulates a second of a square matrix product."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    return side**3 / min(clock(lambda: torch.mm(a, b))[0] for _ in range(tries))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="a run or .safetensors; else an untrained cnn4")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    network = load_model(args.model).network if args.model else CNN4(CNN4Config()).eval()
    side = network.config.size
    images = generate(args.images, seed=0, size=side).images
    found = attribute(network, images, method="gradient")
    maps, targets, fills = found.maps, found.targets, filled(images)
    options = CurveOptions()
    pixels, coarse = (patches(side, side, p).reshape(side, side) for p in (1, options.patch))
    precision = curve_precision()

    def one_by_one(where, steps, count):
        return np.array([
            straightforward(network, images[n], fills[n], maps[n], targets[n], where, steps)
            for n in range(count)
        ])  # fmt: skip

    def ours(precision):
        made = CurveOptions(precision=precision)
        curves = Prober(network, images, targets, made, as_input=lambda x: x).curves(maps)
        return np.stack([curves.deletion_area, curves.insertion_area], axis=1)

    few = max(1, args.images // 8)  # a few are enough to time what does them one by one
    runs = {
        "usual": (few, lambda: one_by_one(pixels, side, few)),
        "same": (few, lambda: one_by_one(coarse, options.steps, few)),
        "mien fp32": (args.images, lambda: ours("fp32")),
        f"mien {precision}": (args.images, lambda: ours(precision)),
    }
    for _, run in runs.values():
        run()
    rates, costs = ({name: [] for name in runs} for _ in range(2))
    results, best = {}, []
    print("round" + "".join(f"{name:>12}" for name in runs) + "   images/s, both curves")
    for number in range(args.rounds):
        for name, (count, run) in runs.items():
            seconds, used, results[name] = clock(run)
            rates[name].append(count / seconds)
            costs[name].append(used / count)
        best.append(peak(torch.bfloat16 if precision == "bf16" else torch.float32))
        print(f"{number + 1:>5}" + "".join(f"{rates[name][-1]:>12.2f}" for name in runs))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    cost = {name: statistics.median(values) for name, values in costs.items()}
    mine = f"mien {precision}"
    print(f"median: {middle[mine] / middle['usual']:.1f} times the usual implementation, "
          f"{middle[mine] / middle['same']:.1f} times the same passes one by one "
          f"({middle['mien fp32'] / middle['same']:.1f} in fp32)")  # fmt: skip
    print(f"processor time: {cost['usual'] / cost[mine]:.1f} times the usual implementation, "
          f"{cost['same'] / cost[mine]:.1f} times the same passes one by one "
          f"({cost['same'] / cost['mien fp32']:.1f} in fp32)")  # fmt: skip
    show_differences(results, mine, few)
    passes = 2 * (options.steps - 1) + 2 / args.images
    macs = walk(network, torch.from_numpy(images[:1])).macs
    work, limit = middle[mine] * passes * macs, statistics.median(best)
    print(
        f"bound: {macs / 1e6:.0f} million multiply-accumulates a pass; mien does "
        f"{work / 1e9:.0f} of the {limit / 1e9:.0f} billion a second that a {precision} matrix "
        f"product reaches here ({work / limit:.0%}); at all of it, it would be "
        f"{middle[mine] / middle['same'] * limit / work:.1f} times the same passes one by one"
    )


def show_differences(results, mine, few):
    """How far the areas of the four lie apart."""
    for name, other in (("mien fp32", "same"), (mine, "same"), (mine, "usual")):
        apart = np.abs(results[name][:few] - results[other])
        bias = (results[name][:few] - results[other]).mean(axis=0)
        print(f"areas, {name} against {other}: mean distance {apart.mean():.4f}, largest "
              f"{apart.max():.4f}, mean difference {bias[0]:+.4f} (deletion) {bias[1]:+.4f} "
              "(insertion)")  # fmt: skip


if __name__ == "__main__":
    main()
