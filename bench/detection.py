"""Which faces are found, what else is taken for one, and whether the crops fit the network.

    python bench/detection.py MODEL FER2013.zip [--photographs FOLDER] [--yunet FILE] [--faces 60]

1. Recall and false faces against size, tilt, blur and light: PublicTest faces pasted with soft
   edges into pictures of 320×240 that mien draws (leaves, noise, cells, bricks, text …).
2. False faces in photographs of FOLDER that show none.
3. Accuracy on the crops of found faces against the same faces' own 48×48 images, paired: cut from
   the picture, where the background begins at the face's edge; and the same squares cut from the
   face's own image, whose edge is repeated, as it is where training moves a picture.
4. Faces found in pictures of 640×480, not judged by the network, and milliseconds a picture; with
   YuNet also at twice the usual size.

A face is found where a box lies within 0.3 of its side and 0.55 to 1.6 of its size. "Kept" counts
only what the network's not-a-face score lets through, as the pipeline does. All from the odd half
of PublicTest: the geometry of the boxes was chosen on the even half.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from mien.data import nonfaces
from mien.evaluate.intervals import wilson
from mien.jobs.prepare import DataOptions, read_source
from mien.predict.classifier import open_classifier
from mien.predict.faces import open_detector
from mien.predict.pipeline import Predictor
from mien.types import Box, Detection, Face
from mien.words import percent

SMALL, LARGE = (320, 240), (640, 480)
KINDS = ("leaves", "blurred noise", "pink noise", "cells", "blobs", "stripes", "bricks", "text")
_WITH_FACES = ("astronaut", "camera", "coins", "lfw", "phantom")


class OpenCVAlone:
    """What most programs do: one frontal cascade with OpenCV's usual settings."""

    name = "default cascade alone"
    sure = 0.0

    def __init__(self) -> None:
        self._cascade = cv2.CascadeClassifier(
            cv2.data.haarcascades + "haarcascade_frontalface_default.xml"
        )

    def detect(self, picture: np.ndarray) -> list[Detection]:
        """See ``Detector.detect``."""
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        found = self._cascade.detectMultiScale(grey, 1.1, 3, minSize=(24, 24))
        return [Detection(box=Box(left=x, top=y, width=w, height=h), score=1.0)
                for x, y, w, h in found]  # fmt: skip


@dataclass
class Count:
    """Of one detector under one condition."""

    found: int = 0
    kept: int = 0
    false: int = 0
    false_kept: int = 0
    pictures: int = 0
    pairs: list[tuple[int, Face, Box]] = field(default_factory=list)


def background(number: int, width: int, height: int) -> np.ndarray:
    kind = KINDS[number % len(KINDS)]
    return nonfaces.generate(kind, 1, seed=7000 + number, size=width)[0, 0, :height]


