"""What the verb ``filters`` looks at: options, pictures, names, the folder for the results."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.config import from_json
from mien.errors import DataError, OptionError, RunError
from mien.explain.filters import evidence, patterns
from mien.jobs.evaluate import choose_split, split_name
from mien.jobs.foreign import Opened
from mien.jobs.prepare import DataOptions, absolute, read_source, with_validation
from mien.jobs.start import held_out_by
from mien.labels import CLASSES
from mien.models.checkpoint import Model, load_model
from mien.runs import Run
from mien.types import ImageSet, Progress

DRAWN = 48  # filters, unless asked otherwise


@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """layer: as ``named_modules`` calls it; empty: the last convolution.

    split: as for ``evaluate``. limit: pictures of it to look at, drawn at random; 0 for all.
    filters: ``N`` for the most influential, ``all``, or numbers as ``1,5,9``. patches: real ones a
    filter. seeds, steps: of the patterns. seed: of everything.
    """

    layer: str = ""
    split: str = "validation"
    filters: str = str(DRAWN)
    patches: int = 9
    seeds: int = 2
    steps: int = 48
    limit: int = 0
    seed: int = 0
    input_shape: str = ""
    data: DataOptions = field(default_factory=DataOptions)
    accelerator: str = "cpu"

    def __post_init__(self) -> None:
        """Check what no other part does.

        Raises:
            OptionError: a field cannot be used.
        """
        if not 1 <= self.patches <= evidence.KEPT:
            raise OptionError(f"patches {self.patches}: 1 to {evidence.KEPT}")
        if self.limit < 0:
            raise OptionError(f"limit {self.limit}: 0 for all, or a number of pictures")
        patterns.PatternOptions(seeds=self.seeds, steps=self.steps, seed=self.seed)


def asked_filters(text: str, F: int) -> NDArray[np.int64] | int:
    """Numbers of filters, or how many of the most influential."""
    if text == "all":
        return np.arange(F)
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if not numbers:
        raise OptionError(f"--filters {text}: all, a number such as 48, or a list such as 1,5,9")
    if "," not in text:
        if numbers[0] < 1:
            raise OptionError(f"--filters {text}: draw at least 1 filter")
        return min(numbers[0], F)
    if min(numbers) < 0 or max(numbers) >= F:
        raise OptionError(f"--filters {text}: the layer has the filters 0 to {F - 1}")
    return np.array(sorted(set(numbers)))


def pictures_for(
    model: str, source: str, opened: Opened, how: FilterOptions, progress: Progress
) -> tuple[ImageSet, tuple[str, ...], str, list[str]]:
    """The pictures to look at, names of the logits, the model's checksum, notes."""
    if len(opened.shape) != 3 or opened.shape[1] != opened.shape[2] or opened.shape[0] not in (
        1, 3):  # fmt: skip
        raise DataError(f"pictures are 1 or 3 channels and square; the network takes "
                        f"{'×'.join(map(str, opened.shape))}")  # fmt: skip
    own = load_model(model) if opened.own else None
    data = replace(_data_options(model, own, source, how.data), size=opened.shape[1],
                   colour=opened.shape[0] == 3)  # fmt: skip
    images = read_source(source, data, progress=progress)
    notes = list(images.notes)
    seed = held_out_by(own, images) if own else None
    if seed is not None:
        images = with_validation(images, seed)
        notes.append("validation is the tenth of training that the model did not train on")
    index = choose_split(images, split_name(how.split))
    if how.limit and how.limit < len(index):
        rng = np.random.default_rng(how.seed)
        index = np.sort(rng.choice(index, how.limit, replace=False))
        notes.append(f"{how.limit:,} pictures of the split, drawn at random")
    names = own.classes if own else images.classes
    checksum = own.checksum if own else _weights_hash(opened)
    return images.take(index), names, checksum, notes


def _data_options(model: str, own: Model | None, source: str, options: DataOptions) -> DataOptions:
    """Where the model lies in its run, pictures are read as the run read them."""
    home = _home(model) if own else None
    if own is None or home is None:
        return options
    try:
        record = Run.open(home).read_record()["options"]
        run = from_json(DataOptions, record["data"])
        same = record["source"] == absolute(source)
    except (KeyError, TypeError, OptionError) as error:
        raise RunError(f"{home}/run.json: cannot be used ({error})") from error
    return replace(
        options, format=options.format or (run.format if same else ""),
        map=options.map or run.map, skip_bad=options.skip_bad or (run.skip_bad and same),
        classes=run.classes if own.classes == CLASSES else "found",
    )  # fmt: skip


def _weights_hash(opened: Opened) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(opened.network.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _home(model: str) -> Path | None:
    path = Path(model)
    for folder in (path, path.parent):
        if (folder / "run.json").is_file():
            return folder
    return None


def results_folder(model: str, opened: Opened, out: Path | str | None) -> Path:
    """``out``, else the run that the model lies in, else a folder of its own."""
    if out is not None:
        return Path(out)
    home = _home(model) if opened.own else None
    stem = Path(model.rpartition(":")[0] or model).stem
    return home or Path(f"{stem}-filters")
