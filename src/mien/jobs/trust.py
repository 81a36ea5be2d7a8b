"""The verb ``trust``: a verdict on every attribution method for one model on one source.

Each finished part is kept beside the results and reused while model, pictures, options and the
code of the explain room are the same; an interrupted run goes on where it stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.config import to_json
from mien.errors import DataError, OptionError
from mien.explain.attribution import METHODS
from mien.explain.ready import run
from mien.explain.trust.baselines import BASELINES
from mien.explain.trust.curves import CurveOptions, Prober
from mien.explain.trust.measure import (
    Measured,
    Subject,
    from_arrays,
    measure_baseline,
    measure_method,
)
from mien.explain.trust.randomise import layers
from mien.explain.trust.verdict import judge, judge_baseline
from mien.jobs import kept
from mien.jobs.evaluate import choose_split, make_folder, split_name
from mien.jobs.foreign import Opened
from mien.jobs.one_region import RegionOptions, RegionTable, curve_precision, region_table
from mien.jobs.prepare import DataOptions
from mien.jobs.shuffled_labels import shuffled_labels
from mien.jobs.subject import Subject as Tested
from mien.jobs.subject import open_subject, read_for
from mien.jobs.trust_report import TrustReport
from mien.runs import write_json
from mien.theory.untouched import untouched
from mien.types import ImageSet, Progress, silent


@dataclass(frozen=True, kw_only=True)
class TrustOptions:
    """methods: names, empty for all. images: sample of ``split`` that is explained.

    quick: leave out what needs training (shuffled labels, faces of one region). other: a second
    model, trained alike from another start, for a reference. curves: see ``CurveOptions``.
    """

    methods: tuple[str, ...] = ()
    images: int = 500
    split: str = "validation"
    seed: int = 0
    quick: bool = False
    other: str = ""
    input_shape: str = ""
    curves: CurveOptions = field(default_factory=lambda: CurveOptions(precision=curve_precision()))
    regions: RegionOptions = field(default_factory=RegionOptions)
    data: DataOptions = field(default_factory=DataOptions)

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a value that cannot be used.
        """
        for name in self.methods:
            if name not in METHODS:
                raise OptionError(f"--methods {name}: choose of {', '.join(METHODS)}")
        if self.images < 8:
            raise OptionError(f"--images {self.images}: intervals need 8 images or more")
        if not 0 <= self.seed < 2**32:
            raise OptionError(f"--seed {self.seed}: from 0 to 2^32 - 1")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The methods to test."""
        return self.methods or tuple(METHODS)


def trust(
    model: str,
    source: str,
    options: TrustOptions | None = None,
    *,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> TrustReport:
    """Test the methods on ``model`` and write ``trust.json``.

    It goes to ``out``; or to ``explain/`` in the run folder that the model lies in; or else to
    ``<model's name>-trust`` in the working directory.

    Raises:
        MienError: bad model, data or options.
    """
    options = options or TrustOptions()
    tested = open_subject(model, options.input_shape)
    opened = tested.opened
    data, read_notes = read_for(tested, source, options.data, progress)
    images = _sample(data, options)
    targets = _targets(opened, images)
    other = _other(options, tested)
    folder = _folder(tested, out)
    notes = [*opened.notes, *read_notes, *_fixed_notes(options, len(images))]
    shuffled = None
    if not options.quick:
        memorised = shuffled_labels(
            model, opened, data, input_shape=options.input_shape, seed=options.seed,
            folder=folder / "trust-parts", progress=progress,
        )  # fmt: skip
        shuffled = memorised.network
        notes.append(
            f"a fresh network knows {100 * memorised.known:.1f} % of {memorised.images:,} "
            "shuffled labels"
        )
    groups = layers(opened.network, opened.as_input(torch.from_numpy(images[:2])))

    def make_subject() -> Subject:
        prober = Prober(
            opened.network, images, targets, replace(options.curves, seed=options.seed),
            as_input=_as_input(opened, floats=False),
        )  # fmt: skip
        return Subject(
            network=opened.network, images=images, targets=targets, prober=prober, groups=groups,
            shuffled=shuffled, other=other.opened.network if other else None,
            as_input=_as_input(opened, floats=True), seed=options.seed,
        )  # fmt: skip

    rival = other.checksum if other else ""
    facts = [kept.code_of_explain(), tested.checksum, data.fingerprint, rival, _relevant(options)]
    parts = _measure(folder / "trust-parts", facts, make_subject, options, progress)
    region = None
    if not options.quick:
        region = region_table(options.chosen, options.regions, progress=progress)
        notes.append(_region_note(region))
    report = TrustReport(
        n=len(images), split=options.split, seed=options.seed, model=opened.name,
        model_checksum=tested.checksum, data_fingerprint=data.fingerprint,
        methods=tuple(
            judge(
                name, METHODS[name].title, parts[name], {b: parts[b] for b in BASELINES},
                [group.name for group in reversed(groups)],
                region=(region.methods[name], region.baselines) if region else None,
                seed=options.seed,
            )
            for name in options.chosen
        ),
        baselines=tuple(
            judge_baseline(
                name, one.title, parts[name], region.baselines[name] if region else None,
                seed=options.seed,
            )
            for name, one in BASELINES.items()
        ),
        notes=tuple(notes), folder=folder,
    )  # fmt: skip
    write_json(folder / "trust.json", report.to_json())
    return report


def _measure(
    folder: Path,
    facts: list[Any],
    make_subject: Callable[[], Subject],
    options: TrustOptions,
    progress: Progress,
) -> dict[str, Measured]:
    names = (*options.chosen, *BASELINES)
    parts: dict[str, Measured] = {}
    subject: Subject | None = None
    for place, name in enumerate(names):
        progress("methods and baselines", place, len(names))
        key = kept.key_of("trust", facts, name)
        arrays = kept.load_arrays(folder, key)
        if arrays is None:
            subject = subject or make_subject()
            measure = measure_method if name in METHODS else measure_baseline
            title = METHODS[name].title if name in METHODS else BASELINES[name].title
            arrays = measure(name, subject, progress=_titled(progress, title)).arrays()
            kept.keep_arrays(folder, key, arrays)
        parts[name] = from_arrays(arrays)
    progress("methods and baselines", len(names), len(names))
    return parts


def _titled(progress: Progress, title: str) -> Progress:
    return lambda stage, done, total: progress(f"  {title}: {stage}", done, total)


def _relevant(options: TrustOptions) -> dict[str, Any]:
    """What changes the numbers of a part; not which methods were asked for."""
    plain = to_json(options)
    return {k: v for k, v in plain.items() if k not in ("methods", "other", "regions", "data")}


def _sample(data: ImageSet, options: TrustOptions) -> NDArray[np.uint8]:
    """A random sample of the split in random order, so that its first images are one as well.

    A blank picture has no parts that could be deleted.
    """
    chosen = choose_split(data, split_name(options.split))
    order = np.random.default_rng((options.seed, 1)).permutation(chosen)
    images = np.array(data.images[order[: options.images + 64]])
    varied = images.reshape(len(images), -1).std(axis=1) > 0
    images = np.asarray(images[varied][: options.images], dtype=np.uint8)
    if len(images) < 8:
        raise DataError(f"{len(images)} images that are not blank: 8 or more are needed")
    return images


def _targets(opened: Opened, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The predicted classes.

    Raises:
        NetworkError: the network fails on the pictures, or is no classifier.
    """
    found = []
    with untouched(opened.network), torch.no_grad():
        for begin in range(0, len(images), 256):
            pixels = opened.as_input(torch.from_numpy(images[begin : begin + 256]))
            found.append(run(opened.network, pixels).argmax(1).numpy())
    return np.concatenate(found)