def pasted(under: np.ndarray, face: np.ndarray, side: int, tilt: float, rng) -> tuple:
    """The face on the background, tilted clockwise, with soft edges; and its middle."""
    size, room = under.shape[::-1], side * (0.72 if tilt else 0.55)
    x, y = (rng.uniform(min(room, n / 2), max(n - room, n / 2)) for n in size)
    how = cv2.INTER_CUBIC if side > face.shape[0] else cv2.INTER_AREA
    large = cv2.resize(face, (side, side), interpolation=how).astype(np.float32)
    edge = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    soft = np.clip(edge / max(1.0, 0.08 * side), 0, 1).astype(np.float32)
    there = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), -tilt, 1.0)
    there[:, 2] += (x - side / 2, y - side / 2)
    shown = cv2.warpAffine(large, there, size, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(np.minimum.outer(soft, soft), there, size)
    return under * (1 - mask) + shown * mask, x, y


def _shade(picture: np.ndarray) -> np.ndarray:
    return picture * np.linspace(0.15, 1.3, picture.shape[1], dtype=np.float32)


def _dark(picture: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(3).normal(scale=3, size=picture.shape)
    return picture * 0.12 + noise


DARK, FLAT = "dark (an eighth) with noise", "flat (contrast a quarter)"
LIGHTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    DARK: _dark,
    "overexposed (1.8 times)": lambda picture: picture * 1.8,
    FLAT: lambda picture: picture * 0.25 + 96,
    "light from one side": _shade,
}


def conditions() -> list[tuple[str, dict]]:
    """Name and what differs from a face of 80 pixels, upright, sharp, in even light."""
    rows = [(f"size {side}", {"side": side}) for side in (20, 24, 32, 48, 80, 140, 220)]
    rows += [(f"tilt {tilt}°", {"tilt": tilt}) for tilt in (-30, -15, 15, 30, 45)]
    rows += [(f"blur {part:g} % of the side", {"blur": part}) for part in (2, 4, 8)]
    return rows + [(name, {"light": light}) for name, light in LIGHTS.items()]


def make(face, number, rng, *, size=SMALL, side=80, tilt=0.0, blur=0.0, light=None) -> tuple:
    picture, x, y = pasted(background(number, *size), face, side, tilt, rng)
    if blur:
        picture = cv2.GaussianBlur(picture, (0, 0), blur / 100 * side)
    if light:
        picture = light(picture)
    grey = np.clip(np.round(picture), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2), x, y, side


def fits(box: Box, x: float, y: float, side: float) -> bool:
    away = max(abs(box.left + box.width / 2 - x), abs(box.top + box.height / 2 - y))
    return away < 0.3 * side and 0.55 < box.width / side < 1.6


def within(box: Box, x: float, y: float, side: float, own: int) -> Box:
    """The box in the pixels of the face's own image, which was pasted around x, y."""
    part = own / side
    return replace(box, left=(box.left - x + side / 2) * part, top=(box.top - y + side / 2) * part,
                   width=box.width * part, height=box.height * part)  # fmt: skip


def run(predictor, faces, chosen, seed, **how) -> Count:
    rng, count = np.random.default_rng(seed), Count()
    for number, index in enumerate(chosen):
        picture, x, y, side = make(faces[index], number, rng, **how)
        found = predictor.predict(picture, keep_others=True)
        right = [face for face in found if fits(face.box, x, y, side)]
        kept = [face for face in right if not face.not_a_face]
        wrong = [face for face in found if not fits(face.box, x, y, side)]
        count.found += bool(right)
        count.kept += bool(kept)
        count.false += len(wrong)
        count.false_kept += sum(not face.not_a_face for face in wrong)
        count.pictures += 1
        if right:
            best = max(right, key=lambda face: face.score)
            count.pairs.append((index, best, within(best.box, x, y, side, faces.shape[-1])))
    return count


def recall(predictors, faces, number) -> None:
    for name, predictor in predictors.items():
        print(f"\n**{name}**, {number} faces a row\n")
        print("| condition | found, % | kept, % | false a picture | of these kept |")
        print("|---|---|---|---|---|")
        total = Count()
        for seed, (condition, how) in enumerate(conditions()):
            chosen = np.random.default_rng(seed).choice(len(faces), number, replace=False)
            count = run(predictor, faces, chosen, seed, **how)
            total.false += count.false
            total.false_kept += count.false_kept
            total.pictures += count.pictures
            found, kept = (percent(wilson(k, number)) for k in (count.found, count.kept))
            print(f"| {condition} | {found} | {kept} | {count.false / number:.2f} "
                  f"| {count.false_kept / number:.2f} |", flush=True)  # fmt: skip
        refused = wilson(total.false - total.false_kept, max(1, total.false))
        print(f"\nfalse faces: {total.false} in {total.pictures} pictures, "
              f"{percent(refused)} refused, {total.false_kept} kept")  # fmt: skip


def photographs(predictors, folder: Path) -> None:
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")
             and not path.stem.startswith(_WITH_FACES)]  # fmt: skip
    print(f"\n**{len(paths)} photographs without a face**\n")
    print("| detector | false faces | refused, % | kept | pictures with one kept, % |")
    print("|---|---|---|---|---|")
    for name, predictor in predictors.items():
        found = [predictor.predict(path, keep_others=True) for path in paths]
        total = sum(map(len, found))
        kept = [sum(not face.not_a_face for face in faces) for faces in found]
        refused = percent(wilson(total - sum(kept), total)) if total else "-"
        share = percent(wilson(sum(map(bool, kept)), len(kept)))
        print(f"| {name} | {total} | {refused} | {sum(kept)} | {share} |", flush=True)


