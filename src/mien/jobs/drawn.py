"""Attribution maps over faces that mien draws, one of each class, to be shown where people may not.

They show how the maps look on a face; the network may never have seen such drawings, so they are
no measure of anything.
"""

import io

import numpy as np

from mien.data.synthetic import generate
from mien.errors import DataError
from mien.explain.attribution import METHODS, attribute
from mien.jobs.subject import probabilities
from mien.labels import CLASSES, class_of
from mien.models.checkpoint import load_model
from mien.runs import Run, read_json, write_atomic, write_json

_SEED = 0
_DEFAULT = "gradient_x_input"


def drawn(run: Run, *, method: str = "") -> None:
    """Write ``explain/drawn.json`` and ``.npz`` into the run folder.

    The arrays: images uint8, maps float16 to be multiplied by ``scale``.

    method: by default that of the run's own maps.

    Raises:
        DataError: the network knows none of the classes that mien draws.
    """
    model = load_model(run.path)
    method = method or _method_of(run)
    kept = {class_of(name): name for name in model.classes}
    faces = generate(len(CLASSES) * 8, seed=_SEED, size=model.config.size)
    rows = [
        int(np.flatnonzero(faces.labels == k)[0])
        for k, name in enumerate(CLASSES)
        if name in kept and (faces.labels == k).any()
    ]
    if not rows:
        raise DataError("the network knows none of the classes that mien draws")
    images = np.repeat(faces.images[rows], model.config.channels, axis=1)
    found = attribute(model.network, images, method=method)
    p = probabilities(found.logits)
    examples = [
        {"label": kept[CLASSES[faces.labels[row]]],
         "predicted": model.classes[int(found.logits[n].argmax())],
         "probabilities": p[n].round(6).tolist()}
        for n, row in enumerate(rows)
    ]  # fmt: skip
    folder = run.path / "explain"
    folder.mkdir(exist_ok=True)
    content = io.BytesIO()
    scale = np.float32(max(float(np.abs(found.maps).max()), 1e-30))
    np.savez_compressed(content, images=images, maps=(found.maps / scale).astype(np.float16),
                        scale=scale)  # fmt: skip
    write_atomic(folder / "drawn.npz", content.getvalue())
    write_json(folder / "drawn.json", {
        "method": method, "title": METHODS[method].title, "seed": _SEED,
        "model_checksum": model.checksum, "examples": examples,
    })  # fmt: skip


def _method_of(run: Run) -> str:
    file = run.path / "explain/saliency.json"
    chosen = str(read_json(file).get("method", "")) if file.is_file() else ""
    return chosen if chosen in METHODS else _DEFAULT
