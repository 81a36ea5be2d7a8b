"""The job ``analyse``: everything that a report reads, made one after another within a budget.

Each part leaves its own file in the run folder. A part that fails is told and does not end the
others; one that would not fit into what is left of the budget is skipped, told, and can be made
later by its own verb. How long each took is kept in ``analysis.json`` and measured against what it
takes elsewhere, so that a slow machine skips in time.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mien.config import from_json
from mien.errors import MienError, OptionError, RunError
from mien.evaluate.predictions import read_predictions
from mien.explain import DEFAULT_METHOD
from mien.jobs.prepare import DataOptions, read_source, with_validation
from mien.models.card import read_card
from mien.models.confidence import read_confidence
from mien.runs import Run, read_json, write_json
from mien.types import ImageSet, Outputs, Progress, silent

BUDGET = 180.0
# Only so many images, so that all fits into the budget; the verbs themselves take the whole split.
_EXPLAINED, _HIDDEN, _FIRED, _TRUSTED = 600, 300, 500, 60
# Parts at least this long (seconds) tell how slow the machine is; what it may be at most.
_TELLING, _SLOWEST = 5.0, 5.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """One analysis: ``done``, ``kept`` (it was there), ``skipped`` or ``failed``, and why."""

    name: str
    state: str
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """parts: in their order. notes: of those that were skipped or failed, for a person."""

    parts: tuple[Part, ...]

    @property
    def notes(self) -> list[str]:
        """One sentence for each part that is not there."""
        return [f"{p.name}: {p.note}" for p in self.parts if p.state in ("skipped", "failed")]


@dataclass(kw_only=True)
class _Work:
    """What the parts work on. given: the pictures in memory, with the run's validation split."""

    run: Run
    data: str
    given: ImageSet | None
    progress: Progress

    @property
    def model(self) -> str:
        return str(self.run.path)

    @cached_property
    def record(self) -> dict[str, Any]:
        return self.run.read_record()

    @property
    def source(self) -> str:
        return self.data or str(self.record["options"]["source"])

    @cached_property
    def options(self) -> DataOptions:
        try:
            return from_json(DataOptions, self.record["options"]["data"])
        except (KeyError, TypeError, OptionError) as error:
            raise RunError(f"{self.run.record}: cannot be used ({error})") from error

    @cached_property
    def images(self) -> ImageSet:
        if self.given is not None:
            return self.given
        images = read_source(self.source, self.options, progress=self.progress)
        seed = int(self.record["options"].get("hold_out_seed", 0))
        return with_validation(images, max(seed, 0))

    @cached_property
    def outputs(self) -> Outputs:
        return read_predictions(self.run.predictions)

    @property
    def checksum(self) -> str:
        return str(read_card(self.run.model)["checksum"])

    def write(self, file: str, data: dict[str, Any]) -> None:
        path = self.run.path / file
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"model_checksum": self.checksum, **data})

    def stamp(self, file: str) -> None:
        """Say in a file of another job which model it is of, where it does not."""
        data = read_json(self.run.path / file)
        if "model_checksum" not in data:
            self.write(file, data)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """name: the analysis's. file: what it leaves. seconds: what it took on two cores for FER2013.

    verb: the command that makes it by itself.
    """

    name: str
    file: str
    seconds: float
    make: Callable[[_Work], None]
    verb: str