def fit_of_crops(predictors, faces, labels, number) -> None:
    print("\n**crops of found faces against the faces' own images**\n")
    print("| detector | found | own image, % | crop, % | difference, points | same answer, % "
          "| crop of the own image, % | difference, points |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name, predictor in predictors.items():
        pairs = []
        for part, side in enumerate((56, 80, 120)):
            some = np.random.default_rng(50 + part).choice(len(faces), number, replace=False)
            pairs += run(predictor, faces, some, 50 + part, side=side).pairs
        index = np.array([n for n, *_ in pairs])
        classes = predictor.classifier.classes
        whole = Predictor(predictor.classifier, open_detector("none"), views=predictor.views)
        own = np.array([classes.index(one[0].label) for one in whole.predict(list(faces[index]))])
        cut = np.array([classes.index(face.label) for _, face, _ in pairs])
        alone = [predictor.faces_at([np.repeat(faces[n][:, :, None], 3, axis=2)], [[box]])[0][0]
                 for n, _, box in pairs]  # fmt: skip
        still = np.array([classes.index(face.label) for face in alone])
        right, crop, other = (said == labels[index] for said in (own, cut, still))
        print(f"| {name} | {len(pairs)} of {3 * number} | {100 * right.mean():.1f} "
              f"| {100 * crop.mean():.1f} | {apart(crop, right)} | {100 * (own == cut).mean():.0f} "
              f"| {100 * other.mean():.1f} | {apart(other, right)} |", flush=True)  # fmt: skip


def in_larger_pictures(detectors, faces, number) -> None:
    print(f"\n**pictures of {LARGE[0]}×{LARGE[1]}**, {number} faces a row, found, %\n")
    print(f"| condition | {' | '.join(detectors)} |")
    print("|---" * (1 + len(detectors)) + "|")
    false, spent, pictures = (dict.fromkeys(detectors, 0.0) for _ in range(3))
    rows = [(f"size {side}", {"side": side}) for side in (24, 32, 48, 64, 80, 140, 300, 420)]
    rows += [(f"tilt {tilt}°", {"tilt": tilt}) for tilt in (-30, 30)]
    rows += [(name, {"light": LIGHTS[name]}) for name in (DARK, FLAT)]
    for seed, (condition, how) in enumerate(rows):
        cells = []
        for name, detector in detectors.items():
            rng, found = np.random.default_rng(100 + seed), 0
            chosen = rng.choice(len(faces), number, replace=False)
            for n, index in enumerate(chosen):
                picture, *place = make(faces[index], n, rng, size=LARGE, **how)
                start = time.perf_counter()
                boxes = [one.box for one in detector.detect(picture)]
                spent[name] += time.perf_counter() - start
                right = [fits(box, *place) for box in boxes]
                found += any(right)
                false[name] += len(right) - sum(right)
                pictures[name] += 1
            cells.append(percent(wilson(found, number)))
        print(f"| {condition} | {' | '.join(cells)} |", flush=True)
    print(f"| false faces | {' | '.join(f'{false[name]:.0f}' for name in detectors)} |")
    times = (f"{1000 * spent[name] / pictures[name]:.0f}" for name in detectors)
    print(f"| milliseconds a picture | {' | '.join(times)} |")


def apart(mine: np.ndarray, theirs: np.ndarray) -> str:
    """Mean difference of two paired yes and no, in points, with a 95 % interval."""
    off = 100 * (mine.astype(int) - theirs)
    half = 1.96 * off.std() / len(off) ** 0.5
    return f"{off.mean():+.1f} [{off.mean() - half:+.1f}, {off.mean() + half:+.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("source")
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--yunet")
    parser.add_argument("--faces", type=int, default=60)
    parser.add_argument("--parts", default="1234")
    parser.add_argument("--detectors", default="all", help="such as haar, or haar,yunet")
    parser.add_argument("--views", type=int, default=10, help="looks at each face: 1, 2 or 10")
    parser.add_argument("--half", choices=["odd", "even"], default="odd", help="of PublicTest")
    parser.add_argument("--threads", type=int, help="1 where the machine has other work to do")
    args = parser.parse_args()
    if args.threads:
        cv2.setNumThreads(args.threads)
    model = Path(args.model) if Path(args.model).exists() else args.model
    classifier = open_classifier(model, threads=args.threads)
    images = read_source(args.source, DataOptions(size=classifier.size))
    half = images.where("validation")[args.half == "odd" :: 2]
    faces, labels = images.images[half, 0], images.labels[half]
    detectors = {
        "haar": open_detector("haar"),
        "haar, quick": open_detector("haar", quick=True),
        OpenCVAlone.name: OpenCVAlone(),
    }
    if args.yunet:
        detectors["yunet"] = open_detector("yunet", model_file=args.yunet)
    wanted = detectors if args.detectors == "all" else args.detectors.split(",")
    predictors = {name: Predictor(classifier, detectors[name], views=args.views) for name in wanted}
    if "1" in args.parts:
        recall(predictors, faces, args.faces)
    if "2" in args.parts and args.photographs:
        photographs(predictors, args.photographs)
    if "3" in args.parts:
        fit_of_crops(predictors, faces, labels, 4 * args.faces)
    if "4" in args.parts:
        searched = {name: detectors[name] for name in wanted}
        if "yunet" in searched:
            searched["yunet, at 1280"] = open_detector("yunet", model_file=args.yunet, working=1280)
        in_larger_pictures(searched, faces, args.faces * 2 // 3)


if __name__ == "__main__":
    main()
