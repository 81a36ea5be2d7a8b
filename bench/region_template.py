"""The face-region template against the true regions of drawn faces, and over FER2013's mean face.

    python bench/region_template.py                           # the overlap, as a table
    python bench/region_template.py fer2013.zip docs/regions  # and docs/regions.png

Small poses: those of the faces whose turn, nod, tilt, shift and scale are all within
half of their ranges. A mean over thousands of faces is no person's picture.
"""

import sys
from pathlib import Path

import numpy as np

from mien.data.faces.chance import uniforms
from mien.data.faces.identity import NAMES, identity
from mien.data.sources import read
from mien.data.synthetic import _BLOBS, BLOCK, generate
from mien.explain.regions.overlap import overlap
from mien.explain.regions.template import REGIONS, from_masks, shifted, shifts, template

FACES, SEED = 16000, 11
POSE = {"yaw": 0.3, "pitch": 0.14, "roll": 0.1, "shift_x": 0.05, "shift_y": 0.04}


def poses(count: int, seed: int) -> dict[str, np.ndarray]:
    """The pose of each face that ``generate(count, seed=seed)`` draws."""
    blocks = range(-(-count // BLOCK))
    columns = len(NAMES) + 4 * _BLOBS
    chance = np.concatenate([uniforms((seed, b, 10), BLOCK, columns) for b in blocks])[:count]
    who = identity(chance[:, : len(NAMES)])
    return {name: who[name] for name in (*POSE, "scale")}


def main() -> None:
    if len(sys.argv) > 2:
        draw(sys.argv[1], Path(sys.argv[2]))
    faces = generate(FACES, seed=SEED, masks=True)
    assert faces.masks is not None
    regions = from_masks(faces.masks)
    posed = poses(FACES, SEED)
    small = np.abs(posed["scale"] - 1) <= 0.03
    for name, most in POSE.items():
        small &= np.abs(posed[name]) <= most / 2
    own = template(48, 48)
    for title, index in (("small poses", small), ("all poses", np.full(FACES, True))):
        print(f"\n{title}: {index.sum():,} drawn faces, 95 % bootstrap intervals")
        print(
            "| region | IoU | precision | recall | best shift of 4 px: IoU |\n|---|---|---|---|---|"
        )
        best = np.max([
            [one.iou.value for one in overlap(shifted(own, dy, dx), regions[index], replicates=2)]
            for dy, dx in shifts(4)
        ], axis=0)  # fmt: skip
        for one, moved in zip(overlap(own, regions[index]), best, strict=True):
            cells = (f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]"
                     for x in (one.iou, one.precision, one.recall))  # fmt: skip
            print(f"| {one.region} | {' | '.join(cells)} | {moved:.3f} |")


def draw(source: str, stem: Path) -> None:
    from mien.app.figures.regions import draw_template

    images = read(source)
    training = images.where("train")
    faces, labels = images.images[training, 0], images.labels[training]
    means = {name: faces[labels == k].mean(axis=0) for k, name in enumerate(images.classes)}
    svg, png = draw_template(faces.mean(axis=0), stem, classes=means, n=len(training))
    svg.unlink()  # a megabyte of pixels and outlines that the PNG shows as well
    print(png)
    print("pixels:", dict(zip(REGIONS, template(48, 48).sum(axis=(1, 2)).tolist(), strict=True)))


if __name__ == "__main__":
    main()