def analyse(
    path: Path | str,
    images: ImageSet | None = None,
    *,
    data: str = "",
    budget_seconds: float = BUDGET,
    progress: Progress = silent,
) -> Analysed:
    """Make what is missing of a run's analyses.

    Args:
        path: a run folder with a model and predictions.
        images: its pictures with the splits that it trained on, where they are in memory.
        data: where they are, else; empty for where the run found them.
        progress: told (part, done, parts), and by each part of its own stages.

    Raises:
        RunError: no run there. What goes wrong in a part is told in the result.
    """
    run = Run.open(path)
    work = _Work(run=run, data=data, given=images, progress=progress)
    weights = same_weights(run, work.outputs)
    parts: list[Part] = []
    begin, slowness = time.monotonic(), 1.0
    for number, kind in enumerate(KINDS):
        progress("analyses", number, len(KINDS))
        left = budget_seconds - (time.monotonic() - begin)
        if _is_there(run.path / kind.file, weights):
            parts.append(Part(name=kind.name, state="kept"))
        elif kind.seconds * slowness > left:
            note = (
                f"left out, {max(left, 0):.0f} s of the budget are left; make it with '{kind.verb}'"
            )
            parts.append(Part(name=kind.name, state="skipped", note=note))
        else:
            parts.append(_one(kind, work))
            taken = parts[-1].seconds
            # Imports and first uses dominate the short parts, which say nothing of the long ones.
            if parts[-1].state == "done" and kind.seconds >= _TELLING:
                slowness = min(_SLOWEST, max(slowness, taken / kind.seconds))
    progress("analyses", len(KINDS), len(KINDS))
    made = Analysed(parts=tuple(parts))
    write_json(run.path / "analysis.json", {
        "parts": [asdict(part) for part in _with_earlier(run.path / "analysis.json", made.parts)]
    })  # fmt: skip
    return made


def same_weights(run: Run, outputs: Outputs) -> frozenset[str]:
    """The checksums under which the network of these predictions is known.

    Calibration seals the model file anew, which changes its checksum and not its weights.
    """
    predicted = str(outputs.about.get("model_checksum") or "")
    known = {predicted} if predicted else set()
    try:
        card = read_card(run.model)
        confidence = read_confidence(card.get("about", {}))
    except MienError:
        return frozenset(known)
    fitted = str(confidence.fitted_on.get("model_checksum", "")) if confidence else ""
    if predicted in (card["checksum"], fitted):
        known |= {str(card["checksum"]), fitted} - {""}
    return frozenset(known)


def _is_there(file: Path, weights: frozenset[str]) -> bool:
    try:
        theirs = read_json(file).get("model_checksum")
    except RunError:
        return False
    return not theirs or not weights or theirs in weights


def _with_earlier(file: Path, parts: tuple[Part, ...]) -> list[Part]:
    """Of what was kept, the time that it took when it was made."""
    try:
        before = {one["name"]: one for one in read_json(file)["parts"]}
    except (RunError, KeyError, TypeError):
        before = {}
    return [
        replace(part, state="done", seconds=float(before[part.name]["seconds"]))
        if part.state == "kept" and before.get(part.name, {}).get("state") == "done" else part
        for part in parts
    ]  # fmt: skip


def _one(kind: _Kind, work: _Work) -> Part:
    begin = time.monotonic()
    try:
        kind.make(work)
    except Exception as error:  # noqa: BLE001  one part must not cost the others
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        note = said if isinstance(error, MienError) else f"{type(error).__name__}: {said}"
        return Part(name=kind.name, state="failed", note=note, seconds=time.monotonic() - begin)
    return Part(name=kind.name, state="done", seconds=time.monotonic() - begin)


def _audit(work: _Work) -> None:
    from mien.data.audit import audit

    work.images  # noqa: B018  read before the clock of progress begins
    write_json(work.run.path / "audit.json",
               audit(work.images, progress=work.progress).to_json())  # fmt: skip


def _architecture(work: _Work) -> None:
    from mien.jobs.architecture import architecture

    work.write("theory/architecture.json", architecture(work.model).to_json())


def _check(work: _Work) -> None:
    from mien.jobs.check import check

    found = check(work.model, work.source, options=work.options, progress=work.progress)
    work.write("theory/check.json", found.to_json())


