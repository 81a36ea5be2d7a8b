"""A few hundred mutants of model files; ``scripts/mutate_models.py`` makes it 100,000."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from mien.errors import ModelFileError
from mien.models.checkpoint import load_model

SCRIPT = Path(__file__).parents[2] / "scripts" / "mutate_models.py"


@pytest.fixture(scope="module")
def mutate():
    spec = importlib.util.spec_from_file_location("mutate_models", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutate_models"] = module
    spec.loader.exec_module(module)
    return module


def test_mutants_are_refused_or_load_what_they_say(mutate, tmp_path):
    verdicts, findings = mutate.run_block(
        range(400), 1, mutate.originals(), tmp_path / "model.safetensors", limited=False
    )
    assert findings == []
    assert verdicts["accident: refused"] > 100
    assert verdicts["resealed: refused"] > 100
    assert verdicts["resealed: as it says"] > 5


def test_the_judge_sees_what_is_wrong(mutate, tmp_path, monkeypatch):
    """A loader that believed the file, or crashed, would be found."""
    files = mutate.originals()
    path = tmp_path / "model.safetensors"
    path.write_bytes(files["cnn4"])
    original = load_model(path)
    other = bytearray(files["cnn4"])
    mutate.load_model = lambda path: load_model_of(other, path)

    def load_model_of(data, path):
        path.write_bytes(data)
        model = load_model(path)
        with torch.no_grad():
            next(model.network.parameters()).add_(1)
        return model

    monkeypatch.setattr(mutate, "load_model", mutate.load_model)
    with pytest.raises(mutate.FoundError, match="loads as another model"):
        mutate.judge(files["cnn4"], mutate.flip, original, path)
    with pytest.raises(mutate.FoundError, match="weights that are not those"):
        mutate.judge(files["cnn4"], mutate.resealed_meta, original, path)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("slope", 10**400, "no finite number"),
        ("slope", float("nan"), "slope: nan is no finite number"),
        ("slope", float("inf"), "slope: inf is no finite number"),
        ("widths", "x" * 100_000, "metadata cannot be used"),
        ("x\x1b[2J\n", 1, r"x\\x1b\[2J\\n: no such field"),
    ],
)
def test_odd_values_are_refused_in_one_short_line(mutate, field, value, told, tmp_path):
    data = bytearray(mutate.originals()["cnn4"])
    tensors, meta = mutate._opened(data)
    meta["config"][field] = value
    path = tmp_path / "model.safetensors"
    path.write_bytes(mutate._sealed(tensors, meta))
    with pytest.raises(ModelFileError, match=told) as caught:
        load_model(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("names", [["a", "b", "a"], ["a", "b", 3], ["a", "", "c"], "abc",
                                   ["a", "b\x1b[2J", "c"], ["a", "b", "c" * 1000]])  # fmt: skip
def test_classes_are_different_printable_names(mutate, names, tmp_path):
    tensors, meta = mutate._opened(bytearray(mutate.originals()["wide"]))
    path = tmp_path / "model.safetensors"
    path.write_bytes(mutate._sealed(tensors, {**meta, "classes": names}))
    with pytest.raises(ModelFileError, match="classes: no different names"):
        load_model(path)


def test_a_network_of_endless_blocks_is_refused_at_once(mutate, tmp_path):
    tensors, meta = mutate._opened(bytearray(mutate.originals()["residual"]))
    meta["config"]["blocks"] = [10**9] * 4
    path = tmp_path / "model.safetensors"
    path.write_bytes(mutate._sealed(tensors, meta))
    with pytest.raises(ModelFileError, match="from 1 to 100"):
        load_model(path)
    assert json.loads(json.dumps(meta))["config"]["blocks"][0] == 10**9
