"""Drawn faces as a source: ``synthetic:20000`` or ``synthetic:20000:seed=3:region=mouth``."""

from dataclasses import dataclass

import numpy as np

from mien.data.reading import TEST, TRAIN, VALIDATION, Draft, How, text_array
from mien.errors import OptionError
from mien.labels import CLASSES

PREFIX = "synthetic:"
_MOST = 2_000_000


@dataclass(frozen=True)
class Drawing:
    """How many faces, from which seed, and the region that alone carries the label (or None)."""

    count: int
    seed: int = 0
    region: str | None = None


def parse(source: str) -> Drawing:
    """What ``source`` asks for.

    Raises:
        OptionError: it is not of the form, or the number is below 10 or above two million.
    """
    usage = f"{source}: write it as synthetic:20000 or synthetic:20000:seed=3"
    number, *pairs = source.removeprefix(PREFIX).split(":")
    options = dict(pair.partition("=")[::2] for pair in pairs)
    if not set(options) <= {"seed", "region"}:
        raise OptionError(usage)
    try:
        count, seed = int(number), int(options.get("seed", "0"))
    except ValueError as error:
        raise OptionError(usage) from error
    if not 10 <= count <= _MOST or not 0 <= seed < 2**32:
        raise OptionError(f"{source}: the number is 10 to {_MOST:,}, the seed 0 to 2³²-1")
    return Drawing(count, seed, options.get("region"))


def read(source: str, how: How) -> Draft:
    """Faces drawn from the seed: 80 % train, 10 % validation, 10 % test, at random.

    In grey the pixels are the generator's own, not a copy: a million of them fill 2.3 GB.

    Raises:
        OptionError: ``source`` is not of the form, or the size is not one that can be drawn.
    """
    from mien.data.synthetic import generate

    asked = parse(source)
    faces = generate(
        asked.count, seed=asked.seed, region=asked.region, size=how.size, progress=how.progress
    )
    images, labels = faces.images, faces.labels
    del faces
    tenth = asked.count // 10
    splits = np.full(asked.count, TRAIN, np.int8)
    order = np.random.default_rng((asked.seed, 1)).permutation(asked.count)
    splits[order[:tenth]] = VALIDATION
    splits[order[tenth : 2 * tenth]] = TEST
    return Draft(
        images=np.repeat(images, 3, axis=1) if how.colour else images,
        labels=labels,
        splits=splits,
        ids=text_array([f"face {number}" for number in range(asked.count)]),
        classes=CLASSES,
    )
