"""A confused pair of classes explained, and the suspect labels of a whole split."""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import DataError, OptionError
from mien.evaluate.collect import collect
from mien.evaluate.intervals import wilson
from mien.evaluate.pairs import confused_pairs
from mien.evaluate.predictions import as_text, read_predictions
from mien.explain.attribution import attribute
from mien.explain.pairs import (
    Pair,
    Suspects,
    describe_pair,
    describe_suspects,
    pair_regions,
    suspects,
)
from mien.explain.regions.hiding import hide
from mien.jobs.ledger import FEWEST, SHIFT, LedgerOptions
from mien.jobs.shown import Shown, explain_folder, regions_of, subject
from mien.jobs.subject import probabilities
from mien.jobs.verdicts import verdict_on
from mien.runs import write_atomic, write_json
from mien.types import Finding, Outputs, Progress, Value, silent

SHOWN = 12  # of the most confidently wrong
_ENOUGH = 10  # images that make a pair worth choosing

Pictures = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, eq=False)
class PairResult:
    """The pair, the folder that holds ``pairs.json`` and ``pairs.npz``, and its mean pictures.

    pictures, each float32 H×W: ``confused``, ``right`` (of the truth), ``rival`` (right ones of the
    predicted class): mean faces; ``difference`` and ``difference_right``: mean maps of truth less
    predicted, each map over its absolute sum. A mean of fewer than 30 images is not among them,
    since it would show persons. trust: the verdict on the method, see ``verdicts``.
    """

    pair: Pair
    folder: Path
    pictures: Pictures
    trust: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SuspectsResult:
    """The suspects, what they are indices into, the folder of ``suspects.json``, the findings."""

    suspects: Suspects
    outputs: Outputs
    folder: Path
    findings: tuple[Finding, ...]


def pair_of(
    model: str,
    data: str,
    pair: tuple[str, str] | None = None,
    options: LedgerOptions | None = None,
    *,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> PairResult:
    """Explain the images of one class that were taken for another.

    Writes ``explain/pairs.json`` and ``.npz``. Probabilities are those of the run's
    ``predictions.parquet`` where it has these images, else the model is run.

    Args:
        pair: (truth, predicted); None for the pair with the highest rate of confusion.

    Raises:
        MienError: bad model, data or options, or no image of this pair.
    """
    chosen = options or LedgerOptions()
    shown = subject(
        model, data, split=chosen.split, limit=chosen.limit, input_shape=chosen.input_shape,
        options=chosen.data, seed=chosen.seed, progress=progress,
    )  # fmt: skip
    logits = _logits(model, shown, chosen, progress)
    chances = probabilities(logits)
    predicted = chances.argmax(axis=1)
    truth, rival = _chosen(pair, shown, predicted)
    confused = np.flatnonzero((shown.labels == truth) & (predicted == rival))
    if len(confused) == 0:
        raise DataError(
            f"no image of {shown.classes[truth]} was taken for {shown.classes[rival]} "
            "in this split; choose another --pair"
        )
    right = np.flatnonzero((shown.labels == truth) & (predicted == truth))
    held = chosen.split.casefold() not in ("train", "training", "all")
    found, pictures = _explained(shown, confused, right, (truth, rival), chosen, progress)
    result = _pair(shown, chances, confused, (truth, rival), held, chosen)
    result = replace(result, regions=tuple(found))
    findings = [_rate(result, int((shown.labels == truth).sum())), *describe_pair(result)]
    result = replace(result, findings=tuple(findings))
    rivals = np.flatnonzero((shown.labels == rival) & (predicted == rival))
    for name, index in (("confused", confused), ("right", right), ("rival", rivals)):
        if len(index) >= FEWEST:
            pictures[name] = shown.images[index].mean(axis=(0, 1)).astype(np.float32)
    folder = explain_folder(model, out)
    write_json(folder / "pairs.json", result.to_json())
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **pictures)
    write_atomic(folder / "pairs.npz", content.getvalue())
    return PairResult(pair=result, folder=folder, pictures=pictures,
                      trust=verdict_on(shown.subject, chosen.method))  # fmt: skip


