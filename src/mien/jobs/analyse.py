"""The job ``analyse``: everything that a report reads, made one after another within a budget.

Each part leaves its own file in the run folder. A part that fails is told and does not end the
others; one that would not fit into what is left of the budget is skipped, told, and can be made
later by its own verb. How long each took is kept in ``analysis.json`` and measured against what it
takes elsewhere, so that a slow machine skips in time.
"""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mien.errors import MienError, RunError
from mien.jobs.analyses import KINDS, Kind, Work
from mien.models.card import read_card
from mien.models.confidence import read_confidence
from mien.runs import Run, read_json, write_json
from mien.types import ImageSet, Outputs, Progress, silent

BUDGET = 180.0
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
    work = Work(run=run, data=data, given=images, progress=progress)
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


def _one(kind: Kind, work: Work) -> Part:
    begin = time.monotonic()
    try:
        kind.make(work)
    except Exception as error:  # noqa: BLE001  one part must not cost the others
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        note = said if isinstance(error, MienError) else f"{type(error).__name__}: {said}"
        return Part(name=kind.name, state="failed", note=note, seconds=time.monotonic() - begin)
    return Part(name=kind.name, state="done", seconds=time.monotonic() - begin)
