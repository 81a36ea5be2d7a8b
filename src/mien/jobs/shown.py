"""What an explanation is about: a network, and the labelled images of a split as it takes them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.data import layout_synthetic
from mien.data.synthetic import generate
from mien.errors import DataError, NetworkError, OptionError, RunError
from mien.explain.attribution import as_float
from mien.explain.regions.template import Masks, from_masks, template
from mien.jobs.evaluate import choose_split, split_name
from mien.jobs.prepare import DataOptions
from mien.jobs.subject import Subject, open_subject, read_for
from mien.theory.formulas import by
from mien.theory.untouched import untouched
from mien.types import Progress, silent


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """images: uint8 N×C×H×W; labels: int64 N, 0..K-1; ids: N names; classes: K names.

    as_input: makes the network's float input of uint8 pixels. source: what was read. split: its
    name. subject: the network as it was opened. notes: sentences to show.
    """

    network: nn.Module
    as_input: Callable[[Tensor], Tensor]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    classes: tuple[str, ...]
    source: str
    split: str
    subject: Subject
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> "Shown":
        """The same cut down to the images at ``index``."""
        return replace(
            self, images=self.images[index], labels=self.labels[index], ids=self.ids[index]
        )


def subject(
    model: str,
    data: str,
    *,
    split: str = "validation",
    limit: int = 0,
    input_shape: str = "",
    options: DataOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Shown:
    """Open a network and read the labelled images of a split for it.

    limit: at most so many images, chosen at random; 0 for all. options: size and colour are
    always the network's.

    Raises:
        MienError: the model or the data cannot be used, or do not fit each other.
    """
    found, name = open_subject(model, input_shape), split_name(split)
    images, notes = read_for(found, data, options or DataOptions(), progress)
    labels = images.labels
    notes = (*found.opened.notes, *notes)
    chosen = choose_split(images, name)
    chosen = chosen[labels[chosen] >= 0]
    if len(chosen) == 0:
        raise DataError(f"{data}: the {name} split has no labelled images; choose another --split")
    if limit and limit < len(chosen):
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, size=limit, replace=False))
        notes += (f"{limit:,} images of the split, chosen at random",)
    shown = Shown(
        network=found.opened.network,
        as_input=as_float if found.opened.own else found.opened.as_input,
        images=images.images[chosen], labels=labels[chosen], ids=images.ids[chosen].astype(np.str_),
        classes=images.classes, source=data, split=name,
        subject=found, notes=notes,
    )  # fmt: skip
    _check_outputs(shown, model)
    return shown


def regions_of(shown: Shown, *, by_template: bool = False) -> Masks:
    """Where the regions lie: N×R×H×W the generator's own for drawn faces, else a template R×H×W."""
    height, width = shown.images.shape[-2:]
    if by_template or not shown.source.startswith(layout_synthetic.PREFIX):
        return template(height, width)
    asked = layout_synthetic.parse(shown.source)
    drawn = generate(asked.count, seed=asked.seed, region=asked.region, size=height, masks=True)
    index = np.array([int(name.removeprefix("face ")) for name in shown.ids])
    assert drawn.masks is not None
    return from_masks(drawn.masks[index])


def explain_folder(model: str, out: Path | str | None = None) -> Path:
    """Where results go: ``out``, else ``explain`` in the model's run, else beside where you are.

    Raises:
        RunError: it cannot be made.
    """
    path = Path(model)
    homes = [folder for folder in (path, path.parent) if (folder / "run.json").is_file()]
    stem = path.name.partition(":")[0].removesuffix(".py").removesuffix(".safetensors")
    folder = Path(out) if out else homes[0] / "explain" if homes else Path(f"{stem}-explain")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be made ({error.strerror}); name another folder with --out"
        ) from error
    return folder


def _check_outputs(shown: Shown, model: str) -> None:
    """Run two pictures, so that a network that does not fit fails before hours of work.

    Raises:
        NetworkError: it cannot run them. OptionError: its outputs are not the data's classes.
    """
    pixels = torch.from_numpy(np.array(shown.images[:2]))
    try:
        with untouched(shown.network), torch.no_grad():
            outputs = shown.network(shown.as_input(pixels))
    except Exception as error:
        said = (str(error).strip() or "no message").splitlines()[0]
        raise NetworkError(f"{model}: cannot run pictures {by(pixels.shape)}: {said}") from error
    if outputs.shape != (len(pixels), len(shown.classes)):
        raise OptionError(
            f"{model}: gives {by(tuple(outputs.shape))} for {len(pixels)} pictures, the data have "
            f"{len(shown.classes)} classes; choose a network or --classes that fit"
        )
