"""What is fuzzed: each target takes bytes, and raises only where mien has a defect.

A target lets pass what mien says in its own words (one line, printable); everything else that
escapes is a finding, as is a message of several lines. ``run.py`` feeds them with atheris,
``test_targets.py`` with a few hundred mutants.
"""

import io
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mien.data.archives import open_files
from mien.data.files import Limits
from mien.data.pictures import decode
from mien.data.sources import read
from mien.errors import MienError

FOLDER = tempfile.TemporaryDirectory(prefix="mien-fuzz-")
LIMITS = Limits(picture=2**16, member=2**18, total=2**20, entries=100, ratio=50, slack=2**16)


class Defect(Exception):  # noqa: N818  it is what a fuzzer is to find
    """mien said something that it should not."""


def _told(error: MienError) -> None:
    if not str(error).isprintable() or len(str(error)) > 3000:
        raise Defect(repr(str(error))) from error


def _written(name: str, data: bytes) -> Path:
    path = Path(FOLDER.name) / name
    path.write_bytes(data)
    return path


def csv(data: bytes) -> None:
    """A csv of faces, strictly and with bad rows left out."""
    for skip_bad in (False, True):
        try:
            images = read(_written("faces.csv", data), size=8, cache=False, skip_bad=skip_bad)
        except MienError as error:
            _told(error)
            continue
        assert images.images.shape == (len(images), 1, 8, 8)
        assert len(images) == len(images.labels) == len(images.ids)
        assert images.labels.min() >= 0
        assert images.labels.max() < len(images.classes)


def archive(data: bytes) -> None:
    """A zip or tar: listed and read through; nothing is written, nothing unfolds too far."""
    path = _written("source.bin", data)
    before = set(Path(FOLDER.name).iterdir())
    try:
        with open_files(path, LIMITS) as files:
            total = sum(len(found) for _, found in files.read_each(files.names)
                        if isinstance(found, bytes))  # fmt: skip
            assert total <= LIMITS.total
            assert not any(".." in name.split("/") or name[:1] == "/" for name in files.names)
    except MienError as error:
        _told(error)
    assert set(Path(FOLDER.name).iterdir()) == before


def model(data: bytes) -> None:
    """A model file, and the same with a checksum that fits."""
    from mien.models.checkpoint import load_model

    for content in {data, resealed(data)}:
        try:
            loaded = load_model(_written("model.safetensors", content))
        except MienError as error:
            _told(error)
            continue
        assert len(loaded.classes) == loaded.config.classes


def picture(data: bytes) -> None:
    """One encoded picture, grey and in colour."""
    for colour in (False, True):
        try:
            pixels, _ = decode(data, "x.png", size=16, colour=colour)
        except MienError as error:
            _told(error)
            continue
        assert pixels.shape == (3 if colour else 1, 16, 16)
        assert pixels.dtype == np.uint8


def run(data: bytes) -> None:
    """A file of a run folder: its record, history, or the hashes of its training pictures.

    The first byte says which; the rest is the file.
    """
    from mien.jobs.hashes import read_training_hashes
    from mien.jobs.train import recorded
    from mien.runs import Run
    from mien.train.history import read_history

    here = Run(Path(FOLDER.name))
    which = data[:1]
    try:
        if which == b"h":
            rows = read_history(_written("history.csv", data[1:]))
            assert all(isinstance(row.epoch, int) for row in rows)
        elif which == b"n":
            _written("training_hashes.npy", data[1:])
            hashes = read_training_hashes(here.path)
            assert hashes is not None
            assert hashes.nbytes <= len(data)
        else:
            _written("run.json", data[1:])
            options, recipe, _ = recorded(here)
            assert isinstance(options.source, str)
            assert recipe.batch_size >= 2
    except MienError as error:
        _told(error)


def predictions(data: bytes) -> None:
    """A file of predictions."""
    from mien.evaluate.predictions import read_predictions

    try:
        found = read_predictions(_written("predictions.parquet", data))
    except MienError as error:
        _told(error)
        return
    assert found.logits.shape == (len(found.ids), len(found.classes))
    assert np.isfinite(found.logits).all()


def onnx(data: bytes) -> None:
    """An ONNX file as far as it is read before a runtime sees it, and the same with a good sum."""
    from mien.models.confidence import read_confidence
    from mien.models.onnx_file import parse_onnx, seal_onnx
    from mien.predict.classifier import read_shape

    digits = re.search(rb'{"checksum":"([0-9a-f]{64})', data)
    start = digits.start(1) if digits else 0
    sealed = seal_onnx(data[:start] + b"0" * 64 + data[start + 64 :]) if digits else data
    for content in {data, sealed}:
        try:
            found = parse_onnx(content, "model.onnx")
            classes, _, _ = read_shape(found.meta, Path("model.onnx"))
            assert len(set(classes)) == len(classes) >= 2
            read_confidence(found.meta["about"])
        except MienError as error:
            _told(error)


def resealed(data: bytes) -> bytes:
    """``data`` with the checksum of a model file made right, where it has one."""
    from mien.models.card import seal

    end = 8 + int.from_bytes(data[:8], "little")
    mark = b'\\"checksum\\":\\"'
    place = data.find(mark, 8, end)
    if place < 0:
        return data
    place += len(mark)
    try:
        return seal(data[:place] + b"0" * 64 + data[place + 64 :])
    except ValueError:
        return data


