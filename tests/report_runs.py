"""A run made up for the report: random predictions of drawn faces, and every analysis' file."""

import json
from pathlib import Path

import numpy as np
import torch

from mien.data.audit import audit
from mien.data.sources import read
from mien.evaluate.predictions import write_predictions
from mien.jobs.architecture import architecture
from mien.jobs.worked import worked
from mien.labels import CLASSES
from mien.models.checkpoint import Model, load_model, save_model
from mien.models.cnn4 import CNN4, CNN4Config
from mien.runs import write_json
from mien.train.history import Row, history_csv
from mien.types import Finding, Interval, Outputs

N, SIDE = 240, 32
SOURCE = f"synthetic:{N}"


def predictions(seed: int, right: float = 0.6, checksum: str = "") -> Outputs:
    """Random logits, right in about ``right`` of the images; a tenth of them are copies."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, N)
    logits = rng.normal(size=(N, 7)).astype(np.float32)
    hit = rng.random(N) < right
    logits[np.arange(N), np.where(hit, labels, (labels + 1) % 7)] += 4
    return Outputs(
        ids=np.array([f"face {n}" for n in range(N)]),
        splits=np.array(["validation"] * N),
        labels=labels.astype(np.int64),
        logits=logits,
        hashes=np.array([f"{n:032x}" for n in range(N)]),
        copied=np.arange(N) % 10 == 0,
        classes=CLASSES,
        about={"architecture": "cnn4", "model_checksum": checksum, "split": "validation",
               "flip": True, "precision": "fp32"},
    )  # fmt: skip


def history(epochs: int = 8) -> list[Row]:
    """Curves that fall and flatten."""
    return [
        Row(epoch=e, train_loss=0.6 + 1.2 * 0.7**e, train_accuracy=0.8 - 0.4 * 0.7**e,
            validation_loss=1.0 + 0.8 * 0.6**e, validation_accuracy=0.62 - 0.2 * 0.6**e,
            running_loss=1.5, learning_rate=0.1 * (1 - e / epochs), seconds=3.0,
            images_per_second=900.0)
        for e in range(1, epochs + 1)
    ]  # fmt: skip


def make_run(folder: Path, *, seed: int = 0, right: float = 0.6, layout: str = "synthetic") -> Path:
    """run.json, history, model and predictions; no analyses."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    config = CNN4Config(size=SIDE, widths=(4, 6, 8, 8), hidden=(8, 8))
    model = Model(network=CNN4(config), architecture="cnn4", config=config, classes=CLASSES)
    save_model(folder / "model.safetensors", model)
    checksum = load_model(folder).checksum
    write_json(folder / "run.json", {
        "format": 1,
        "options": {"source": SOURCE if layout == "synthetic" else "faces.zip",
                    "data": {"size": SIDE}},
        "recipe": {"name": "quick", "seed": seed, "train_sample": 100},
        "data": {"layout": layout, "fingerprint": "", "classes": list(CLASSES),
                 "training_images": 1000, "validation_images": N, "copies_left_out": 3,
                 "notes": ["a note"]},
        "command": ["mien", "train", SOURCE],
        "started": "2026-01-01T00:00:00+00:00",
        "versions": {"mien": "0.1.0"},
        "hardware": {"system": "Linux", "processor": "P <1>", "cores": 2, "memory_gib": 8.0},
    })  # fmt: skip
    (folder / "history.csv").write_text(history_csv(history()))
    write_predictions(folder / "predictions.parquet", predictions(seed, right, checksum))
    return folder