def suspects_of(
    predictions: Path | str, split: str = "validation", *, out: Path | str | None = None
) -> SuspectsResult:
    """The suspect labels of a split of a predictions file (or of a run that holds one).

    Writes ``explain/suspects.json``.

    Raises:
        RunError: no predictions there. DataError: no labelled images of this split in them.
    """
    path = Path(predictions)
    path = path / "predictions.parquet" if path.is_dir() else path
    outputs = read_predictions(path)
    keep = outputs.labels >= 0
    keep &= True if split == "all" else as_text(outputs.splits) == split
    if not keep.any():
        raise DataError(f"{path}: no labelled images of the {split} split; choose another --split")
    outputs = outputs.take(keep)
    found = suspects(probabilities(outputs.logits), outputs.labels)
    rate = wilson(len(found.index), len(outputs))
    findings = describe_suspects(found, outputs.labels, outputs.classes, rate)
    folder = Path(out) if out else path.parent / "explain"
    folder = explain_folder(str(path.parent), folder)
    ids = as_text(outputs.ids)
    held = not (as_text(outputs.splits) == "train").any()
    content = {
        "method": "confident learning (Northcutt et al. 2021), ranked by margin",
        "n": len(outputs), "held_out": held, "rate": rate.to_json(),
        "suspects": _listed(found, ids, outputs.labels, outputs.classes),
        "per_class": _per_class(found, outputs),
        "findings": [finding.to_json() for finding in findings],
        "notes": [] if held else [_TRAINED],
    }  # fmt: skip
    write_json(folder / "suspects.json", content)
    return SuspectsResult(suspects=found, outputs=outputs, folder=folder, findings=tuple(findings))


_TRAINED = (
    "the model trained on these images: its probabilities are not held out, and too few labels "
    "are called suspect"
)


def _explained(
    shown: Shown,
    confused: NDArray[np.int64],
    right: NDArray[np.int64],
    pair: tuple[int, int],
    chosen: LedgerOptions,
    progress: Progress,
) -> tuple[list[Any], Pictures]:
    """The regions of the confused images, and the mean maps of confused and right ones."""
    regions, pictures = regions_of(shown, by_template=chosen.by_template), {}
    found = []
    for name, index in (("difference", confused), ("difference_right", right)):
        if len(index) == 0:
            continue
        part = shown.take(index)
        targets, rivals = np.full(len(index), pair[0]), np.full(len(index), pair[1])
        maps = attribute(
            part.network, part.images, method=chosen.method, targets=targets, rivals=rivals,
            options=chosen.attribution, as_input=part.as_input, device=chosen.device,
            progress=progress,
        ).maps  # fmt: skip
        if len(index) >= FEWEST:
            pictures[name] = _mean_map(maps)
        if name == "difference":
            own = regions if regions.ndim == 3 else regions[index]
            hidden = hide(
                part.network, part.images, own, targets, rivals=rivals, as_input=part.as_input,
                draws=4, seed=chosen.seed, device=chosen.device, progress=progress,
            )  # fmt: skip
            found = pair_regions(
                maps, own, hidden.change, hidden.elsewhere,
                shift=round(SHIFT * part.images.shape[-1]), seed=chosen.seed,
            )  # fmt: skip
    return found, pictures


def _pair(
    shown: Shown,
    chances: NDArray[np.float64],
    confused: NDArray[np.int64],
    pair: tuple[int, int],
    held: bool,
    chosen: LedgerOptions,
) -> Pair:
    truth, rival = pair
    margin = chances[confused, rival] - chances[confused, truth]
    worst = confused[np.argsort(-margin, kind="stable")[:SHOWN]]
    doubted = suspects(chances, shown.labels)
    among = np.isin(doubted.index, confused)
    listed = _listed(doubted, shown.ids, shown.labels, shown.classes)
    return Pair(
        truth=shown.classes[truth], predicted=shown.classes[rival], classes=shown.classes,
        n=len(confused), method=chosen.method, held_out=held, regions=(),
        confident=tuple((str(shown.ids[i]), tuple(map(float, chances[i]))) for i in worst),
        suspects=tuple(one for one, inside in zip(listed, among, strict=True) if inside),
        notes=(*shown.notes, *(() if held else (_TRAINED,))),
    )  # fmt: skip


