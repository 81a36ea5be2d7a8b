"""The exported file answers as torch does, by a formula written out here, for every network."""

import copy
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from exported import CONFIGS, small
from mien.data.synthetic import generate
from mien.errors import NetworkError, OptionError
from mien.jobs import export as job
from mien.jobs.export import export
from mien.jobs.novelty import with_novelty
from mien.models.checkpoint import load_model, save_model
from mien.models.onnx_file import read_onnx


def expected(model, images):
    """Probabilities, logits and novelty in float64 NumPy from the bare network's outputs."""
    scored = with_novelty(model)
    network = scored or model.network
    with torch.no_grad():
        one, two = network(images), network(images.flip(-1))
    novelty = one[1].numpy() if scored else None
    views = [(out[0] if scored else out).double().numpy() for out in (one, two)]
    if not model.about["calibration"]["flip"]:
        views = views[:1]
    softmax = [np.exp(v) / np.exp(v).sum(axis=1, keepdims=True) for v in views]
    logits = np.log(np.mean(softmax, axis=0)) if len(views) > 1 else views[0]
    scaled = np.exp(logits / model.about["calibration"]["temperature"])
    return scaled / scaled.sum(axis=1, keepdims=True), logits, novelty


@pytest.mark.parametrize(
    ("name", "novelty", "flip"),
    [("cnn4", True, True), ("residual", True, True), ("wide", False, False)],
)
def test_every_network_answers_as_torch(tmp_path, name, novelty, flip):
    assert set(CONFIGS) == {"cnn4", "residual", "wide"}
    model = small(name, novelty=novelty, flip=flip)
    save_model(tmp_path / "model.safetensors", model)
    result = export(tmp_path / "model.safetensors")
    assert result.out == tmp_path / "model.onnx"
    assert result.parity.worst < 1e-4
    assert result.parity.same == 1
    session = onnxruntime.InferenceSession(str(result.out), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == (
        ["probabilities", "logits", "novelty"][: 3 if novelty else 2]
    )
    for count in (1, 7, 300):
        images = torch.randint(0, 256, (count, 1, 48, 48), dtype=torch.uint8)
        found = session.run(None, {"images": images.numpy()})
        wanted = expected(model, images)
        assert np.abs(found[0] - wanted[0]).max() < 1e-4
        assert np.abs(found[0].sum(axis=1) - 1).max() < 1e-5
        assert np.abs(found[1] - wanted[1]).max() < 1e-3
        if novelty:
            np.testing.assert_allclose(found[2], wanted[2], rtol=1e-3, atol=1e-2)
    file = read_onnx(result.out)
    assert file.meta["classes"] == list(model.classes)
    assert file.meta["novelty_threshold"] == (1.25 if novelty else None)
    assert file.meta["model_checksum"] == load_model(tmp_path / "model.safetensors").checksum
    assert str(tmp_path).encode() not in file.content  # nor any other path of this machine
    assert b".py" not in file.content
    assert onnxruntime_metadata(session) == file.meta


def onnxruntime_metadata(session):
    return json.loads(session.get_modelmeta().custom_metadata_map["mien"])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model and its graph, so that exporting, which takes seconds, happens once."""
    folder = tmp_path_factory.mktemp("exported")
    save_model(folder / "net.safetensors", small(novelty=False, temperature=1.0))
    return folder / "net.safetensors", onnx.load(str(export(folder / "net.safetensors").out))


def test_eight_bits_and_what_they_cost(tmp_path, exported, monkeypatch):
    (tmp_path / "net.safetensors").write_bytes(exported[0].read_bytes())
    monkeypatch.setattr(job, "to_onnx", lambda served, **more: exported[1])
    result = export(tmp_path / "net.safetensors", int8=True, source="synthetic:400")
    assert result.out.name == "net-int8.onnx"
    assert not result.parity.drawn
    assert 1e-5 < result.parity.mean < 0.03
    assert result.cost is not None
    assert result.cost.n == result.parity.images == 40  # the tenth that validates
    assert result.cost.difference.low <= 0 <= result.cost.difference.high
    kinds = {node.op_type for node in onnx.load(str(result.out)).graph.node}
    assert "QuantizeLinear" in kinds
    assert read_onnx(result.out).meta["form"] == "int8"


def test_a_graph_that_disagrees_is_not_written(tmp_path, exported, monkeypatch):
    (tmp_path / "net.safetensors").write_bytes(exported[0].read_bytes())

    def spoiled(served, **more):
        proto = copy.deepcopy(exported[1])
        for tensor in proto.graph.initializer:
            if tensor.name.endswith("head.2.bias"):
                values = onnx.numpy_helper.to_array(tensor) + np.arange(7, dtype=np.float32)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        return proto

    monkeypatch.setattr(job, "to_onnx", spoiled)
    with pytest.raises(NetworkError, match="differ from torch's by"):
        export(tmp_path / "net.safetensors")
    assert [path.name for path in tmp_path.iterdir() if "onnx" in path.name] == []
    with pytest.raises(OptionError, match=r"\.onnx"):
        export(tmp_path / "net.safetensors", tmp_path / "net.pt")


def test_pooling_moves_only_where_that_changes_nothing():
    from mien.models.export import _pooling_last

    model = small(novelty=False)
    images = torch.from_numpy(generate(20).images)
    moved = _pooling_last(model.network, 1, 48)
    assert [block.pool_first for block in moved.features] == [False] * 4
    assert [block.pool_first for block in model.network.features] == [True] * 4
    torch.testing.assert_close(moved(images), model.network(images), rtol=1e-4, atol=1e-4)
    model.network.features[1].normalisation.weight.data[2] = -0.7
    moved = _pooling_last(model.network, 1, 48)
    assert [block.pool_first for block in moved.features] == [False, True, False, False]
    torch.testing.assert_close(moved(images), model.network(images), rtol=1e-4, atol=1e-4)
