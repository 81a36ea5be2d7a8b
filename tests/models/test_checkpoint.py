"""Model files: what is written comes back; everything else is refused in one line."""

import json
import random
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save as save_safetensors

from mien.errors import ModelFileError
from mien.models.card import blank_metadata, read_card, seal
from mien.models.checkpoint import Model, load_model, model_bytes, save_model, unpack
from mien.models.cnn4 import CNN4, CNN4Config

CONFIG = CNN4Config(widths=(2, 3, 4, 5), hidden=(6, 5), classes=3)


@pytest.fixture
def model():
    torch.manual_seed(3)
    return Model(
        network=CNN4(CONFIG).eval(),
        architecture="cnn4",
        config=CONFIG,
        classes=("a", "b", "c"),
        about={"seed": 3},
    )


@pytest.fixture
def path(model, tmp_path):
    save_model(tmp_path / "model.safetensors", model)
    return tmp_path / "model.safetensors"


def test_round_trip(model, path):
    loaded = load_model(path)
    assert loaded.classes == model.classes
    assert loaded.config == model.config
    assert loaded.about == model.about
    assert not loaded.network.training
    image = torch.randint(0, 256, (4, 1, 48, 48), dtype=torch.uint8)
    assert torch.equal(loaded.network(image), model.network(image))


def test_same_model_same_bytes_and_a_checksum_of_all(model, path):
    assert model_bytes(model) == path.read_bytes()
    card = read_card(path)
    assert card["preprocessing"] == {
        "size": 48, "channels": 1, "dtype": "uint8", "range": [0, 255],
    }  # fmt: skip
    assert card["checksum"] == load_model(path).checksum


def test_every_altered_byte_is_refused(path):
    content = path.read_bytes()
    rng = random.Random(0)
    for _ in range(300):
        spoiled = bytearray(content)
        place = rng.randrange(len(content))
        spoiled[place] ^= 1 << rng.randrange(8)
        path.write_bytes(spoiled)
        with pytest.raises(ModelFileError) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def test_every_truncation_is_refused(path):
    content = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            load_model(path)


def forged(tensors, meta):
    """A file that an attacker sealed with a right checksum."""
    return seal(save_safetensors(tensors, metadata=blank_metadata("model", meta)))


def meta_of(path):
    card = read_card(path)
    return {k: v for k, v in card.items() if k not in ("checksum", "kind", "version")}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"architecture": "__import__('os')"}, "no network is called"),
        ({"config": {"widths": [10**12] * 4}}, "metadata|configuration|fit"),
        ({"config": {"widths": [10**30, 2, 2, 2], "classes": 3}}, "metadata|configuration"),
        ({"config": {"width": 3}}, "no such field"),
        ({"config": None}, "metadata"),
        ({"classes": ["a"]}, "1 class names for 3"),
        ({"classes": 7}, "metadata"),
        ({"about": "x"}, "metadata"),
    ],
)
def test_forged_metadata_is_refused(path, change, told):
    tensors, _ = unpack(path, "model")
    path.write_bytes(forged(tensors, {**meta_of(path), **change}))
    with pytest.raises(ModelFileError, match=told):
        load_model(path)


def test_forged_tensors_are_refused(path):
    tensors, _ = unpack(path, "model")
    meta = meta_of(path)
    name = "head.2.bias"
    for value in (torch.zeros(4), torch.zeros(3, dtype=torch.float64), torch.full((3,), torch.nan)):
        path.write_bytes(forged({**tensors, name: value}, meta))
        with pytest.raises(ModelFileError):
            load_model(path)
    path.write_bytes(forged({k: v for k, v in tensors.items() if k != name}, meta))
    with pytest.raises(ModelFileError, match=name):
        load_model(path)


def test_foreign_files_are_refused(path, tmp_path):
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(save_safetensors({"x": torch.zeros(2)}))
    with pytest.raises(ModelFileError, match="not one of mien's"):
        load_model(foreign)
    torch.save({"x": 1}, foreign)
    with pytest.raises(ModelFileError, match="not a mien file"):
        load_model(foreign)
    foreign.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(ModelFileError):
        load_model(foreign)
    foreign.write_bytes(struct.pack("<Q", 4) + b"[[[[")
    with pytest.raises(ModelFileError):
        load_model(foreign)
    header = json.dumps({"__metadata__": {"mien": "[" * 100_000}}).encode()
    foreign.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelFileError):
        load_model(foreign)


def test_a_state_is_not_a_model(path):
    with pytest.raises(ModelFileError, match="not a state"):
        unpack(path, "state")


def test_missing_and_folder(tmp_path):
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(ModelFileError, match=r"no model\.safetensors"):
        load_model(tmp_path)


def test_half_precision_comes_back_as_float32(model, path, tmp_path):
    model.network.normalise.mean.fill_(128.3)
    save_model(tmp_path / "half.safetensors", model, half=True)
    tensors, _ = unpack(tmp_path / "half.safetensors", "model")
    halved = {name for name, tensor in tensors.items() if tensor.dtype == torch.float16}
    assert halved == {n for n, t in model.network.state_dict().items()
                      if n.endswith(".weight") and t.ndim > 1}  # fmt: skip
    loaded = load_model(tmp_path / "half.safetensors").network.state_dict()
    for name, tensor in model.network.state_dict().items():
        assert loaded[name].dtype == tensor.dtype
        wanted = tensor.half().float() if name in halved else tensor
        assert torch.equal(loaded[name], wanted), name
    assert loaded["normalise.mean"].item() == pytest.approx(128.3, abs=1e-5)
    spoiled = bytearray((tmp_path / "half.safetensors").read_bytes())
    spoiled[-3] ^= 4
    (tmp_path / "half.safetensors").write_bytes(spoiled)
    with pytest.raises(ModelFileError, match="checksum"):
        load_model(tmp_path / "half.safetensors")


def test_half_precision_is_taken_only_where_the_file_says_so(path):
    tensors, _ = unpack(path, "model")
    meta, name = meta_of(path), "head.2.weight"
    path.write_bytes(forged({**tensors, name: tensors[name].half()}, meta))
    with pytest.raises(ModelFileError, match="does not fit"):
        load_model(path)
    for stored in ("float16", "int4", None):
        path.write_bytes(forged(tensors, {**meta, "stored": stored}))
        with pytest.raises(ModelFileError, match=r"precision|stored as"):
            load_model(path)
    bad = {n: t.half() if n.endswith(".weight") and t.ndim > 1 else t for n, t in tensors.items()}
    bad[name] = torch.full_like(bad[name], torch.inf)
    path.write_bytes(forged(bad, {**meta, "stored": "float16"}))
    with pytest.raises(ModelFileError, match="finite"):
        load_model(path)


def test_opening_a_model_does_not_load_torchs_compiler():
    """Filling tensors without storage would: a second more before each first answer."""
    program = (
        "import sys; from mien.predict.classifier import open_classifier as o; "
        "o('default', backend='torch'); sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
