"""Methods put to the test on drawn faces of which one region alone carries the label.

For each region a small network learns 4,000 such faces (``data.synthetic``), and new faces that it
has right are explained: what the map should show is known. The networks and the numbers do not
depend on a user's model; they are kept in mien's cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.config import to_json
from mien.data.synthetic import REGIONS, generate
from mien.errors import OptionError
from mien.explain.attribution import METHODS
from mien.explain.trust.baselines import BASELINES
from mien.explain.trust.curves import CurveOptions, Prober
from mien.explain.trust.measure import (
    Measured,
    Subject,
    from_arrays,
    joined,
    measure_baseline,
    measure_method,
)
from mien.explain.trust.one_region import area_share
from mien.explain.trust.randomise import layers
from mien.jobs import kept
from mien.jobs.fit import FitOptions, accuracy, fit
from mien.jobs.network import pixel_statistics
from mien.labels import CLASSES
from mien.models.blocks import Normalise
from mien.models.registry import build
from mien.train.hardware import choose_hardware
from mien.train.recipes import quick
from mien.types import Progress, silent


@dataclass(frozen=True, kw_only=True)
class RegionOptions:
    """training: faces that each network learns. explained: new faces drawn a region, of which
    those that the network has right are kept. seed: of the networks and of the random draws.
    """

    training: int = 4000
    epochs: int = 8
    explained: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: too few faces.
        """
        if self.training < 64 or self.explained < 16 or self.epochs < 1:
            raise OptionError("faces of one region: 64 or more to learn, 16 or more to explain")


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionFaces:
    """The network of one region and the faces that it has right.

    images: uint8 N×1×H×W. targets: int64 N. masks: bool N×H×W. accuracy: 0..1 on new faces.
    """

    region: str
    network: nn.Module
    images: NDArray[np.uint8]
    targets: NDArray[np.int64]
    masks: NDArray[np.bool_]
    accuracy: float


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionTable:
    """Methods and baselines on all regions together. n: faces. area: share of the masks.

    layers: from the last to the first. accuracies: of the networks by region, on new faces.
    """

    methods: dict[str, Measured]
    baselines: dict[str, Measured]
    layers: tuple[str, ...]
    accuracies: dict[str, float]
    n: int
    area: float


def region_table(
    methods: Sequence[str], options: RegionOptions | None = None, *, progress: Progress = silent
) -> RegionTable:
    """Measure ``methods`` and all baselines; what was measured before is taken from the cache."""
    options = options or RegionOptions()
    home = kept.shared_folder()
    faces = [_faces(region, home, options, progress) for region in REGIONS]
    code = kept.code_of_explain()
    subjects: dict[str, Subject] = {}
    found: dict[str, list[Measured]] = {name: [] for name in (*methods, *BASELINES)}
    total = len(faces) * len(found)
    for number, one in enumerate(faces):
        for place, (name, parts) in enumerate(found.items()):
            progress("one region: methods", number * len(found) + place, total)
            key = kept.key_of("one-region", code, to_json(options), one.region, name)
            arrays = kept.load_arrays(home, key)
            if arrays is None:
                if one.region not in subjects:
                    subjects[one.region] = _subject(one, options)
                run = measure_method if name in METHODS else measure_baseline
                arrays = run(name, subjects[one.region]).arrays()
                kept.keep_arrays(home, key, arrays)
            parts.append(from_arrays(arrays))
    progress("one region: methods", total, total)
    groups = layers(faces[0].network, torch.from_numpy(faces[0].images[:2]))
    return RegionTable(
        methods={name: joined(found[name]) for name in methods},
        baselines={name: joined(found[name]) for name in BASELINES},
        layers=tuple(group.name for group in reversed(groups)),
        accuracies={one.region: one.accuracy for one in faces},
        n=sum(len(one.images) for one in faces),
        area=float(np.concatenate([area_share(one.masks) for one in faces]).mean()),
    )


def curve_precision() -> str:
    """``bf16`` where the processor has units for it, else ``fp32``.

    On FER2013 the areas of single precision and bf16 differ by 0.0004 in the mean.
    """
    return choose_hardware(accelerator="cpu", precision="auto").precision


def _subject(one: RegionFaces, options: RegionOptions) -> Subject:
    def as_is(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float()

    prober = Prober(
        one.network,
        one.images,
        one.targets,
        CurveOptions(seed=options.seed, precision=curve_precision()),
        as_input=as_is,
    )
    groups = layers(one.network, torch.from_numpy(one.images[:2]))
    return Subject(
        network=one.network, images=one.images, targets=one.targets, prober=prober, groups=groups,
        masks=one.masks, randomised={"single": 32, "many": 8}, as_input=as_is, seed=options.seed,
    )  # fmt: skip


def _faces(
    region: str, home: Path | None, options: RegionOptions, progress: Progress
) -> RegionFaces:
    config = replace(quick().model, size=48, channels=1, classes=len(CLASSES))
    key = kept.key_of("region network", region, to_json(config), to_json(options))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = build("cnn4", config)
    # Seeds of their own, so that no face is both learned and explained.
    new = generate(options.explained, seed=2 * options.seed + 1, region=region, masks=True)
    noted = kept.load_network(home, key, network)
    if noted is None:
        noted = {"accuracy": _learn(network, region, options, progress)}
        kept.keep_network(home, key, network, noted)
    network.eval()
    with torch.no_grad():
        said = network(torch.from_numpy(new.images)).argmax(1).numpy()
    right = said == new.labels
    assert new.masks is not None
    return RegionFaces(
        region=region, network=network, images=new.images[right], targets=new.labels[right],
        masks=new.masks[right, REGIONS.index(region)], accuracy=float(noted["accuracy"]),
    )  # fmt: skip


def _learn(network: nn.Module, region: str, options: RegionOptions, progress: Progress) -> float:
    """Fit the network; its accuracy 0..1 on a thousand new faces."""
    faces = generate(options.training, seed=2 * options.seed, region=region)
    normalise = network.get_submodule("normalise")
    assert isinstance(normalise, Normalise)
    normalise.fit(*pixel_statistics(faces.images, np.arange(len(faces))))
    how = FitOptions(
        epochs=options.epochs, learning_rate=2e-3, seed=options.seed,
        stage=f"one region: learning the {region}",
    )  # fmt: skip
    fit(network, faces.images, faces.labels, how, progress=progress)
    unseen = generate(1000, seed=2 * options.seed + 1, region=region)
    return accuracy(network, unseen.images, unseen.labels)