def _worked(work: _Work) -> None:
    import numpy as np

    from mien.jobs.worked import BATCH, worked
    from mien.models.checkpoint import load_model

    images = work.images
    rows = images.where("validation")
    rows = rows[images.labels[rows] >= 0][:BATCH]
    found = worked(load_model(work.run.path), np.array(images.images[rows]), images.labels[rows],
                   work.outputs)  # fmt: skip
    work.write("theory/worked.json", found)


def _drawn(work: _Work) -> None:
    from mien.jobs.drawn import drawn

    drawn(work.run)


def _saliency(work: _Work) -> None:
    from mien.jobs.explain import explain_data
    from mien.jobs.subject import ExplainOptions

    explain_data(work.model, work.source,
                 ExplainOptions(limit=_EXPLAINED, data=work.options, device="cpu"),
                 out=work.run.path / "explain", progress=work.progress)  # fmt: skip


def _regions(work: _Work) -> None:
    from mien.jobs.ledger import LedgerOptions, ledger_of

    ledger_of(work.model, work.source,
              LedgerOptions(limit=_HIDDEN, data=work.options),
              out=work.run.path / "explain", progress=work.progress)  # fmt: skip
    work.stamp("explain/regions.json")


def _filters(work: _Work) -> None:
    from mien.jobs.filter_source import FilterOptions
    from mien.jobs.filters import filters

    filters(work.model, work.source,
            FilterOptions(limit=_FIRED, filters="12", data=work.options),
            progress=work.progress)  # fmt: skip
    work.stamp("explain/filters.json")


def _trust(work: _Work) -> None:
    from mien.jobs.trust import TrustOptions, trust

    trust(work.model, work.source,
          TrustOptions(methods=(DEFAULT_METHOD,), images=_TRUSTED, quick=True, data=work.options),
          out=work.run.path / "explain", progress=work.progress)  # fmt: skip
    work.stamp("explain/trust.json")


def _pairs(work: _Work) -> None:
    from mien.jobs.ledger import LedgerOptions
    from mien.jobs.pairs import pair_of

    pair_of(work.model, work.source, None,
            LedgerOptions(hiding=False, data=work.options),
            out=work.run.path / "explain", progress=work.progress)  # fmt: skip
    work.stamp("explain/pairs.json")


def _suspects(work: _Work) -> None:
    from mien.jobs.pairs import suspects_of

    suspects_of(work.model, out=work.run.path / "explain")
    work.stamp("explain/suspects.json")


KINDS: tuple[_Kind, ...] = (
    _Kind(name="architecture", file="theory/architecture.json", seconds=1, make=_architecture,
          verb="mien architecture RUN --out RUN/theory"),
    _Kind(name="worked", file="theory/worked.json", seconds=1, make=_worked,
          verb="mien report RUN --analyse"),
    _Kind(name="audit", file="audit.json", seconds=6, make=_audit,
          verb="mien audit DATA --json > RUN/audit.json"),
    _Kind(name="check", file="theory/check.json", seconds=6, make=_check,
          verb="mien check RUN --data DATA --json > RUN/theory/check.json"),
    _Kind(name="saliency", file="explain/saliency.json", seconds=30, make=_saliency,
          verb="mien explain RUN DATA"),
    _Kind(name="drawn", file="explain/drawn.json", seconds=1, make=_drawn,
          verb="mien report RUN --analyse"),
    _Kind(name="suspects", file="explain/suspects.json", seconds=1, make=_suspects,
          verb="mien pairs RUN DATA"),
    _Kind(name="pairs", file="explain/pairs.json", seconds=8, make=_pairs,
          verb="mien pairs RUN DATA"),
    _Kind(name="regions", file="explain/regions.json", seconds=30, make=_regions,
          verb="mien regions RUN DATA"),
    _Kind(name="filters", file="explain/filters.json", seconds=25, make=_filters,
          verb="mien filters RUN DATA"),
    _Kind(name="trust", file="explain/trust.json", seconds=30, make=_trust,
          verb="mien trust RUN DATA"),
)  # fmt: skip