def _as_input(opened: Opened, *, floats: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    """Bytes for networks of mien's own, which spares memory; gradients need floats."""
    if opened.own and floats:
        return lambda pixels: pixels.float()
    return opened.as_input


def _other(options: TrustOptions, tested: Tested) -> Tested | None:
    if not options.other:
        return None
    other = open_subject(options.other, options.input_shape)
    if other.opened.shape != tested.opened.shape or other.opened.own != tested.opened.own:
        raise OptionError(f"--other {options.other}: takes other pictures than the model")
    return other


def _folder(tested: Tested, out: Path | str | None) -> Path:
    if out is not None:
        folder = Path(out)
    else:
        folder = tested.home / "explain" if tested.home else Path(f"{tested.stem}-trust")
    make_folder(folder)
    return folder


def _fixed_notes(options: TrustOptions, n: int) -> list[str]:
    fill = "own blur" if options.curves.fill == "blur" else "own mean"
    notes = [
        f"{n} images of the {options.split} split, explained for the predicted class",
        f"curves: {options.curves.steps} steps over patches of {options.curves.patch} pixels, "
        f"filled with each picture's {fill}; areas of the target's probability, in "
        f"{options.curves.precision}",
        "similarity: Spearman's rank correlation of |maps|; weights are shuffled within tensors",
        "intervals: 95 %, bootstrap over images; those against baselines hold for all at once",
    ]
    if options.quick:
        notes.append("--quick: shuffled labels and faces of one region were left out")
    return notes


def _region_note(table: RegionTable) -> str:
    known = ", ".join(f"{name} {100 * value:.0f} %" for name, value in table.accuracies.items())
    return (
        f"one region: {table.n} drawn faces that networks of one region each had right "
        f"(accuracy on new faces: {known}); masks cover {100 * table.area:.1f} % of a picture"
    )
