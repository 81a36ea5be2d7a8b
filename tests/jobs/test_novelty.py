from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.synthetic import generate
from mien.errors import ModelFileError
from mien.jobs.novelty import KEPT_OUT, score_pictures, teach, with_novelty
from mien.models.checkpoint import Model, load_model, save_model
from mien.models.cnn4 import CNN4Config
from mien.models.registry import build


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model, object]:
    """An untrained network that was taught on drawn faces."""
    torch.manual_seed(0)
    config = CNN4Config(widths=(8, 12, 16, 24), hidden=(16, 8))
    model = Model(network=build("cnn4", config), architecture="cnn4", config=config,
                  classes=("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
                  about={"seed": 1})  # fmt: skip
    path = tmp_path_factory.mktemp("model") / "net.safetensors"
    save_model(path, model)
    before = load_model(path)
    result = teach(path, "synthetic:400", count=25, extra={"black": np.zeros((9, 1, 48, 48), "u1")})
    return path, before, result


def test_it_is_sealed_beside_the_weights(taught: tuple[Path, Model, object]) -> None:
    path, before, _ = taught
    assert with_novelty(before) is None
    after = load_model(path)  # verifies the checksum
    assert after.about["seed"] == 1
    assert after.about["novelty"]["model_checksum"] == before.checksum != after.checksum
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(tensor, after.network.state_dict()[name])
    module = with_novelty(after)
    assert module is not None
    faces = generate(50, seed=9).images
    with torch.no_grad():
        logits, scores = module(torch.from_numpy(faces))
        assert torch.equal(logits, before.network(torch.from_numpy(faces)))
    np.testing.assert_allclose(scores.numpy(), score_pictures(module, faces), rtol=1e-4, atol=1e-4)
    assert (scores <= module.threshold).float().mean() > 0.8


def test_what_is_measured(taught: tuple[Path, Model, object]) -> None:
    _, _, result = taught
    data = result.to_json()  # type: ignore[attr-defined]
    assert data["kept_out"] == [*KEPT_OUT, "black"]
    assert {"scrambled", "upside-down", "white noise", "text", "black"} <= data["refused"].keys()
    assert data["accepted"]["low"] <= data["accepted"]["value"] <= data["accepted"]["high"]
    assert data["accepted"]["value"] > 0.75
    assert data["refused"]["white noise"]["value"] > 0.9
    values = [share["value"] for share in data["refused"].values()]
    assert data["all_refused"]["value"] == pytest.approx(np.mean(values))


def test_what_does_not_fit_the_network_is_an_error(taught: tuple[Path, Model, object]) -> None:
    model = load_model(taught[0])
    short = {name: value[:3] if value.ndim else value for name, value in model.extras.items()}
    lost = {**model.about, "novelty": {**model.about["novelty"], "taps": [["no.such", 0]]}}
    for bad in (
        replace(model, extras={}),
        replace(model, extras=short),
        replace(model, about=lost),
    ):
        with pytest.raises(ModelFileError, match="novelty score cannot be used"):
            with_novelty(bad)
