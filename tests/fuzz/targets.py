"""What is fuzzed: each target takes bytes, and raises only where mien has a defect.

A target lets pass what mien says in its own words (one line, printable); everything else that
escapes is a finding, as is a message of several lines. ``run.py`` feeds them with atheris,
``test_targets.py`` with a few hundred mutants.
"""

import io
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
        "csv": _csvs, "archive": _archives, "model": _models, "picture": _pictures,
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


TARGETS: dict[str, Callable[[bytes], None]] = {
    "csv": csv, "archive": archive, "model": model, "picture": picture,
}  # fmt: skip
