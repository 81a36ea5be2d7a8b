"""Peak memory of ``mien train`` on a million drawn faces; 4 GiB is the promise.

One epoch of a narrow network, since memory and not accuracy is measured; the pictures alone are
2.15 GiB. Prints the ratio of the peak to the pictures.

    python bench/train_million.py [--faces 1000000]
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "mien", "train", f"synthetic:{args.faces}", "--epochs", "1",
             "--batch-size", "512", "--set", "model.widths=4,8,8,8", "--out", f"{folder}/run"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    pictures = args.faces * 48 * 48
    print(f"{args.faces:,} faces drawn, trained on and evaluated in {seconds:.0f} s")
    print(f"peak {peak / 2**30:.2f} GiB; pictures {pictures / 2**30:.2f} GiB; "
          f"ratio {peak / pictures:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
