"""Peak memory and seconds of one search of a large picture, by ``--detector-size``.

    python bench/detector_memory.py [--yunet FILE] [--sizes 640 1280 2560 4096]

The picture, 4800×3600 of drawn leaves with noise, shows no face. Each search has a process of its
own; its peak is all of that process, Python, libraries and the picture included, which the first
column shows by itself. Prints a Markdown table.
"""

import argparse
import resource
import subprocess
import sys
import time

import cv2
import numpy as np

from mien.data import nonfaces
from mien.predict.faces import open_detector

PICTURE = (4800, 3600)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--yunet")
    parser.add_argument("--sizes", type=int, nargs="+", default=[640, 1280, 2560, 4096])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        search(given.one[0], int(given.one[1]), given.yunet)
        return
    print("| detector | size | MB without a search | MB at most | seconds |")
    print("|---|---|---|---|---|")
    for name in ["haar", *(["yunet"] if given.yunet else [])]:
        for size in given.sizes:
            one = [sys.executable, __file__, "--one", name, str(size)]
            more = ["--yunet", given.yunet] if given.yunet else []
            subprocess.run([*one, *more], check=True)


def search(name, size, yunet):
    picture = drawn()
    options = {"model_file": yunet} if name == "yunet" else {}
    detector = open_detector(name, working=size, **options)
    detector.detect(np.ascontiguousarray(picture[:300, :400]))
    before, start = megabytes(), time.perf_counter()
    detector.detect(picture)
    spent = time.perf_counter() - start
    print(f"| {name} | {size} | {before:.0f} | {megabytes():.0f} | {spent:.1f} |", flush=True)


def drawn():
    leaves = nonfaces.generate("leaves", 1, seed=1, size=1024)[0, 0, :768]
    large = cv2.resize(leaves, PICTURE).astype(np.int16)
    # In strips: what a search takes shall not hide in what making the picture took.
    rng = np.random.default_rng(0)
    for row in range(0, len(large), 100):
        strip = large[row : row + 100]
        strip += rng.normal(scale=6, size=strip.shape).round().astype(np.int16)
    np.clip(large, 0, 255, out=large)
    return np.repeat(large.astype(np.uint8)[..., None], 3, axis=2)


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