def add_analyses(folder: Path) -> None:
    """Files as the jobs write them; those of the explain room are made up."""
    faces = read(SOURCE, size=SIDE)
    record = json.loads((folder / "run.json").read_text())
    record["data"]["fingerprint"] = faces.fingerprint
    write_json(folder / "run.json", record)
    model = load_model(folder)
    (folder / "theory").mkdir()
    (folder / "explain").mkdir()
    write_json(folder / "audit.json", audit(faces).to_json())
    write_json(folder / "theory/architecture.json", architecture(str(folder)).to_json())
    write_json(folder / "theory/worked.json", worked(
        model, np.array(faces.images[:4]), faces.labels[:4], predictions(0)))  # fmt: skip
    write_json(folder / "theory/check.json", {"name": "n", "wrong": 0, "notes": [], "layers": [
        {"name": "features.0.convolution", "kind": "Conv2d", "verdict": "right",
         "input": [8, 1, SIDE, SIDE], "output": [8, 4, SIDE, SIDE], "expected": [8, 4, SIDE, SIDE],
         "kinks": 0, "comparisons": [{"name": "output", "index": [0], "formula": 1.0,
                                      "reference": 1.0, "relative_error": 1e-12, "right": True,
                                      "fault": ""}]}]})  # fmt: skip
    _explained(folder / "explain", model.checksum, faces.ids)


def _explained(folder: Path, checksum: str, ids: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    half = Interval(0.5, 0.4, 0.6).to_json()
    twice = Interval(2.4, 2.2, 2.6).to_json()
    maps = rng.normal(size=(14, SIDE, SIDE)).astype(np.float16)
    sizes = np.abs(rng.normal(size=(7, SIDE, SIDE))).astype(np.float32)
    np.savez_compressed(
        folder / "saliency.npz", maps=maps, scale=np.float32(0.01), class_maps_right=sizes,
        class_maps_wrong=sizes, class_sizes_right=sizes, class_sizes_wrong=sizes,
        mean_faces=np.full((7, SIDE, SIDE), 120, np.float32),
    )  # fmt: skip
    write_json(folder / "saliency.json", {
        "method": "gradient", "title": "gradient", "layer": "", "split": "validation", "n": N,
        "classes": list(CLASSES), "model_checksum": checksum, "notes": [],
        "counts": {"right": [20] * 7, "wrong": [9] * 7},
        "examples": [{"row": k, "id": str(ids[k]), "label": k % 7, "predicted": (k + k // 7) % 7,
                      "probabilities": [1 / 7] * 7, "right": k < 7} for k in range(14)],
    })  # fmt: skip
    regions = ["brows", "eyes", "nose", "mouth", "cheeks", "rest"]
    write_json(folder / "regions.json", {
        "method": "gradient", "split": "validation", "n": N, "source": "masks", "shift": 0,
        "regions": regions, "classes": list(CLASSES), "notes": [],
        "cells": [{"class": k, "which": w, "region": r, "n": 30, "times": twice}
                  for k in ("*", *CLASSES) for w in ("all", "right", "wrong") for r in regions],
        "findings": [Finding(kind="region-more", classes={"truth": "happy", "region": "mouth"},
                             values={"times": Interval(2.4, 2.2, 2.6), "n": 30}).to_json()],
    })  # fmt: skip
    patterns = rng.normal(size=(2, 2, SIDE, SIDE)).astype(np.float16)
    np.savez_compressed(folder / "filters.npz", patterns=patterns)
    write_json(folder / "filters.json", {
        "layer": "features.3.convolution", "filters_total": 8, "drawn": 2, "n": N,
        "receptive_field": [18, 18], "findings": [], "notes": [],
        "filters": [{"number": f, "dead": "never" if f else "", "sparsity": {"images": 0.3},
                     "classes": [{"class": "happy", "effect": half}], "pattern_row": f,
                     "patches": [{"id": str(ids[0]), "y": -2, "x": 4, "height": 18, "width": 18,
                                  "activation": 2.0}]} for f in range(2)],
    })  # fmt: skip
    write_json(folder / "trust.json", {
        "n": 60, "split": "validation", "notes": [],
        "methods": [{"method": "gradient", "title": "gradient", "verdict": "not-better",
                     "against": ["edges"], "findings": [],
                     "weights": [{"layer": "all", "similarity": half}],
                     "weights_reference": half, "deletion": half, "insertion": half}],
        "baselines": [{"baseline": "edges", "title": "edges", "deletion": half,
                       "insertion": half}],
    })  # fmt: skip
    write_json(folder / "suspects.json", {
        "method": "m", "n": N, "findings": [], "per_class": [],
        "suspects": [{"id": str(ids[3]), "label": "fear", "suggested": "sad", "confidence": 0.9}],
    })  # fmt: skip