def seeds(name: str) -> list[bytes]:
    """Good inputs of a target, which a fuzzer starts from."""
    made: list[bytes] = {
        "csv": _csvs, "archive": _archives, "model": _models, "picture": _pictures, "run": _runs,
        "predictions": _predictions, "onnx": _onnx,
    }[name]()  # fmt: skip
    return made


def _csvs() -> list[bytes]:
    cells = " ".join(map(str, range(64)))
    row = f'3,{cells},Training\n4,"{cells}",PublicTest\n'
    return [
        f"{head}\n{row}".encode()
        for head in ("emotion,pixels,Usage", "\ufeffemotion, pixels,usage")
    ]


def _pictures() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    found = []
    for mode, formats in (
        ("RGB", ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM")), ("L", ("JPEG", "PNG", "TIFF")),
        ("P", ("GIF", "PNG")), ("RGBA", ("PNG", "WEBP", "TIFF")), ("1", ("PNG", "TIFF", "PPM")),
    ):  # fmt: skip
        for format in formats:
            stream = io.BytesIO()
            Image.fromarray(pixels).convert(mode).save(stream, format)
            found.append(stream.getvalue())
    return found


def _archives() -> list[bytes]:
    files = {"train/happy/1.png": _pictures()[1], "test/sad/2.csv": b"a,b\n1,2\n"}
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as packed:
            for name, data in files.items():
                packed.writestr(name, data)
        found.append(stream.getvalue())
    for mode, format in (("w", tarfile.PAX_FORMAT), ("w:gz", tarfile.GNU_FORMAT)):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode, format=format) as tar:  # type: ignore[call-overload]
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        found.append(stream.getvalue())
    return found


def _models() -> list[bytes]:
    import torch

    from mien.models.checkpoint import Model, model_bytes
    from mien.models.registry import ARCHITECTURES, build

    small = {"cnn4": {"widths": (1, 1, 1, 1), "hidden": (2, 2)},
             "residual": {"stem": 1, "widths": (1, 1, 1, 1), "blocks": (1, 1, 1, 1)},
             "wide": {"widths": (1, 1, 1)}}  # fmt: skip
    found = []
    for name, fields in small.items():
        torch.manual_seed(0)
        config = ARCHITECTURES[name].config(size=16, classes=2, **fields)
        network = build(name, config).eval()
        found.append(model_bytes(
            Model(network=network, architecture=name, config=config, classes=("a", "b"))
        ))  # fmt: skip
    return found


def _runs() -> list[bytes]:
    import json
    from dataclasses import asdict

    from mien.jobs.train import TrainOptions
    from mien.train.history import Row, history_csv
    from mien.train.recipes import demo, recipe_to_json

    record = {"format": 1, "options": asdict(TrainOptions(source="faces")), "ranks": 1,
              "recipe": recipe_to_json(demo()), "data": {"fingerprint": "0" * 32}}  # fmt: skip
    row = dict.fromkeys(Row.__dataclass_fields__, 0.5) | {"epoch": 1}
    hashes = io.BytesIO()
    np.save(hashes, np.array([b"0" * 32, b"a" * 32]))
    return [b"j" + json.dumps(record).encode(), b"h" + history_csv([Row(**row)] * 2).encode(),  # type: ignore[arg-type]
            b"n" + hashes.getvalue()]  # fmt: skip


def _predictions() -> list[bytes]:
    from mien.evaluate.predictions import write_predictions
    from mien.types import Outputs

    N = 5
    outputs = Outputs(
        ids=np.array([f"a/{k}.png" for k in range(N)]), splits=np.array(["test"] * N),
        labels=np.arange(N) % 2, logits=np.linspace(-1, 1, 2 * N, dtype=np.float32).reshape(N, 2),
        hashes=np.array([f"{k:032x}" for k in range(N)]), copied=np.zeros(N, np.bool_),
        classes=("a", "b"), about={"model": "x"},
    )  # fmt: skip
    path = Path(FOLDER.name) / "seed.parquet"
    write_predictions(path, outputs)
    return [path.read_bytes()]


def _onnx() -> list[bytes]:
    """One linear layer's graph, written by hand: fields of onnx.proto3."""
    from mien.models.onnx_file import onnx_metadata, seal_onnx

    def part(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + _varint(len(content)) + content

    confidence = {"temperature": 1.5, "unsure": [], "flip": False, "fitted_on": {}}
    about = {"classes": ["a", "b"], "about": {"calibration": confidence},
             "preprocessing": {"size": 8, "channels": 1}}  # fmt: skip
    weights = b"\x08\x02\x10\x01" + part(8, b"w") + part(9, b"\0" * 8)
    node = part(1, b"images") + part(1, b"w") + part(2, b"probabilities") + part(4, b"MatMul")
    graph = part(1, node) + part(2, b"g") + part(5, weights)
    entry = part(1, b"mien") + part(2, onnx_metadata(about).encode())
    content = b"\x08\x0a" + part(7, graph) + part(8, b"\x10\x12") + part(14, entry)
    return [seal_onnx(content)]


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


TARGETS: dict[str, Callable[[bytes], None]] = {
    "csv": csv, "archive": archive, "model": model, "picture": picture, "run": run,
    "predictions": predictions, "onnx": onnx,
}  # fmt: skip
