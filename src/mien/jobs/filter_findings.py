"""What the measurements on filters amount to: a row each, a summary, and what may be said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.intervals import wilson
from mien.explain.filters.evidence import Evidence
from mien.explain.filters.needed import ENOUGH
from mien.explain.filters.shapes import FAMILIES, bank
from mien.types import Finding, Interval, Value

HALF = 0.5  # a line that explains less than half of a pattern does not explain it
BLIND = 0.95  # where random pictures reach this R², the field is too small to tell
_REPLICATES = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Of D drawn filters: ``numbers`` int64 D, the most influential first.

    influence: float64 D, root mean square effect on the centred logits where the filter fires.
    dead: F words, empty for the living. effects: D×K intervals. reached: float32 D×S.
    pictures: float32 D×S×C×height×width. fits: R² (D×3 in the order of ``FAMILIES``) of the best
    pattern, ``own_r2``, of its surrogate, ``own_null_r2``, and of the mean real patch,
    ``mean_r2`` and ``mean_null_r2``; best: int64 D, which pattern; and the best fit's parameters.
    line, grey: float32 D, activation for the best line of the bank, and for mean grey.
    needed: picture, field: float64 D×T; boxes: int64 D×T×4, top, left, height, width.
    regions: parts of a face by name, bool H×W.
    """

    layer: str
    numbers: NDArray[np.int64]
    influence: NDArray[np.float64]
    dead: NDArray[Any]
    effects: list[list[Interval]]
    reached: NDArray[np.float32]
    pictures: NDArray[np.float32]
    fits: dict[str, NDArray[Any]]
    line: NDArray[np.float32]
    grey: NDArray[np.float32]
    needed: dict[str, NDArray[Any]]
    evidence: Evidence
    regions: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def living(self) -> NDArray[np.bool_]:
        """Which of the drawn are not dead: bool D."""
        return np.asarray(self.dead[self.numbers] == "")

    @property
    def explained(self) -> NDArray[np.float64]:
        """R² of the best family for each filter's best pattern."""
        return np.asarray(self.fits["own_r2"].max(axis=1))

    @property
    def threshold(self) -> float:
        """What R² must reach: a half, and what 95 % of the living filters' surrogates do not."""
        null = self.fits["own_null_r2"].max(axis=1)[self.living]
        null = null[~np.isnan(null)]
        return max(HALF, float(np.quantile(null, 0.95))) if len(null) else HALF

    @property
    def response(self) -> NDArray[np.float64]:
        """How far the best line takes each filter from grey to its best real patch; may pass 1."""
        way = self.evidence.high[self.numbers].astype(np.float64) - self.grey
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(way > 0, (self.line - self.grey) / way, np.nan))

    def covered(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The share of a region that each filter's windows hold, the median over them; D."""
        shares = np.array([
            [mask[t : t + h, x : x + w].sum() / max(mask.sum(), 1) for t, x, h, w in boxes]
            for boxes in self.needed["boxes"].tolist()
        ])  # fmt: skip
        return np.asarray(np.median(shares, axis=1))

    def row(self, d: int, names: tuple[str, ...]) -> dict[str, Any]:
        """One filter, JSON-able; classes by falling effect."""
        f, seen, fits = int(self.numbers[d]), self.evidence, self.fits
        best = int(fits["best"][d])
        reached = float(self.reached[d, best])
        peaks = seen.peaks[:, f]
        order = sorted(range(len(names)), key=lambda k: -self.effects[d][k].value)
        gabor, bar, edge = (_number(v) for v in fits["own_r2"][d])
        return {
            "number": f,
            "influence": float(self.influence[d]),
            "dead": str(self.dead[f]),
            "sparsity": {
                "images": float(seen.active_images[f]),
                "positions": float(seen.active_positions[f]),
            },
            "classes": [
                {"class": names[k], "effect": self.effects[d][k].to_json()} for k in order
            ],
            "speaks_for": [names[k] for k in order if self.effects[d][k].low > 0],
            "speaks_against": [names[k] for k in order if self.effects[d][k].high < 0][::-1],
            "patches": [],
            "pattern_row": d,
            "pattern_best": best,
            "reached": {
                "activation": reached,
                "quantile": float((peaks < reached).mean()),
                "best_real": float(seen.high[f]),
            },
            "gabor": gabor,
            "line": max((v for v in (bar, edge) if v is not None), default=None),
            "null": _number(fits["own_null_r2"][d].max()),
            "fit": {
                "family": FAMILIES[int(fits["family"][d])],
                **{k: _number(fits[k][d])
                   for k in ("angle", "wavelength", "across", "along", "x", "y")},
            },
            "mean_patch": {
                "r2": _number(fits["mean_r2"][d].max()),
                "null": _number(fits["mean_null_r2"][d].max()),
            },
            "line_response": _number(self.response[d]),
            "needed": {
                "picture": _median(self.needed["picture"][d]),
                "field": _median(self.needed["field"][d]),
                "windows": self.needed["boxes"][d].tolist(),
                "regions": {k: float(self.covered(mask)[d]) for k, mask in self.regions.items()},
            },
        }  # fmt: skip


def summary(found: Measured) -> dict[str, Any]:
    """Shares and medians over the living drawn filters, with 95 % intervals."""
    numbers = _summary(found)
    dead = int((found.dead != "").sum())
    plain = {k: v.to_json() if isinstance(v, Interval) else v for k, v in numbers.items()}
    return {"living": int(found.living.sum()), "dead": dead, "verdict": verdict(found), **plain}


def verdict(found: Measured) -> str:
    """Whether filters fire on simple lines: ``holds``, ``fails`` or ``untold``.

    It holds where surely more than half of the filters are explained by a line. It fails where
    surely fewer than half are either explained by one, or fired by one to 90 % of the way from
    grey to their best real patch. In a field of few pixels every picture is a line: untold.
    """
    if found.threshold > BLIND or not found.living.any():
        return "untold"
    numbers = _summary(found)
    share, either = numbers["explained"], numbers["either"]
    if share.low > HALF:
        return "holds"
    return "fails" if either.high < HALF else "untold"


def findings(found: Measured, layer: str) -> tuple[Finding, ...]:
    """The sentences that the numbers support."""
    living = int(found.living.sum())
    told = []
    dead = int((found.dead != "").sum())
    if dead:
        values: dict[str, Value] = {"dead": dead, "n": len(found.dead), "layer": layer}
        told.append(Finding(kind="filters-dead", values=values))
    if not living:
        return tuple(told)
    n = _summary(found)
    told.append(Finding(kind="filters-lines", values={
        "n": living, "layer": layer, "share": n["explained"], "median": n["r2"],
        "null": n["null"], "threshold": f"{found.threshold:.2f}"}))  # fmt: skip
    told.append(Finding(kind="filters-response", values={
        "shapes": len(bank(16, 16)), "reach": n["response"], "share": n["fired"]}))  # fmt: skip
    told.append(Finding(kind="filters-needed", values={
        "picture": n["needed_picture"], "field": n["needed_field"]}))  # fmt: skip
    values = {"share": n["explained"], "either": n["either"]}
    told.append(Finding(kind=f"filters-{verdict(found)}", values=values))
    return tuple(told)


def _summary(found: Measured) -> dict[str, Any]:
    alive = found.living
    simple = (found.explained >= found.threshold) & alive
    fired = (np.nan_to_num(found.response, nan=0.0) >= ENOUGH) & alive
    n = int(alive.sum())
    picture = np.array([_or_nan(_median(row)) for row in found.needed["picture"]])
    field = np.array([_or_nan(_median(row)) for row in found.needed["field"]])
    mean_null = found.fits["mean_null_r2"].max(axis=1)[alive]
    mean_null = mean_null[~np.isnan(mean_null)]
    mean_bar = max(HALF, float(np.quantile(mean_null, 0.95))) if len(mean_null) else HALF
    mean_simple = (found.fits["mean_r2"].max(axis=1) >= mean_bar) & alive
    return {
        "threshold": found.threshold,
        "explained": wilson(int(simple.sum()), n),
        "fired": wilson(int(fired.sum()), n),
        "either": wilson(int((simple | fired).sum()), n),
        "r2": median(found.explained[alive]),
        "null": median(found.fits["own_null_r2"].max(axis=1)[alive]),
        "mean_patch_threshold": mean_bar,
        "mean_patch_explained": wilson(int(mean_simple.sum()), n),
        "mean_patch_r2": median(found.fits["mean_r2"].max(axis=1)[alive]),
        "response": median(found.response[alive]),
        "needed_picture": median(picture[alive]),
        "needed_field": median(field[alive]),
        "needed_regions": {
            name: wilson(int((found.covered(mask)[alive] >= HALF).sum()), n).to_json()
            for name, mask in found.regions.items()
        },
    }


def median(values: NDArray[np.float64], seed: int = 0) -> Interval:
    """The median with a percentile bootstrap interval over the filters; nan values are left out."""
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return Interval(float("nan"), 0.0, 1.0)
    rows = np.random.default_rng(seed).integers(len(values), size=(_REPLICATES, len(values)))
    low, high = np.quantile(np.median(values[rows], axis=1), [0.025, 0.975])
    return Interval(float(np.median(values)), float(low), float(high))


def _median(values: NDArray[np.float64]) -> float | None:
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else None


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
