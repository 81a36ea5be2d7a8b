"""The analyses that a report reads, one function each, and what they work on.

Each leaves its own file in the run folder, with the checksum of the model that it is about. A new
one is a function here and a line in ``KINDS``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mien.config import from_json
from mien.errors import OptionError, RunError
from mien.evaluate.predictions import read_predictions
from mien.explain import DEFAULT_METHOD
from mien.jobs.prepare import DataOptions, read_source, with_validation
from mien.models.card import read_card
from mien.runs import Run, read_json, write_json
from mien.types import ImageSet, Outputs, Progress

# Only so many images, so that all fits into the budget; the verbs themselves take the whole split.
_EXPLAINED, _HIDDEN, _FIRED, _TRUSTED = 600, 300, 500, 120


@dataclass(kw_only=True)
class Work:
    """What the parts work on. given: the pictures in memory, with the run's validation split."""

    run: Run
    data: str
    given: ImageSet | None
    progress: Progress

    @property
    def model(self) -> str:
        """The run folder, as the verbs take a model."""
        return str(self.run.path)

    @cached_property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` says."""
        return self.run.read_record()

    @property
    def source(self) -> str:
        """Where the pictures are."""
        return self.data or str(self.record["options"]["source"])

    @cached_property
    def options(self) -> DataOptions:
        """How the run read them."""
        try:
            return from_json(DataOptions, self.record["options"]["data"])
        except (KeyError, TypeError, OptionError) as error:
            raise RunError(f"{self.run.record}: cannot be used ({error})") from error

    @cached_property
    def images(self) -> ImageSet:
        """The pictures, with the run's validation split."""
        if self.given is not None:
            return self.given
        images = read_source(self.source, self.options, progress=self.progress)
        seed = int(self.record["options"].get("hold_out_seed", 0))
        return with_validation(images, max(seed, 0))

    @cached_property
    def outputs(self) -> Outputs:
        """The run's saved predictions."""
        return read_predictions(self.run.predictions)

    @property
    def checksum(self) -> str:
        """Of the model file."""
        return str(read_card(self.run.model)["checksum"])

    def write(self, file: str, data: dict[str, Any]) -> None:
        """Write JSON into the run, with the checksum of the model."""
        path = self.run.path / file
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"model_checksum": self.checksum, **data})

    def stamp(self, file: str) -> None:
        """Say in a file of another job which model it is of, where it does not."""
        data = read_json(self.run.path / file)
        if "model_checksum" not in data:
            self.write(file, data)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """name: the analysis's. file: what it leaves. seconds: what it took on two cores for FER2013.

    verb: the command that makes it by itself.
    """

    name: str
    file: str
    seconds: float
    make: Callable[[Work], None]
    verb: str


def _audit(work: Work) -> None:
    from mien.data.audit import audit

    work.images  # noqa: B018  read before the clock of progress begins
    write_json(work.run.path / "audit.json",
               audit(work.images, progress=work.progress).to_json())  # fmt: skip


def _architecture(work: Work) -> None:
    from mien.jobs.architecture import architecture

    work.write("theory/architecture.json", architecture(work.model).to_json())


def _check(work: Work) -> None:
    from mien.jobs.check import check

    found = check(work.model, work.source, options=work.options, progress=work.progress)
    work.write("theory/check.json", found.to_json())


def _worked(work: Work) -> None:
    import numpy as np

    from mien.jobs.worked import BATCH, worked
    from mien.models.checkpoint import load_model

    images = work.images
    rows = images.where("validation")
    rows = rows[images.labels[rows] >= 0][:BATCH]
    found = worked(load_model(work.run.path), np.array(images.images[rows]), images.labels[rows],
                   work.outputs)  # fmt: skip
    work.write("theory/worked.json", found)


def _drawn(work: Work) -> None:
    from mien.jobs.drawn import drawn

    drawn(work.run)


def _saliency(work: Work) -> None:
    from mien.jobs.explain import explain_data
    from mien.jobs.subject import ExplainOptions

    explain_data(work.model, work.source,
                 ExplainOptions(limit=_EXPLAINED, data=work.options, device="cpu"),
                 out=work.run.path / "explain", progress=work.progress)  # fmt: skip


def _regions(work: Work) -> None:
    from mien.jobs.ledger import LedgerOptions, ledger_of

    ledger_of(work.model, work.source,
              LedgerOptions(limit=_HIDDEN, data=work.options),
              out=work.run.path / "explain", progress=work.progress)  # fmt: skip
    work.stamp("explain/regions.json")


def _filters(work: Work) -> None:
    from mien.jobs.filter_source import FilterOptions
    from mien.jobs.filters import filters

    filters(work.model, work.source,
            FilterOptions(limit=_FIRED, filters="12", data=work.options),
            progress=work.progress)  # fmt: skip
    work.stamp("explain/filters.json")


def _trust(work: Work) -> None:
    from mien.jobs.trust import TrustOptions, trust

    trust(work.model, work.source,
          TrustOptions(methods=(DEFAULT_METHOD,), images=_TRUSTED, quick=True, data=work.options),
          out=work.run.path / "explain", progress=work.progress)  # fmt: skip
    work.stamp("explain/trust.json")


def _pairs(work: Work) -> None:
    from mien.jobs.ledger import LedgerOptions
    from mien.jobs.pairs import pair_of

    pair_of(work.model, work.source, None,
            LedgerOptions(hiding=False, data=work.options),
            out=work.run.path / "explain", progress=work.progress)  # fmt: skip
    work.stamp("explain/pairs.json")


def _suspects(work: Work) -> None:
    from mien.jobs.pairs import suspects_of

    suspects_of(work.model, out=work.run.path / "explain")
    work.stamp("explain/suspects.json")


KINDS: tuple[Kind, ...] = (
    Kind(name="architecture", file="theory/architecture.json", seconds=1, make=_architecture,
          verb="mien architecture RUN --out RUN/theory"),
    Kind(name="worked", file="theory/worked.json", seconds=1, make=_worked,
          verb="mien report RUN --analyse"),
    Kind(name="audit", file="audit.json", seconds=6, make=_audit,
          verb="mien audit DATA --json > RUN/audit.json"),
    Kind(name="check", file="theory/check.json", seconds=6, make=_check,
          verb="mien check RUN --data DATA --json > RUN/theory/check.json"),
    Kind(name="saliency", file="explain/saliency.json", seconds=30, make=_saliency,
          verb="mien explain RUN DATA"),
    Kind(name="drawn", file="explain/drawn.json", seconds=1, make=_drawn,
          verb="mien report RUN --analyse"),
    Kind(name="suspects", file="explain/suspects.json", seconds=1, make=_suspects,
          verb="mien pairs RUN DATA"),
    Kind(name="pairs", file="explain/pairs.json", seconds=8, make=_pairs,
          verb="mien pairs RUN DATA"),
    Kind(name="regions", file="explain/regions.json", seconds=30, make=_regions,
          verb="mien regions RUN DATA"),
    Kind(name="filters", file="explain/filters.json", seconds=25, make=_filters,
          verb="mien filters RUN DATA"),
    Kind(name="trust", file="explain/trust.json", seconds=45, make=_trust,
          verb="mien trust RUN DATA"),
)  # fmt: skip
