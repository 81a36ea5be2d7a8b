"""Classifiers by ONNX and by torch: the same answers, the same refusals."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from exported import small
from mien.data.synthetic import generate
from mien.errors import ModelFileError, OptionError
from mien.jobs.export import export, score, serve
from mien.models import bundled
from mien.models.checkpoint import load_model, save_model
from mien.predict.classifier import (
    BATCH,
    OnnxClassifier,
    _threshold,
    open_classifier,
    read_shape,
)
from mien.predict.torch_classifier import PARITY, TorchClassifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's model and the ONNX form beside it."""
    folder = tmp_path_factory.mktemp("run")
    save_model(folder / "model.safetensors", small())
    export(folder)
    return folder


@pytest.fixture(scope="module")
def faces():
    return generate(2 * BATCH + 3, seed=5).images


def test_onnx_and_torch_agree(folder, faces):
    onnx, torch = open_classifier(folder), open_classifier(folder, backend="torch")
    assert (onnx.backend, torch.backend) == ("onnx", "torch")
    assert onnx.name == folder.name == torch.name
    served, _ = serve(load_model(folder))
    wanted = score(served, faces)
    for one, limit in (
        (onnx, 1e-4),
        (torch, PARITY["bf16"]),
        (TorchClassifier(folder / "model.safetensors", precision="fp32"), PARITY["fp32"]),
    ):
        found = one.classify(faces)
        assert found.probabilities.dtype == found.novelty.dtype == np.float32
        assert found.probabilities.shape == (len(faces), 7)
        assert np.abs(found.probabilities - wanted.probabilities).max() < limit
        assert np.abs(found.novelty - wanted.novelty).max() < 50 * limit
        assert one.novelty_threshold == 1.25
        assert one.confidence.temperature == 0.5
        assert one.confidence.unsure_below(0.1) == 0.8
        assert (one.size, one.channels, len(one.classes)) == (48, 1, 7)
        none = one.classify(faces[:0])
        assert none.probabilities.shape == (0, 7)
        assert none.novelty.shape == (0,)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_many_threads_get_their_own_answers(folder, faces, backend):
    one = open_classifier(folder, backend=backend, threads=1)
    parts = [faces[at : at + 9] for at in range(0, 90, 9)]
    alone = [one.classify(part) for part in parts]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(one.classify, parts * 3))
    for number, found in enumerate(together):
        wanted = alone[number % len(parts)]
        np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-5)
        np.testing.assert_allclose(found.novelty, wanted.novelty, atol=1e-2)


