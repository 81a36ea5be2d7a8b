"""The verb ``draw``: procedural faces as a contact sheet or as a data set."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np

from mien.data.synthetic import generate
from mien.errors import RunError
from mien.jobs.sheet import contact_sheet, write_png
from mien.labels import CLASSES
from mien.runs import write_atomic
from mien.types import Progress, silent

_TEST_SHARE = 0.1


def draw_sheet(out: Path, count: int, *, seed: int = 0, region: str | None = None) -> None:
    """Write a PNG with a row of faces for each class, its name beside it.

    Raises:
        OptionError: no such region. RunError: the file cannot be written.
    """
    faces = generate(count, seed=seed, region=region)
    rows = [(name, faces.images[faces.labels == number]) for number, name in enumerate(CLASSES)]
    write_png(out, contact_sheet(rows))


def draw_archive(
    out: Path,
    count: int,
    *,
    seed: int = 0,
    region: str | None = None,
    progress: Progress = silent,
) -> None:
    """Write a .zip of ``train/CLASS/NNNNNN.png`` and, a tenth, ``test/CLASS/NNNNNN.png``.

    Raises:
        OptionError: no such region. RunError: the file cannot be written.
    """
    faces = generate(count, seed=seed, region=region, progress=progress)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for number, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
            split = "test" if number >= count * (1 - _TEST_SHARE) else "train"
            done, png = cv2.imencode(".png", image[0])
            assert done
            # A fixed date, so that the same seed writes the same bytes.
            name = zipfile.ZipInfo(f"{split}/{CLASSES[label]}/{number:06d}.png")
            archive.writestr(name, np.asarray(png).tobytes())
            if number % 500 == 0:
                progress("writing", number, count)
    try:
        write_atomic(out, content.getvalue())
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error.strerror})") from error
