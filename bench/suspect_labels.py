"""How well confident learning finds labels that were flipped on purpose.

    python bench/suspect_labels.py runs/cnn4-0/predictions.parquet

Labels of the validation split are flipped to another class at random, five times for each rate.
The set is dirty before anything is flipped, and what confident learning finds of that counts here
as a mistake: precision is a lower bound. So it is stated twice: over all suspects, and without
those that were suspects before the flipping.
"""

import sys
from pathlib import Path

import numpy as np

from mien.evaluate.predictions import as_text, read_predictions
from mien.explain.pairs import suspects

ROUNDS = 5


def main() -> None:
    outputs = read_predictions(Path(sys.argv[1]))
    outputs = outputs.take((outputs.labels >= 0) & (as_text(outputs.splits) != "train"))
    shifted = outputs.logits.astype(np.float64) - outputs.logits.max(axis=1, keepdims=True)
    chances = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    N, K = chances.shape
    before = np.isin(np.arange(N), suspects(chances, outputs.labels).index)
    right = (chances.argmax(axis=1) == outputs.labels).mean()
    print(f"{N:,} images, accuracy {right:.1%}; {before.sum():,} suspect before any flip")
    print("| flipped | recall % | precision % | without earlier suspects % | among the n most "
          "suspect % |\n|---|---|---|---|---|")  # fmt: skip
    for rate in (0.05, 0.10):
        rows = []
        for seed in range(ROUNDS):
            rng = np.random.default_rng(seed)
            flipped = np.zeros(N, dtype=bool)
            flipped[rng.choice(N, size=round(rate * N), replace=False)] = True
            moved = (outputs.labels + rng.integers(1, K, size=N)) % K
            found = suspects(chances, np.where(flipped, moved, outputs.labels))
            hit = flipped[found.index]
            fresh = hit | ~before[found.index]
            n = int(flipped.sum())
            rows.append([hit.sum() / n, hit.mean(), hit.sum() / fresh.sum(), hit[:n].mean()])
        mean, spread = 100 * np.mean(rows, axis=0), 100 * np.std(rows, axis=0, ddof=1)
        cells = " | ".join(f"{m:.1f} ± {s:.1f}" for m, s in zip(mean, spread, strict=True))
        print(f"| {rate:.0%} ({n}) | {cells} |")


if __name__ == "__main__":
    main()
