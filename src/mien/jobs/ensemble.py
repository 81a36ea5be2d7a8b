"""Several models evaluated together: each alone, their average, and what the average gains."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import OptionError, RunError
from mien.evaluate.compare import Comparison, compare
from mien.evaluate.ensemble import average
from mien.evaluate.predictions import write_predictions
from mien.jobs.recompute import EvaluateResult, recompute
from mien.runs import write_json
from mien.types import Progress, silent

if TYPE_CHECKING:
    from mien.jobs.evaluate import EvaluateOptions

DEFAULT_FOLDER = "ensemble-evaluation"


@dataclass(frozen=True, kw_only=True)
class Together:
    """together: of the averaged probabilities. members, names: each model alone, as it was named.

    comparisons: the average against each member, on the same images.
    """

    together: EvaluateResult
    names: tuple[str, ...]
    members: tuple[EvaluateResult, ...]
    comparisons: tuple[Comparison, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """A dict a member: its name, its scores, and the average compared with it."""
        return [
            {"model": name, **member.evaluation.to_json(), "against": comparison.to_json()}
            for name, member, comparison in zip(
                self.names, self.members, self.comparisons, strict=True
            )
        ]


def average_saved(models: Sequence[str], *, out: Path | str | None = None) -> Together:
    """Average the saved predictions of two or more runs; no model runs, and no torch is needed.

    Writes the average's predictions and numbers to ``out`` (or ``ensemble-evaluation`` in the
    working directory).

    Raises:
        MienError: predictions are missing, or of different classes or images.
    """
    _check(models)
    return _together(models, [recompute(model) for model in models], Path(out or DEFAULT_FOLDER))


def evaluate_together(
    models: Sequence[str],
    source: str,
    options: "EvaluateOptions | None" = None,
    *,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> Together:
    """The same for a split of ``source``; each model's results go to their own folder in ``out``.

    Raises:
        MienError: bad models, data or options; models of different classes or image sizes.
    """
    from mien.jobs.evaluate import evaluate

    _check(models)
    folder = Path(out or DEFAULT_FOLDER)
    members = [
        evaluate(model, source, options, out=folder / _name(place, model), progress=progress)
        for place, model in enumerate(models, start=1)
    ]
    return _together(models, members, folder)


def _check(models: Sequence[str]) -> None:
    if len(models) < 2:
        raise OptionError("an average needs two models or more")
    if len(set(models)) < len(models):
        raise OptionError("a model is named twice; it would count twice in the average")


def _together(models: Sequence[str], members: list[EvaluateResult], folder: Path) -> Together:
    outputs = average([member.outputs for member in members])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made; name another folder with --out") from error
    write_predictions(folder / "predictions.parquet", outputs)
    found = Together(
        together=recompute(folder),
        names=tuple(models),
        members=tuple(members),
        comparisons=tuple(compare(outputs, member.outputs) for member in members),
    )
    write_json(folder / "evaluation.json", found.together.evaluation.to_json())
    write_json(folder / "members.json", {"members": found.to_json()})
    return found


def _name(place: int, model: str) -> str:
    path = Path(model).absolute()
    return f"{place}-{path.parent.name if path.name == 'model.safetensors' else path.stem}"