def test_a_form_of_other_weights_is_left_alone(folder, tmp_path):
    save_model(tmp_path / "model.safetensors", small(seed=1))
    (tmp_path / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
    assert open_classifier(tmp_path).backend == "torch"
    assert open_classifier(tmp_path / "model.onnx").backend == "onnx"
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(OptionError, match="no ONNX form"):
        open_classifier(tmp_path, backend="onnx")


def test_refusals(folder, faces, tmp_path):
    one = open_classifier(folder)
    for wrong in (faces[0], faces.astype(np.float32), faces[:, :, :40], faces.repeat(3, axis=1)):
        with pytest.raises(ValueError, match="crops are uint8"):
            one.classify(wrong)
    with pytest.raises(OptionError, match="backend 'tf'"):
        open_classifier(folder, backend="tf")
    with pytest.raises(OptionError, match="threads 0"):
        open_classifier(folder, threads=0)
    with pytest.raises(OptionError, match="runs with onnxruntime"):
        open_classifier(folder / "model.onnx", backend="torch")
    with pytest.raises(ModelFileError, match="no such file, and no model"):
        open_classifier("no-such-model")
    with pytest.raises(ModelFileError, match=r"no model\.safetensors"):
        open_classifier(tmp_path)
    spoiled = bytearray((folder / "model.onnx").read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    (tmp_path / "m.onnx").write_bytes(spoiled)
    with pytest.raises(ModelFileError, match="altered or damaged"):
        open_classifier(tmp_path / "m.onnx")


@pytest.fixture(scope="module")
def shipped():
    return bundled.entry()


def test_the_bundled_model_answers_alike_by_both(shipped, faces):
    onnx = open_classifier()
    assert onnx.backend == "onnx"
    assert onnx.name == shipped.name == bundled.names()[0]
    torch = TorchClassifier(shipped.weights, precision="fp32")
    found, wanted = onnx.classify(faces[:70]), torch.classify(faces[:70])
    assert np.abs(found.probabilities - wanted.probabilities).max() < 1e-4
    assert onnx.card["weights"]["checksum"] == load_model(shipped.weights).checksum


def test_bundled_weights_are_stored_once_and_verified(shipped, tmp_path):
    total = sum(path.stat().st_size for path in bundled.FOLDER.glob("*.*"))
    assert total <= 20_000_000
    assert shipped.onnx.stat().st_size < shipped.weights.stat().st_size / 5
    for path in (shipped.onnx, shipped.weights):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for path in tmp_path.iterdir():
        path.chmod(0o444)
    tmp_path.chmod(0o555)
    OnnxClassifier(tmp_path / shipped.onnx.name)
    tmp_path.chmod(0o755)
    (tmp_path / shipped.weights.name).unlink()
    with pytest.raises(ModelFileError, match="which is not beside it; copy both"):
        OnnxClassifier(tmp_path / shipped.onnx.name)
    save_model(tmp_path / shipped.weights.name, small())
    with pytest.raises(ModelFileError, match="belongs to another"):
        OnnxClassifier(tmp_path / shipped.onnx.name)


_BLOCKED = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {'torch', 'scipy', 'sklearn', 'matplotlib', 'safetensors',
                                      'onnx', 'onnxscript', 'lightning_fabric', 'captum', 'jinja2'}:
            raise ModelNotFound(name)
class ModelNotFound(ModuleNotFoundError):
    def __init__(self, name):
        super().__init__(f'no {name} here', name=name)
sys.meta_path.insert(0, Refuse())
"""


def test_the_base_needs_no_torch(tmp_path):
    code = _BLOCKED + (
        "import numpy as np\n"
        "from mien.predict.classifier import open_classifier\n"
        "found = open_classifier().classify(np.zeros((3, 1, 48, 48), np.uint8))\n"
        "print(found.probabilities.shape)\n"
        "from mien.app.cli import main\n"
        "for arguments in (['models'], ['card'], ['card', '--lang', 'zh-Hant'],\n"
        "                  ['export', 'x.safetensors']):\n"
        "    sys.argv = ['mien', *arguments]\n"
        "    try: main()\n"
        "    except SystemExit as ended: print('code', ended.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout.startswith("(3, 7)\n")
    assert done.stdout.count("code 0") == 3
    assert "code 2" in done.stdout
    assert "pip install 'mien[train]'" in done.stderr
    assert "5(1)(f)" in done.stdout
    assert "50(3)" in done.stdout


def test_a_model_without_a_form_says_what_to_install(tmp_path):
    save_model(tmp_path / "net.safetensors", small())
    code = _BLOCKED + (
        "from mien.predict.classifier import open_classifier\n"
        "from mien.errors import MissingExtraError\n"
        "try: open_classifier('net.safetensors')\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert "net.safetensors" in done.stdout
    assert "mien[train]" in done.stdout


def card(**changes):
    card = {"classes": ["a", "b"], "preprocessing": {"size": 8, "channels": 1}, "about": {}}
    return card | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["a", "a"]}, {"classes": ["a", "\x1b[2J"]}, {"classes": ["a", "b" * 101]},
        {"classes": ["a", 3]}, {"classes": "ab"}, {"classes": ["a"]}, {"classes": None},
        {"preprocessing": {"size": float("inf"), "channels": 1}}, {"about": []},
        {"preprocessing": {"size": "8", "channels": 1}}, {"preprocessing": "\x1b[2J"},
        {"preprocessing": {"size": True, "channels": 1}},
    ],
)  # fmt: skip
def test_a_card_that_promises_the_impossible(changes):
    assert read_shape(card(), Path("m.onnx")) == (("a", "b"), 8, 1)
    with pytest.raises(ModelFileError, match=r"m\.onnx: its (card|metadata) cannot") as caught:
        read_shape(card(**changes), Path("m.onnx"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", [True, "1", float("nan"), float("inf"), 10**400, [1]])
def test_a_threshold_that_is_no_number(value):
    assert _threshold({"novelty_threshold": 2}, Path("m.onnx")) == 2.0
    with pytest.raises(ModelFileError, match=r"m\.onnx: its card cannot be used"):
        _threshold({"novelty_threshold": value}, Path("m.onnx"))
