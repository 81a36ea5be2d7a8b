"""Whether a model tells that a picture is no face: novelty.py RUN FER2013.zip [FOLDER].

Fits the score on the run's training images and seals it into RUN's model, then prints the shares of
faces accepted and of each kind of picture refused. FOLDER holds pictures of objects and places
without faces; with it, random squares of them and what OpenCV's detector of frontal faces wrongly
takes for a face in them, and in large drawn textures and text, are measured as well. A file
``lfw_subset.npy`` there (scikit-image's: 100 faces, then 100 squares that are none) is used too.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from mien.data import nonfaces
from mien.jobs.novelty import score_pictures, teach, with_novelty
from mien.models.checkpoint import load_model
from mien.types import Interval
from mien.words import percent

_SIZE, _MOST = 48, 900
# These show faces, and a detector that finds them is right.
_WITH_FACES = ("astronaut", "camera", "coins", "lfw", "phantom")


def pictures(folder: Path) -> dict[str, np.ndarray]:
    """Every picture of the folder that shows no face, grey, at most 900 pixels long."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in (".png", ".jpg") and not path.stem.startswith(_WITH_FACES):
            grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if grey is not None and min(grey.shape) >= _SIZE:
                factor = min(1.0, _MOST / max(grey.shape))
                size = (round(grey.shape[1] * factor), round(grey.shape[0] * factor))
                found[path.stem] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return found


def false_positives(grey: list[np.ndarray]) -> np.ndarray:
    """What the detector, asked to be generous, takes for a face: uint8 N×1×48×48."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    cut = []
    for picture in grey:
        for x, y, w, h in cascade.detectMultiScale(picture, 1.05, 1, minSize=(24, 24)):
            square = picture[y : y + h, x : x + w]
            cut.append(cv2.resize(square, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA))
    return np.array(cut, dtype=np.uint8).reshape(-1, 1, _SIZE, _SIZE)


def _subset(path: Path) -> np.ndarray:
    grey = np.clip(np.load(path) * 255, 0, 255).astype(np.uint8)
    large = [cv2.resize(g, (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC) for g in grey]
    return np.array(large)[:, None]


def main() -> None:
    run, source = sys.argv[1], sys.argv[2]
    folder = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    extra, faces = {}, None
    if folder:
        found = pictures(folder)
        drawn = [nonfaces.generate(kind, 12, seed=5, size=384)[:, 0] for kind in nonfaces.DRAWN]
        extra["objects, places"] = nonfaces.crops(list(found.values()), 1000, seed=1)
        extra["Haar: photographs"] = false_positives(list(found.values()))
        extra["Haar: drawn"] = false_positives([one for kind in drawn for one in kind])
        if (folder / "lfw_subset.npy").is_file():
            subset = _subset(folder / "lfw_subset.npy")
            faces, extra["lfw_subset, no face"] = subset[:100], subset[100:]
    extra = {kind: made for kind, made in extra.items() if len(made)}
    result = teach(run, source, extra=extra)
    print(f"faces of the validation split accepted: {percent(result.accepted)}")
    if faces is not None:
        module = with_novelty(load_model(run))
        assert module is not None
        away = score_pictures(module, faces) > float(module.threshold)
        print(f"faces of lfw_subset (25 pixels) accepted: {100 - int(away.sum())} of 100")
    print("| kind | in the fit | refused |\n|---|---|---|")
    for kind, share in result.refused.items():
        fitted = "no" if kind in result.kept_out else "yes"
        number = f" (of {len(extra[kind])})" if kind in extra else ""
        print(f"| {kind}{number} | {fitted} | {percent(share)} |")
    print(f"| mean over kinds | | {percent(result.all_refused)} |")
    unseen = [share.value for kind, share in result.refused.items() if kind in result.kept_out]
    mean = sum(unseen) / len(unseen)
    print(f"| mean over the kinds not in the fit | | {percent(Interval(mean, mean, mean))} |")


if __name__ == "__main__":
    main()
