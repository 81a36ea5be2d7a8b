"""The verb ``check``: a network's layers held against the formulas, on a real batch, in float64."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mien.errors import DataError, NetworkError
from mien.jobs.foreign import Opened, open_network
from mien.jobs.prepare import DataOptions, read_source
from mien.theory.closed import check_layer
from mien.theory.formulas import by
from mien.theory.softmax import cross_entropy, targets
from mien.theory.verify import Comparison, autograd, compare
from mien.theory.walk import Layer, walk
from mien.types import Progress, silent

Verdict = Literal["right", "wrong", "shape only", "no formula"]


@dataclass(frozen=True, kw_only=True)
class LayerCheck:
    """One layer's verdict. comparisons: of its output and gradients, () without a closed form."""

    name: str
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    expected: tuple[int, ...] | None
    comparisons: tuple[Comparison, ...]

    @property
    def verdict(self) -> Verdict:
        """``wrong`` where the shape or any comparison is."""
        if self.expected not in (None, self.output) or not all(c.right for c in self.comparisons):
            return "wrong"
        if self.comparisons:
            return "right"
        return "no formula" if self.expected is None else "shape only"

    @property
    def worst(self) -> Comparison | None:
        """The comparison that lies nearest to its tolerance, or furthest beyond it."""
        return max(
            self.comparisons,
            key=lambda c: np.inf if c.fault else c.error / c.tolerance,
            default=None,
        )

    @property
    def kinks(self) -> int:
        """Elements that have no one derivative and were not compared."""
        return max((c.kinks for c in self.comparisons), default=0)


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """layers: in the order of the calls; the loss is the last. notes: sentences to show."""

    name: str
    layers: tuple[LayerCheck, ...]
    notes: tuple[str, ...]

    @property
    def wrong(self) -> int:
        """How many layers failed."""
        return sum(layer.verdict == "wrong" for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Everything that is shown, JSON-able."""
        return {
            "name": self.name,
            "wrong": self.wrong,
            "layers": [
                {
                    "name": one.name,
                    "kind": one.kind,
                    "verdict": one.verdict,
                    "input": list(one.input),
                    "output": list(one.output),
                    "expected": one.expected and list(one.expected),
                    "kinks": one.kinks,
                    "comparisons": [
                        {
                            "name": c.name, "index": list(c.index), "formula": _finite(c.ours),
                            "reference": _finite(c.theirs), "relative_error": _finite(c.error),
                            "right": c.right, "fault": c.fault,
                        }
                        for c in one.comparisons
                    ],
                }
                for one in self.layers
            ],
            "notes": list(self.notes),
        }  # fmt: skip


def check(
    model: str,
    data: str | None = None,
    *,
    input_shape: str = "",
    batch: int = 8,
    seed: int = 0,
    options: DataOptions | None = None,
    progress: Progress = silent,
) -> CheckReport:
    """Walk a network in training mode over a batch and check every layer of it.

    data: a source of labelled pictures; without one the batch is random. batch: at least 2, which
    batch normalisation needs. The network itself stays as it was.

    Raises:
        MienError: the model or the data cannot be used, or a layer is impossible.
    """
    opened = open_network(model, input_shape)
    notes = list(opened.notes)
    if data is None:
        pictures, labels = opened.random_batch(batch, seed), None
        notes.append(f"the batch is {batch} random pictures; name DATA for real ones")
    else:
        pictures, labels = _real_batch(opened, data, batch, seed, options, progress)
        notes.append(f"the batch is {batch} pictures of {data}")
    met: dict[int, Tensor] = {}
    # Checked after the walk: a layer that is run inside its own hook would meet that hook again.
    walked = walk(
        opened.network, pictures, training=True, visit=lambda k, _m, x, _y: met.update({k: x})
    )
    rows = []
    for number, layer in enumerate(walked.layers):
        progress("layers", number, len(walked.layers))
        rows.append(_row(layer, _compared(layer, met.get(number), seed + number)))
    if len(walked.output) == 2:
        logits = _logits(opened.network, pictures)
        rows.append(_loss(logits, labels, seed))
    return CheckReport(name=opened.name, layers=tuple(rows), notes=tuple(notes))


def _compared(layer: Layer, x: Tensor | None, seed: int) -> tuple[Comparison, ...]:
    # Behind a wrong shape there is nothing to compare element by element.
    if x is None or not layer.as_predicted or not x.is_floating_point():
        return ()
    try:
        return tuple(check_layer(layer.module, x, seed=seed) or ())
    except RuntimeError as error:
        raise NetworkError(
            f"layer '{layer.name}' ({layer.kind}) fails in float64: {error}"
        ) from error


def _row(layer: Layer, comparisons: tuple[Comparison, ...]) -> LayerCheck:
    return LayerCheck(
        name=layer.name,
        kind=layer.kind,
        input=layer.input,
        output=layer.output,
        expected=layer.predicted.shape,
        comparisons=comparisons,
    )


def _logits(network: nn.Module, pictures: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    kept: list[Tensor] = []
    handle = network.register_forward_hook(lambda _m, _i, out: kept.append(out.detach()))
    try:
        walk(network, pictures)
    finally:
        handle.remove()
    return np.asarray(kept[0].double().numpy())


def _loss(
    logits: np.ndarray[Any, np.dtype[np.float64]], labels: Tensor | None, seed: int
) -> LayerCheck:
    """Softmax with cross-entropy on the network's own logits: one-hot and smoothed targets."""
    N, K = logits.shape
    picked = np.random.default_rng(seed).integers(K, size=N) if labels is None else labels.numpy()
    found = []
    for name, smoothing in (("one-hot", 0.0), ("smoothed", 0.1)):
        y = targets(picked, K, smoothing=smoothing)
        ours = cross_entropy(logits, y)
        goal = torch.tensor(y)
        loss, (dz,) = autograd(
            lambda z, goal=goal: torch.nn.functional.cross_entropy(z, goal, reduction="none"),
            [logits],
            np.ones(N),
        )
        found += [compare(f"loss, {name}", ours.loss, loss), compare(f"∂L/∂z, {name}", ours.dz, dz)]
    return LayerCheck(name="loss", kind="softmax, cross-entropy", input=(N, K), output=(N,),
                      expected=(N,), comparisons=tuple(found))  # fmt: skip


def _real_batch(
    opened: Opened,
    data: str,
    batch: int,
    seed: int,
    options: DataOptions | None,
    progress: Progress,
) -> tuple[Tensor, Tensor | None]:
    shape = opened.shape
    if len(shape) != 3 or shape[1] != shape[2] or shape[0] not in (1, 3):
        raise DataError(f"pictures are 1 or 3 channels and square, the network takes {by(shape)}")
    chosen = options or DataOptions()
    how = DataOptions(format=chosen.format, size=shape[1], colour=shape[0] == 3, map=chosen.map,
                      classes=chosen.classes, skip_bad=chosen.skip_bad)  # fmt: skip
    images = read_source(data, how, progress=progress)
    labelled = np.flatnonzero(images.labels >= 0)
    if len(labelled) < batch:
        raise DataError(f"{data}: {len(labelled)} labelled pictures, {batch} are needed")
    index = np.sort(np.random.default_rng(seed).choice(labelled, size=batch, replace=False))
    pixels = torch.from_numpy(np.array(images.images[index]))
    return opened.as_input(pixels), torch.from_numpy(images.labels[index])


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
