"""The verb ``explain`` on pictures: overlays and arrays for face crops that a user names."""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.pictures import decode, describe
from mien.data.reading import How
from mien.errors import DataError, OptionError, RecordError, RunError
from mien.explain.attribution import METHODS, Attributions, attribute
from mien.explain.display import as_picture, overlay, scaled, shared_limit
from mien.jobs.evaluate import make_folder
from mien.jobs.sheet import write_png
from mien.jobs.subject import (
    ExplainOptions,
    Subject,
    class_index,
    class_names,
    count_classes,
    open_subject,
    probabilities,
)
from mien.jobs.verdicts import verdict_on
from mien.runs import write_atomic, write_json
from mien.train.hardware import choose_hardware
from mien.types import Problem, Progress, silent

_SHOWN = 384  # pixels of an overlay's side, at least


@dataclass(frozen=True, kw_only=True, eq=False)
class Explained:
    """N pictures explained, as in ``maps.npz`` and ``maps.json``.

    report: the JSON. overlays: the PNGs, in the pictures' order. images: uint8 N×C×H×W. maps:
    float32 N×H×W. limit: the value shown in full colour, shared. problems: pictures left out.
    """

    folder: Path
    report: dict[str, Any]
    overlays: tuple[Path, ...]
    images: NDArray[np.uint8]
    maps: NDArray[np.float32]
    limit: float
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def explain_images(
    model: str,
    paths: list[Path] | list[str],
    options: ExplainOptions | None = None,
    *,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> Explained:
    """Explain face crops; each picture is the whole face, brought to the network's size.

    Writes ``<name>-<method>.png`` for each and ``maps.npz`` (maps, logits, targets, rivals, names)
    to ``out``; or to ``explain/pictures`` of the model's run; or to ``<model's name>-explain``.
    A picture that cannot be read is a problem, and the others go on.

    Raises:
        MienError: bad model or options, or no picture that can be read.
    """
    options = options or ExplainOptions()
    subject = open_subject(model, options.input_shape)
    paths = [Path(path) for path in paths]
    images, good, problems, notes = _read(subject, paths)
    K = count_classes(subject, images[0])
    classes = class_names(subject, K)
    target, against = (
        class_index(name, classes, option) if name else None
        for name, option in ((options.target, "--target"), (options.against, "--against"))
    )
    if target is not None and target == against:
        raise OptionError(f"--against {options.against}: the same class as --target")
    found = attribute(
        subject.opened.network, images, method=options.method, options=options.options,
        targets=None if target is None else np.full(len(images), target),
        rivals=None if against is None else np.full(len(images), against),
        as_input=subject.opened.as_input, progress=progress,
        device=choose_hardware(accelerator=options.device, precision="fp32").accelerator,
    )  # fmt: skip
    folder = Path(out) if out else _folder(subject)
    make_folder(folder)
    limit = shared_limit([found.maps])
    overlays = _overlays(folder, good, options.method, images, found.maps, limit)
    notes = (*subject.opened.notes, *notes, *found.notes)
    report = {
        "method": options.method,
        "title": METHODS[options.method].title,
        "layer": found.options.layer,
        "options": {n: getattr(options.options, n) for n in METHODS[options.method].heeds},
        "model": subject.opened.name,
        "model_checksum": subject.checksum,
        "classes": list(classes),
        "against": None if against is None else classes[against],
        "limit": limit,
        "pictures": _pictures(good, overlays, found),
        "problems": [str(problem) for problem in problems],
        "trust": verdict_on(subject, options.method),
        "notes": list(notes),
    }
    _write(folder, report, found, good)
    return Explained(folder=folder, report=report, overlays=overlays, images=images,
                     maps=found.maps, limit=limit, problems=problems, notes=notes)  # fmt: skip


def _pictures(
    paths: list[Path], overlays: tuple[Path, ...], found: Attributions
) -> list[dict[str, Any]]:
    shares = probabilities(found.logits)
    return [
        {
            "file": str(path),
            "overlay": overlays[n].name,
            "predicted": int(found.logits[n].argmax()),
            "target": int(found.targets[n]),
            "probabilities": [round(float(p), 6) for p in shares[n]],
        }
        for n, path in enumerate(paths)
    ]


def _read(
    subject: Subject, paths: list[Path]
) -> tuple[NDArray[np.uint8], list[Path], tuple[Problem, ...], tuple[str, ...]]:
    """Pictures at the network's size, their paths, those that cannot be read, and notes."""
    images, good, problems = [], [], []
    done: Counter[str] = Counter()
    for path in paths:
        try:
            pixels, words = decode(
                path.read_bytes(), str(path), size=subject.side, colour=subject.colour
            )
        except OSError as error:
            problems.append(Problem(where=str(path), what=str(error.strerror or error)))
        except RecordError as error:
            problems.append(Problem(where=str(path), what=str(error).removeprefix(f"{path}: ")))
        else:
            images.append(pixels)
            good.append(path)
            done.update(words)
    if not images:
        raise DataError(str(problems[0]) if problems else "name at least one picture")
    how = How(size=subject.side, colour=subject.colour)
    return np.stack(images), good, tuple(problems), describe(done, how)


def _overlays(
    folder: Path,
    paths: list[Path],
    method: str,
    images: NDArray[np.uint8],
    maps: NDArray[np.float32],
    limit: float,
) -> tuple[Path, ...]:
    """One PNG for each picture, all on one scale."""
    taken, written = {path.resolve() for path in paths}, []
    for path, image, one in zip(paths, images, maps, strict=True):
        name, number = f"{path.stem}-{method}", 1
        place = folder / f"{name}.png"
        while place.resolve() in taken:  # neither the user's pictures nor two of one name
            number += 1
            place = folder / f"{name}-{number}.png"
        taken.add(place.resolve())
        times = max(1, -(-_SHOWN // one.shape[0]))
        laid = overlay(scaled(one, limit), as_picture(image))
        write_png(place, laid.repeat(times, axis=0).repeat(times, axis=1))
        written.append(place)
    return tuple(written)


def _folder(subject: Subject) -> Path:
    if subject.home is None:
        return Path(f"{subject.stem}-explain")
    return subject.home / "explain" / "pictures"


def _write(folder: Path, report: dict[str, Any], found: Attributions, paths: list[Path]) -> None:
    arrays: dict[str, Any] = {
        "maps": found.maps,
        "logits": found.logits,
        "targets": found.targets,
        "names": np.array([str(path) for path in paths]),
    }
    if found.rivals is not None:
        arrays["rivals"] = found.rivals
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    try:
        write_atomic(folder / "maps.npz", content.getvalue())
        write_json(folder / "maps.json", report)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written ({error.strerror}); name another with --out"
        ) from error