def _rate(pair: Pair, total: int) -> Finding:
    values: dict[str, Value] = {"rate": wilson(pair.n, total), "n": total}
    return Finding(
        kind="pair", classes={"truth": pair.truth, "predicted": pair.predicted}, values=values
    )


def _chosen(
    pair: tuple[str, str] | None, shown: Shown, predicted: NDArray[np.int64]
) -> tuple[int, int]:
    classes = shown.classes
    if pair is not None:
        for name in pair:
            if name not in classes:
                raise OptionError(f"--pair {','.join(pair)}: '{name}' is none of "
                                  f"{', '.join(classes)}")  # fmt: skip
        if pair[0] == pair[1]:
            raise OptionError(f"--pair {','.join(pair)}: name two different classes")
        return classes.index(pair[0]), classes.index(pair[1])
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (shown.labels, predicted), 1)
    ranked = confused_pairs(counts, classes)
    if not ranked:
        raise DataError(f"{shown.source}: no image of this split is wrong, so no pair is confused")
    worst = next((one for one in ranked if one.count >= _ENOUGH), ranked[0])
    return classes.index(worst.truth), classes.index(worst.predicted)


def _logits(
    model: str, shown: Shown, chosen: LedgerOptions, progress: Progress
) -> NDArray[np.float32]:
    """Of the run's predictions where they have every image, else of the network."""
    path = Path(model) / "predictions.parquet"
    if path.is_file():
        outputs = read_predictions(path)
        at = {name: row for row, name in enumerate(as_text(outputs.ids))}
        rows = [at.get(str(name), -1) for name in shown.ids]
        if min(rows) >= 0 and outputs.classes == shown.classes:
            same: NDArray[np.float32] = outputs.logits[rows]
            if (outputs.labels[rows] == shown.labels).all():
                return same
    network = _TakesBytes(shown)
    return collect(network, shown.images, device=chosen.device, progress=progress)


class _TakesBytes(nn.Module):
    """A subject's network with its input in front of it, as ``collect`` wants one."""

    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self.network, self.as_input = shown.network, shown.as_input

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        logits_NK: Tensor = self.network(self.as_input(pixels_NCHW))
        return logits_NK


def _mean_map(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    whole = np.abs(maps).sum(axis=(1, 2), keepdims=True, dtype=np.float64)
    scaled = np.divide(maps, whole, where=whole > 0, out=np.zeros(maps.shape))
    return np.asarray(scaled.mean(axis=0), dtype=np.float32)


def _listed(
    found: Suspects, ids: NDArray[np.str_], labels: NDArray[np.int64], classes: tuple[str, ...]
) -> list[dict[str, Any]]:
    return [
        {
            "id": str(ids[i]), "label": classes[labels[i]], "suggested": classes[k],
            "confidence": round(float(confidence), 6),
        }
        for i, k, confidence in zip(found.index, found.suggested, found.confidence, strict=True)
    ]  # fmt: skip


def _per_class(found: Suspects, outputs: Outputs) -> dict[str, Any]:
    labels = outputs.labels
    table = {}
    for k, name in enumerate(outputs.classes):
        n, doubted = int((labels == k).sum()), int((labels[found.index] == k).sum())
        threshold = None if np.isnan(found.thresholds[k]) else float(found.thresholds[k])
        table[name] = {
            "n": n, "suspects": doubted, "rate": wilson(doubted, n).to_json(),
            "threshold": threshold, "estimated_wrong": float(n - found.estimated[k, k]),
        }  # fmt: skip
    return table
