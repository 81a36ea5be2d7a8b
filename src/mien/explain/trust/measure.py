"""Runs the tests of one method, or of one know-nothing baseline, on one network: raw numbers.

What it gives are numbers for each image, so that parts measured on several networks can be joined
before any interval is made. N images of the curves, M of the randomisation, L layers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.explain.attribution import METHODS, as_float, attribute
from mien.explain.options import Options
from mien.explain.trust.baselines import BASELINES
from mien.explain.trust.curves import Prober
from mien.explain.trust.one_region import mass, pointing
from mien.explain.trust.randomise import Explain, Group, randomisation
from mien.explain.trust.similarity import between_images, spearman
from mien.types import Progress, silent

Floats = NDArray[np.float64]


# Images that meet randomised networks: each costs 2·L maps, so slow methods get fewer.
RANDOMISED = {"single": 96, "many": 32}
DRAWS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """float64 arrays; those of tests that were not run are empty.

    deletion, insertion: N, areas under the curves, 0..1. deletion_curve, insertion_curve: S+1,
    means over the images. mass, pointing: N, see ``one_region``. cascade, alone: L×M, similarities
    from the last layer to the first. between: M. draw: M, which random network. labels: N,
    similarity to the maps of the network that learned shuffled labels. between_all: N. other: N,
    similarity to the maps of another network fitted to the true labels.
    """

    deletion: Floats
    insertion: Floats
    deletion_curve: Floats
    insertion_curve: Floats
    mass: Floats
    pointing: Floats
    cascade: Floats
    alone: Floats
    between: Floats
    draw: Floats
    labels: Floats
    between_all: Floats
    other: Floats

    def arrays(self) -> dict[str, Floats]:
        """By name, as they are saved."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A network under test with the images and the classes explained, and what was prepared.

    images: uint8 N×C×H×W. targets: int64 N. prober: for the curves of these images. groups: its
    layers. masks: bool N×H×W where one region carries the label. shuffled: the network fitted to
    shuffled labels. other: one fitted to the true labels from another start. randomised: how many
    of the images meet randomised networks, by a method's ``passes``.
    """

    network: nn.Module
    images: NDArray[np.uint8]
    targets: NDArray[np.int64]
    prober: Prober
    groups: Sequence[Group]
    masks: NDArray[np.bool_] | None = None
    shuffled: nn.Module | None = None
    other: nn.Module | None = None
    as_input: Callable[[Tensor], Tensor] = as_float
    randomised: Mapping[str, int] = field(default_factory=lambda: RANDOMISED)
    seed: int = 0

    def explain(self, method: str, network: nn.Module | None = None) -> Explain:
        """A function from pictures and classes to maps of ``method``."""

        def run(images: NDArray[np.uint8], targets: NDArray[np.int64]) -> NDArray[Any]:
            return attribute(
                network or self.network, images, method=method, targets=targets,
                as_input=self.as_input, options=Options(seed=self.seed),
            ).maps  # fmt: skip

        return run


def measure_method(name: str, subject: Subject, *, progress: Progress = silent) -> Measured:
    """All tests of method ``name``; ``progress`` is told (stage, done, total) of each."""
    images, targets = subject.images, subject.targets
    N = len(images)
    maps = attribute(
        subject.network, images, method=name, targets=targets, as_input=subject.as_input,
        options=Options(seed=subject.seed),
        progress=lambda _, done, total: progress("maps", done, total),
    ).maps  # fmt: skip
    few = slice(0, min(N, subject.randomised[METHODS[name].passes]))
    random = randomisation(
        subject.network, images[few], targets[few], subject.explain(name), subject.groups,
        draws=DRAWS, seed=subject.seed, stage="randomised weights", progress=progress,
    )  # fmt: skip
    found = _with_curves(maps, subject, progress)
    found |= {
        "cascade": random.cascade,
        "alone": random.alone,
        "between": random.between,
        "draw": random.draw.astype(np.float64),
        "between_all": between_images(maps),
    }
    for key, network in (("labels", subject.shuffled), ("other", subject.other)):
        if network is not None:
            found[key] = spearman(maps, subject.explain(name, network)(images, targets))
    return _measured(found)


def measure_baseline(name: str, subject: Subject, *, progress: Progress = silent) -> Measured:
    """Curves and region scores of baseline ``name``; a randomised network cannot change it."""
    maps = BASELINES[name].run(subject.images, subject.seed)
    return _measured(_with_curves(maps, subject, progress))


def joined(parts: Sequence[Measured]) -> Measured:
    """The same tests on several networks as one: images in a row, random draws kept apart."""
    found: dict[str, Any] = {}
    for name in parts[0].arrays():
        arrays = [part.arrays()[name] for part in parts]
        if name == "draw":
            arrays = [draw + number * DRAWS for number, draw in enumerate(arrays)]
        if name.endswith("_curve"):
            found[name] = np.mean(arrays, axis=0)
        else:
            found[name] = np.concatenate(arrays, axis=-1)
    return _measured(found)


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Measured:
    """What ``Measured.arrays`` gave."""
    return _measured(dict(arrays))


def _with_curves(maps: NDArray[Any], subject: Subject, progress: Progress) -> dict[str, Any]:
    curves = subject.prober.curves(maps, stage="curves", progress=progress)
    found: dict[str, Any] = {
        "deletion": curves.deletion_area,
        "insertion": curves.insertion_area,
        "deletion_curve": curves.deletion.mean(axis=0, dtype=np.float64),
        "insertion_curve": curves.insertion.mean(axis=0, dtype=np.float64),
    }
    if subject.masks is not None:
        found["mass"] = mass(maps, subject.masks)
        found["pointing"] = pointing(maps, subject.masks)
    return found


def _measured(found: Mapping[str, Any]) -> Measured:
    empty = np.empty(0)
    return Measured(**{
        one.name: np.asarray(found.get(one.name, empty), dtype=np.float64)
        for one in fields(Measured)
    })  # fmt: skip
