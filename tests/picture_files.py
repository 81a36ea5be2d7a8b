"""Small pictures and sources of them, made by the tests that read them."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.types import SPLITS, ImageSet


def face(seed: int, side: int = 48) -> NDArray[np.uint8]:
    """A grey picture that differs for every seed, side×side."""
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def encoded(pixels: NDArray[Any] | Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """``pixels`` as a picture file, without loss unless the format loses."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png(seed: int, side: int = 48) -> bytes:
    return encoded(face(seed, side))


def packed(kind: str, folder: Path, files: dict[str, bytes]) -> Path:
    """``files`` as a folder, a zip, a tar or a tar.gz inside ``folder``."""
    if kind == "folder":
        path = folder / "source"
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    elif kind == "zip":
        path = folder / "source.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        path = folder / f"source.{kind}"
        with tarfile.open(path, "w:gz" if kind != "tar" else "w") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


KINDS = ("folder", "zip", "tar", "tar.gz", "tgz")


def image_set(
    pictures: list[NDArray[np.uint8]], labels: list[int], splits: list[str], **fields: Any
) -> ImageSet:
    """A set in memory; pictures with equal pixels get equal hashes."""
    import hashlib

    images = np.stack(pictures)[:, None]
    hashes = [hashlib.blake2b(p.tobytes(), digest_size=16).hexdigest().encode() for p in images]
    return ImageSet(
        images=images,
        labels=np.array(labels, np.int64),
        splits=np.array([SPLITS.index(split) for split in splits], np.int8),
        ids=np.array([f"p{n}" for n in range(len(images))]),
        hashes=np.array(hashes, "S32"),
        classes=fields.pop("classes", ("angry", "disgust", "happy")),
        fingerprint="f" * 64,
        layout="folders",
        has_validation="validation" in splits,
        **fields,
    )
