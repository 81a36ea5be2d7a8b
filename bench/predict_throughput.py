"""How fast faces are read: batches against one at a time, ONNX against torch, and a cold start.

    python bench/predict_throughput.py MODEL PICTURE [--rounds 3] [--crops 512] [--yunet FILE]

MODEL is a bundled name, an ONNX file or a run folder (with both forms each is measured). "One at a
time" calls the same network with one crop after the other, as a loop over faces does. All take
turns within a round, so a busy machine slows all; the ratios of medians are what counts. A cold
start is a new process, from its first statement to the faces of PICTURE.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mien.data.synthetic import generate
from mien.errors import MienError
from mien.predict.classifier import Classifier, open_classifier
from mien.predict.faces import open_detector
from mien.predict.pictures import read_picture
from mien.predict.pipeline import Predictor

_COLD = (
    "import sys, time; start = time.perf_counter(); import mien; "
    "from pathlib import Path; name = Path(sys.argv[1]); "
    "model = mien.load(name if name.exists() else sys.argv[1], backend=sys.argv[3]); "
    "model.predict(sys.argv[2]); print(time.perf_counter() - start, time.process_time())"
)


def _named(model: str) -> Path | str:
    return Path(model) if Path(model).exists() else model


def classifiers(model: str) -> dict[str, Classifier]:
    """Of each backend that the model has a form for."""
    found = {}
    for backend in ("onnx", "torch"):
        try:
            found[backend] = open_classifier(_named(model), backend=backend)
        except MienError as error:
            print(f"{backend}: {error}")
    return found


def crops(number: int, classifier: Classifier) -> np.ndarray:
    """Drawn faces of the size that the classifier takes."""
    colour = classifier.channels == 3
    drawn = generate(number, seed=0, size=classifier.size).images
    return np.repeat(drawn, 3, axis=1) if colour else drawn


def tasks(
    model: str, picture: str, number: int, yunet: str | None = None
) -> dict[str, tuple[int, str, Callable[[], object]]]:
    """Name to how many of what one call does, and the call."""
    pixels = read_picture(picture)
    todo: dict[str, tuple[int, str, Callable[[], object]]] = {}
    for backend, classifier in classifiers(model).items():
        faces = crops(number, classifier)
        few = faces[: max(32, number // 8)]

        def single(c: Classifier = classifier, some: np.ndarray = few) -> None:
            for n in range(len(some)):
                c.classify(some[n : n + 1])

        def batch(c: Classifier = classifier, some: np.ndarray = faces) -> None:
            c.classify(some)

        todo[f"{backend}: one at a time"] = (len(few), "faces", single)
        todo[f"{backend}: batch"] = (len(faces), "faces", batch)
        if any("from the file" in name for name in todo):
            continue  # the detector's time, which hides the backend's, is measured once
        for name, options in searches(yunet):
            detector = open_detector(name.partition(",")[0], **options)
            whole = Predictor(classifier, detector)

            def end(p: Predictor = whole) -> None:
                p.predict(picture)

            def many(p: Predictor = whole) -> None:
                p.predict_pictures([pixels] * 2)

            todo[f"{backend}, {name}: from the file"] = (1, "pictures", end)
            todo[f"{backend}, {name}: two in memory"] = (2, "pictures", many)
    return todo


def searches(yunet: str | None) -> list[tuple[str, dict[str, object]]]:
    """What the rows of detectors are called, and their arguments."""
    rows: list[tuple[str, dict[str, object]]] = [("haar", {}), ("haar, quick", {"quick": True})]
    if yunet:
        rows += [("yunet", {"model_file": yunet}),
                 ("yunet, quick", {"model_file": yunet, "quick": True})]  # fmt: skip
    return [*rows, ("none", {})]


def measure(todo: dict, rounds: int) -> dict[str, float]:
    """Median a second, after one call of each that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in todo}
    for counted in range(rounds + 1):
        for name, (_, _, call) in todo.items():
            start = time.perf_counter()
            call()
            if counted:
                times[name].append(time.perf_counter() - start)
    return {name: todo[name][0] / statistics.median(found) for name, found in times.items()}


def cold(model: str, picture: str, rounds: int) -> None:
    """Milliseconds from the first statement of a process to its first answer."""
    for backend in ("onnx", "torch"):
        found = []
        for _ in range(rounds):
            command = [sys.executable, "-c", _COLD, model, picture, backend]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                found.append([1000 * float(part) for part in done.stdout.split()])
        if found:
            wall, busy = zip(*found, strict=True)
            print(f"cold start, {backend}: {min(wall):.0f} ms at best, median "
                  f"{statistics.median(wall):.0f} of {len(wall)}; of the processor "
                  f"{statistics.median(busy):.0f} ms, the interpreter's start with it")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("picture")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crops", type=int, default=512)
    parser.add_argument("--yunet", help="YuNet's .onnx, to search with it too")
    args = parser.parse_args()
    todo = tasks(args.model, args.picture, args.crops, args.yunet)
    speed = measure(todo, args.rounds)
    for name, (_, what, _) in todo.items():
        backend = name.split(":")[0].split(",")[0]
        first = speed[f"{backend}: one at a time"]
        aside = f"  {speed[name] / first:5.1f} times one at a time" if what == "faces" else ""
        print(f"{name:<34} {speed[name]:8.1f} {what}/s{aside}")
    if "onnx: batch" in speed and "torch: batch" in speed:
        print(f"onnx / torch, batch: {speed['onnx: batch'] / speed['torch: batch']:.2f}")
    cold(args.model, str(Path(args.picture)), args.rounds)


if __name__ == "__main__":
    main()
