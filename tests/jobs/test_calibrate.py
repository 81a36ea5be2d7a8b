from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.errors import ModelFileError, RunError
from mien.evaluate.predictions import read_predictions, write_predictions
from mien.jobs.calibrate import calibrate, calibrate_if_possible
from mien.jobs.evaluate import label_smoothing
from mien.models.checkpoint import Model, load_model, model_bytes, save_model
from mien.models.cnn4 import CNN4Config
from mien.models.confidence import Confidence, read_confidence
from mien.models.registry import build
from mien.types import Outputs


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with an untrained model and 300 predictions said to be of it, twice too sure."""
    config = CNN4Config(size=16, classes=3, widths=(4, 4, 4, 4), hidden=(8, 8))
    model = Model(network=build("cnn4", config), architecture="cnn4", config=config,
                  classes=("angry", "happy", "sad"), about={"seed": 1})  # fmt: skip
    save_model(tmp_path / "model.safetensors", model)
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(300, 3))
    p = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    write_predictions(
        tmp_path / "predictions.parquet",
        Outputs(
            ids=np.arange(300).astype(str),
            splits=np.array(["validation"] * 300),
            labels=(p.cumsum(axis=1) > rng.random((300, 1))).argmax(axis=1),
            logits=logits.astype(np.float32),
            hashes=np.array([f"{i:032x}" for i in range(300)]),
            copied=np.zeros(300, dtype=bool),
            classes=model.classes,
            about={"model_checksum": load_model(tmp_path).checksum, "flip": True},
        ),
    )
    return tmp_path


def test_it_is_sealed_and_the_weights_stay(run: Path) -> None:
    before = load_model(run)
    assert read_confidence(before.about) is None
    result = calibrate(run)
    after = load_model(run)  # verifies the checksum
    assert after.checksum != before.checksum
    assert after.about["seed"] == 1
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(tensor, after.network.state_dict()[name])
    kept = read_confidence(after.about)
    assert kept == result.confidence
    assert kept is not None
    assert kept.temperature == pytest.approx(2.0, rel=0.4)
    assert kept.flip
    assert kept.fitted_on["model_checksum"] == before.checksum
    assert kept.fitted_on["images"] == 300
    # What a loaded model writes again is the same file.
    assert model_bytes(after) == (run / "model.safetensors").read_bytes()


def test_a_second_time_gives_the_same_bits(run: Path) -> None:
    calibrate(run)
    once = (run / "model.safetensors").read_bytes()
    calibrate(run)
    assert (run / "model.safetensors").read_bytes() == once
    content = bytearray(once)
    content[content.find(b'"temperature\\":') + 15] ^= 1
    (run / "model.safetensors").write_bytes(bytes(content))
    with pytest.raises(ModelFileError, match="altered"):
        load_model(run)


def test_other_predictions_are_refused_and_nothing_is_written(run: Path) -> None:
    once = (run / "model.safetensors").read_bytes()
    outputs = read_predictions(run / "predictions.parquet")
    foreign = replace(outputs, about={**outputs.about, "model_checksum": "0" * 64})
    write_predictions(run / "foreign.parquet", foreign)
    with pytest.raises(RunError, match=r"foreign\.parquet: not the predictions of"):
        calibrate(run, predictions=run / "foreign.parquet")
    test = replace(outputs, splits=np.array(["test"] * 300))
    write_predictions(run / "test.parquet", test)
    with pytest.raises(RunError, match="the test split"):
        calibrate(run, predictions=run / "test.parquet")
    with pytest.raises(RunError, match="no such file"):
        calibrate(run, predictions=run / "none.parquet")
    write_predictions(run / "predictions.parquet", outputs.take(np.arange(3)))
    assert calibrate_if_possible(run) is None
    assert (run / "model.safetensors").read_bytes() == once
    assert not list(run.glob("*.tmp"))


def test_the_threshold_for_an_error() -> None:
    known = Confidence(temperature=1.2, thresholds={0.1: 0.8, 0.2: 0.6})
    assert known.unsure_below(0.2) == 0.6
    assert known.unsure_below(0.15) == 0.8
    assert known.unsure_below(0.05) == 1.0
    assert known.unsure_below(1.0) == 0.0
    assert read_confidence({"calibration": known.to_json()}) == known


@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": 0, "unsure": [], "flip": True, "fitted_on": {}},
        {"temperature": float("nan"), "unsure": [], "flip": True, "fitted_on": {}},
        {"temperature": 1, "unsure": [{"error": 0.1}], "flip": True, "fitted_on": {}},
        {"temperature": 1, "unsure": [{"error": 2, "threshold": 0.5}], "flip": 1, "fitted_on": {}},
        {},
        "text",
    ],
)
def test_a_bad_calibration_is_an_error_of_the_file(bad: object) -> None:
    with pytest.raises(ModelFileError, match="calibration cannot be used"):
        read_confidence({"calibration": bad})


@pytest.mark.parametrize(
    ("objective", "smoothing"),
    [({"label_smoothing": 0.1}, 0.1), ({"label_smoothing": 0.1, "robust_q": 0.0}, 0.1),
     ({"label_smoothing": 0.1, "robust_q": 0.7}, 0.0), ({}, 0.0), ("none", 0.0)],
)  # fmt: skip
def test_smoothing_is_taken_back_where_cross_entropy_trained(
    run: Path, objective: object, smoothing: float
) -> None:
    about = {"recipe": {"objective": objective}}
    assert label_smoothing(replace(load_model(run), about=about)) == smoothing
