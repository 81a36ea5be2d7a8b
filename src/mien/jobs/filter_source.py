"""What the verb ``filters`` looks at: options, pictures, names, the folder for the results."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.explain.filters import evidence, patterns
from mien.jobs.evaluate import as_trained, choose_split, data_options, split_name
from mien.jobs.prepare import DataOptions, read_source
from mien.jobs.subject import Subject
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
    subject: Subject, source: str, how: FilterOptions, progress: Progress
) -> tuple[ImageSet, list[str]]:
    """The pictures to look at, whatever their labels, and notes on them.

    Raises:
        MienError: the source cannot be used, or has no such split.
    """
    data = replace(how.data, size=subject.side, colour=subject.colour)
    held: tuple[str, ...] = ()
    if subject.model is not None:
        data = data_options(subject.model, data, subject.home, source)
    images = read_source(source, data, progress=progress)
    if subject.model is not None:
        images, held = as_trained(images, subject.model)
    notes = [*images.notes, *held]
    index = choose_split(images, split_name(how.split))
    if how.limit and how.limit < len(index):
        rng = np.random.default_rng(how.seed)
        index = np.sort(rng.choice(index, how.limit, replace=False))
        notes.append(f"{how.limit:,} pictures of the split, drawn at random")
    return images.take(index), notes


def results_folder(subject: Subject, out: Path | str | None) -> Path:
    """``out``, else the run that the model lies in, else a folder of its own."""
    return Path(out) if out is not None else subject.home or Path(f"{subject.stem}-filters")
