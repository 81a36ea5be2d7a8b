"""A confused pair of classes: what the difference rests on, and whose labels are suspect.

N images, K classes, R regions, H W height and width. Knows nothing of files or networks: the
probabilities must come from a network that did not train on these images, or they call too many
labels right.

Suspect labels are found by confident learning: Northcutt, Jiang, Chuang 2021, "Confident
learning: estimating uncertainty in dataset labels", JAIR 70:1373 (arXiv:1911.00068). The
threshold of a class is the mean probability that its own images get; an image belongs with
confidence to the likeliest of the classes whose threshold it reaches. Where that is not its
label, the label is suspect (it counts off the diagonal of the confident joint); the list is
ranked by how much more probable the suggested class is than the label.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.explain.regions.findings import FEWEST, PLURAL, TOLD
from mien.explain.regions.resample import REPLICATES, joint, means
from mien.explain.regions.shares import shares
from mien.explain.regions.table import number, plain
from mien.explain.regions.template import REGIONS, Masks
from mien.types import Finding, Interval, Value

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Suspects:
    """index: the suspect images, the most suspect first. suggested: the class of each instead.

    confidence: probability of the suggested class less that of the label, -1..1. thresholds: K.
    confident_joint: int64 K×K, images by label (rows) and confident class. estimated: float64
    K×K, the same scaled to all images: the estimated counts of labels against true classes.
    """

    index: NDArray[np.int64]
    suggested: NDArray[np.int64]
    confidence: Floats
    thresholds: Floats
    confident_joint: NDArray[np.int64]
    estimated: Floats


def suspects(probabilities_NK: NDArray[np.floating], labels: NDArray[np.int64]) -> Suspects:
    """The images whose label confident learning doubts.

    Args:
        labels: int64 N, 0..K-1. A class without images has no threshold and is never suggested.

    Raises:
        ValueError: probabilities that are none, or labels that do not fit them.
    """
    chances = np.asarray(probabilities_NK, dtype=np.float64)
    if chances.ndim != 2 or len(chances) != len(labels) or not np.isfinite(chances).all():
        raise ValueError(f"probabilities {chances.shape} do not fit {len(labels)} labels")
    N, K = chances.shape
    if N and (labels.min() < 0 or labels.max() >= K):
        raise ValueError(f"labels outside 0..{K - 1}")
    n = np.bincount(labels, minlength=K)
    own = chances[np.arange(N), labels]
    with np.errstate(invalid="ignore", divide="ignore"):
        thresholds = np.bincount(labels, weights=own, minlength=K) / n
    # A class of one image has that image's own probability as threshold: rounding must not miss it.
    reached = np.where(np.isnan(thresholds), False, chances >= thresholds - 1e-6)
    confident = reached.any(axis=1)
    guess = np.where(reached, chances, -np.inf).argmax(axis=1)
    counts = np.zeros((K, K), dtype=np.int64)
    np.add.at(counts, (labels[confident], guess[confident]), 1)
    doubted = np.flatnonzero(confident & (guess != labels))
    margin = chances[doubted, guess[doubted]] - own[doubted]
    order = np.lexsort((doubted, -margin))
    return Suspects(
        index=doubted[order], suggested=guess[doubted][order].astype(np.int64),
        confidence=margin[order], thresholds=thresholds, confident_joint=counts,
        estimated=_scaled(counts, n),
    )  # fmt: skip


def _scaled(counts: NDArray[np.int64], n: NDArray[np.int64]) -> Floats:
    """The confident joint with its rows scaled to the labels' counts (the paper's equation 2)."""
    rows = counts.sum(axis=1)
    # A class of which nothing is confident is taken as right.
    base = np.where(rows[:, None] > 0, counts, np.eye(len(n))) * 1.0
    return np.asarray(base / base.sum(axis=1, keepdims=True) * n[:, None])


@dataclass(frozen=True, kw_only=True)
class PairRegion:
    """One region in the images of a confused pair.

    times: of the map of truth less rival, absolute, as in the ledger. net: the map's signed sum on
    the region over its absolute sum, -1..1; for methods whose sign is evidence (not the plain
    gradient's) above 0 speaks for the truth. hiding, elsewhere: what hiding the region, or its
    shape at a random place, adds to the probability of the truth less that of the rival, -2..2;
    beyond: the first less the second. ``joint_``: intervals that hold for all regions at once.
    """

    region: str
    n: int
    times: Interval
    net: Interval
    joint_times: Interval
    hiding: Interval
    elsewhere: Interval
    joint_beyond: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain scalars."""
        names = ("times", "net", "joint_times", "hiding", "elsewhere", "joint_beyond")
        return {"n": self.n, **{name: plain(getattr(self, name)) for name in names}}


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Images of ``truth`` that were taken for ``predicted``.

    n: their number. confident: the most confidently wrong, with their probabilities K, the worst
    first. suspects: those whose label is doubted. held_out: whether the probabilities are of
    images that the network did not train on.
    """

    truth: str
    predicted: str
    classes: tuple[str, ...]
    n: int
    confident: tuple[tuple[str, tuple[float, ...]], ...]
    suspects: tuple[dict[str, Any], ...]
    regions: tuple[PairRegion, ...]
    method: str
    held_out: bool
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """What ``explain/pairs.json`` holds."""
        return {
            "truth": self.truth, "predicted": self.predicted, "n": self.n, "method": self.method,
            "held_out": self.held_out, "classes": list(self.classes),
            "confident": [
                {
                    "id": name,
                    "probabilities": dict(zip(self.classes, map(number, each), strict=True)),
                }
                for name, each in self.confident
            ],
            "suspects": list(self.suspects),
            "regions": {region.region: region.to_json() for region in self.regions},
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }  # fmt: skip


def pair_regions(
    maps_NHW: NDArray[np.floating],
    regions: Masks,
    change_NR: Floats,
    elsewhere_NR: Floats,
    *,
    names: Sequence[str] = REGIONS,
    shift: int = 4,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[PairRegion]:
    """Where the difference of two classes lies in N images, with 95 % bootstrap intervals.

    Args:
        maps_NHW: signed, of the truth less the rival. regions, shift: as for the ledger.
        change_NR, elsewhere_NR: from ``regions.hiding.hide`` with the predicted as rivals.
    """
    own = regions.ndim == 4
    found = shares(maps_NHW, regions, shift=0 if own else shift)
    S, N, R = found.absolute.shape
    weight = _positive_weight(maps_NHW)
    # Σ⁺ - Σ⁻ on a region over Σ|·|, from the shares of the positive part and of the whole.
    net = 2 * weight[None, :, None] * np.nan_to_num(found.positive) - found.absolute
    fixed = np.concatenate([change_NR, elsewhere_NR, change_NR - elsewhere_NR], axis=1)
    placed = np.concatenate([found.times(), net, np.broadcast_to(fixed, (S, N, 3 * R))], axis=2)
    drawn = means(placed, np.zeros(N, dtype=np.int64), np.ones((1, 1), dtype=np.bool_),
                  replicates=replicates, seed=seed)  # fmt: skip

    def jointly(first: int) -> list[Interval]:
        part = slice(first, first + R)
        return joint(drawn.drawn[:, 0, part], drawn.observed[0, part], drawn.n[0, part])

    times, beyond = jointly(0), jointly(4 * R)
    rows = []
    for r, name in enumerate(names):
        row = PairRegion(
            region=name, n=int(drawn.n[0, r]), times=drawn.interval(0, r),
            net=drawn.interval(0, R + r), joint_times=times[r],
            hiding=drawn.interval(0, 2 * R + r), elsewhere=drawn.interval(0, 3 * R + r),
            joint_beyond=beyond[r],
        )  # fmt: skip
        rows.append(row)
    return rows


def _positive_weight(maps_NHW: NDArray[np.floating]) -> Floats:
    """The positive part of each map's absolute sum, N, 0..1; nan for a blank map."""
    whole = np.abs(maps_NHW).sum(axis=(1, 2), dtype=np.float64)
    part = np.maximum(maps_NHW, 0).sum(axis=(1, 2), dtype=np.float64)
    return np.asarray(np.divide(part, whole, where=whole > 0, out=np.full(len(whole), np.nan)))


def describe_pair(pair: Pair) -> list[Finding]:
    """What the numbers of a pair support saying; joint intervals decide."""
    roles: dict[str, str | tuple[str, ...]] = {"truth": pair.truth, "predicted": pair.predicted}
    if pair.n < FEWEST:
        return [Finding(kind="pair-few", classes=roles, values={"n": pair.n})]
    found = []
    # A shape as large as the rest covers the face wherever it is moved: no control for it.
    parts = [one for one in pair.regions if one.n >= FEWEST and one.region != "rest"]
    above = [one for one in parts if one.joint_times.low > 1]
    for one in sorted(above, key=lambda one: -one.times.value)[:TOLD]:
        values: dict[str, Value] = {"times": one.joint_times, "n": one.n}
        found.append(_of("pair-region", roles, one.region, values))
    hidden = []
    for one in sorted(parts, key=lambda one: -abs(one.joint_beyond.value)):
        beyond = one.joint_beyond
        # Anything hidden makes a confident mistake less confident; beyond that, and in itself.
        misleads = beyond.low > 0 and one.hiding.low > 0
        if misleads or (beyond.high < 0 and one.hiding.high < 0):
            kind = "pair-misleads" if misleads else "pair-helps"
            values = {
                "difference": beyond, "hidden_difference": one.hiding,
                "random_difference": one.elsewhere, "n": one.n,
            }  # fmt: skip
            hidden.append(_of(kind, roles, one.region, values))
    found += hidden
    if not found:
        found.append(Finding(kind="pair-open", classes=roles, values={"n": pair.n}))
    if pair.suspects:
        values = {"count": len(pair.suspects), "n": pair.n}
        found.append(Finding(kind="pair-suspects", classes=roles, values=values))
    return found


def describe_suspects(
    found: Suspects, labels: NDArray[np.int64], classes: Sequence[str], rate: Interval
) -> list[Finding]:
    """How many labels are suspect, and the commonest suggestion. rate: the share of suspects."""
    count = len(found.index)
    values: dict[str, Value] = {"count": count, "n": len(labels), "rate": rate}
    if count == 0:
        return [Finding(kind="suspects-none", values={"n": len(labels)})]
    told = [Finding(kind="suspects", values=values)]
    pairs = found.confident_joint * (1 - np.eye(len(classes), dtype=np.int64))
    i, j = np.unravel_index(int(pairs.argmax()), pairs.shape)
    if np.sort(pairs.ravel())[-2] < pairs[i, j]:
        roles: dict[str, str | tuple[str, ...]] = {
            "truth": classes[int(i)], "predicted": classes[int(j)],
        }  # fmt: skip
        told.append(
            Finding(kind="suspects-most", classes=roles, values={"count": int(pairs[i, j])})
        )
    return told


def _of(
    kind: str, roles: dict[str, str | tuple[str, ...]], region: str, values: dict[str, Value]
) -> Finding:
    kind += "-plural" if region in PLURAL else ""
    return Finding(kind=kind, classes={**roles, "region": region}, values=values)
