"""What a released model's card and the index of models say, from predictions of its own file."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.abstain import at_coverage
from mien.evaluate.calibration import SURE_SHARE, calibration
from mien.evaluate.confusion import Evaluation, evaluate
from mien.evaluate.findings import findings, strongest
from mien.evaluate.intervals import wilson
from mien.evaluate.pairs import confused_pairs
from mien.evaluate.reliability import reliability, top
from mien.models.checkpoint import Model
from mien.predict.classifier import Classifier
from mien.predict.faces import open_detector
from mien.predict.looks import VIEWS
from mien.predict.pipeline import Predictor
from mien.runs import Run, provenance
from mien.types import ImageSet, Outputs

_PAIRS = 6
_TIMED = 40


def describe(
    name: str, model: Model, folder: Path, outputs: Outputs, taught: dict[str, Any]
) -> dict[str, Any]:
    """The card of a calibrated model from what its released file says of validation images.

    Args:
        folder: its run. outputs: with calibrated logits. taught: of ``jobs.novelty``.
    """
    found, sure = evaluate(outputs), calibration(outputs)
    scores = found.without_copies or found.whole
    about, run = model.about, _record(folder)
    told = strongest(findings(scores.counts, scores.classes), 5)
    return {
        "name": name,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "data": {
            "name": "FER2013" if _is_fer2013(outputs, run) else "",
            "layout": run.get("layout", ""),
            "fingerprint": about.get("data_fingerprint", ""),
            "training_images": about.get("training_images", 0),
            "copies_left_out": about.get("copies_left_out", 0),
        },
        "protocol": {
            "recipe": str(about.get("recipe", {}).get("name", "")),
            "epochs": about.get("recipe", {}).get("epochs", 0),
            "seed": about.get("recipe", {}).get("seed", 0),
            "teachers": len(about.get("teachers", ())),
            "split": "validation",
            "flip": bool(about["calibration"]["flip"]),
        },
        "results": _results(found),
        "confusions": [pair.to_json() for pair in
                       confused_pairs(scores.counts, scores.classes)[:_PAIRS]],
        "findings": [finding.to_json() for finding in told],
        "calibration": {
            "n": sure.n,
            "temperature": about["calibration"]["temperature"],
            "smoothing": about["calibration"]["smoothing"],
            "ece": sure.after.ece.to_json(),
            "at_80": sure.at_80.to_json(),
        },
        "novelty": taught,
    }  # fmt: skip


def _is_fer2013(outputs: Outputs, run: dict[str, Any]) -> bool:
    """Whether the split is PublicTest by its files' names, or the source FER2013's table."""
    named = all("PublicTest" in str(name) for name in outputs.ids[:20])
    return named or str(run.get("layout", "")).startswith("fer2013")


def _record(folder: Path) -> dict[str, Any]:
    return dict(Run(folder).read_record().get("data", {})) if Run(folder).record.is_file() else {}


def _results(found: Evaluation) -> dict[str, Any]:
    parts = {"whole": found.whole, "without_copies": found.without_copies or found.whole}
    return {
        name: {
            "n": scores.n,
            "accuracy": scores.accuracy.to_json(),
            "macro_f1": scores.macro_f1.to_json(),
            "balanced_accuracy": scores.balanced_accuracy.to_json(),
            "classes": [one.to_json() for one in scores.per_class],
        }
        for name, scores in parts.items()
    }


def looks(classifier: Classifier, images: ImageSet, outputs: Outputs) -> dict[str, Any]:
    """What looking at each face as often as in photographs gives, on the images of ``outputs``.

    Each crop is moved within itself, its edge repeated; with the temperature as it is, and over the
    labelled images without a copy, but for ``whole``.
    """
    predictor = Predictor(classifier, open_detector("none"), views=VIEWS[-1])
    faces = predictor.predict([_shown(one) for one in images.images])
    p = np.array([list(one[0].probabilities.values()) for one in faces], dtype=np.float64)
    known = outputs.labels >= 0
    own = known & ~outputs.copied if (known & ~outputs.copied).any() else known
    confidence, hits = top(p, outputs.labels)

    def accuracy(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        n = int(chosen.sum())
        return {"n": n, "accuracy": wilson(int(hits[chosen].sum()), n).to_json()}

    return {
        "views": VIEWS[-1],
        "whole": accuracy(known),
        "without_copies": accuracy(own),
        "ece": reliability(p[own], outputs.labels[own]).ece.to_json(),
        "at_80": at_coverage(confidence[own], hits[own], SURE_SHARE).to_json(),
    }


def _shown(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A crop C×H×W as a picture H×W or H×W×3."""
    return planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0))


def speed(classifier: Classifier) -> dict[str, Any]:
    """Milliseconds for one face by itself (median), and in batches of 64 (best of three)."""
    shape = (64, classifier.channels, classifier.size, classifier.size)
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    single, batch = [], []
    for number in range(_TIMED + 1):
        started = time.perf_counter()
        classifier.classify(crops[:1])
        if number:
            single.append(time.perf_counter() - started)
    for _ in range(3):
        started = time.perf_counter()
        classifier.classify(crops)
        batch.append((time.perf_counter() - started) / len(crops))
    hardware = provenance()["hardware"]
    return {"single_ms": round(1000 * float(np.median(single)), 2),
            "batch_ms": round(1000 * min(batch), 3), "cores": hardware["cores"],
            "processor": hardware["processor"],
            "load": round(os.getloadavg()[0], 1)}  # fmt: skip


def facts(card: dict[str, Any], size: int) -> dict[str, Any]:
    """What ``mien models`` lists."""
    result = card["results"]["without_copies"]
    return {
        "parameters": card["parameters"],
        "bytes": size,
        "accuracy": result["accuracy"],
        "images": result["n"],
        "data": card["data"]["name"] or "its own data",
        "without_copies": True,
        "flip": card["protocol"]["flip"],
        "ece": card["calibration"]["ece"],
        "speed": card["speed"],
        "licence": "Apache-2.0; FER2013's terms for derived weights are unclear",
    }
