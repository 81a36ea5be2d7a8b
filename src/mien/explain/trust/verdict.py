"""What the tests say of a method: intervals, findings, and one verdict.

The rules, in the order in which the first that fails gives the verdict:

``ignores-weights``  With every layer random, the map may be like the trained network's no more
    than maps of two different faces are, plus MARGIN, and by less than HALF. It fails where an
    interval lies above its bound. (Spearman's correlation of |maps|, see
    ``similarity``; two faces' maps are alike because faces are aligned, which no test can blame.)
``ignores-labels``   The same bound for the map of a network fitted to shuffled labels.
``not-better``       Deleting by the map must lower the target's probability faster, and inserting
    raise it faster, than by every baseline that knows nothing: the intervals of the mean paired
    differences, simultaneous over baselines and both curves, must lie above 0. The baselines that
    are not beaten are named.
``off-region``       On faces whose label one region alone carries, the share of |map| inside the
    region must be larger than every baseline's, by simultaneous intervals.
``undecided``        Nothing of these failed, but an interval on weights or labels reaches over its
    bound: more images would tell.
``passes``           All of these held, of those that were run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.explain.trust.measure import Measured
from mien.explain.trust.resampling import grouped_interval, mean_interval, simultaneous
from mien.types import Finding, Interval, Value
from mien.words.trust import PREFIX

MARGIN = 0.1
HALF = 0.5
CODES = ("passes", "undecided", "off-region", "not-better", "ignores-labels", "ignores-weights")


@dataclass(frozen=True, kw_only=True)
class Versus:
    """How much better than a baseline, of mean paired differences: positive is better.

    deletion, insertion: of areas (probabilities 0..1); mass: of shares; None where not run.
    """

    baseline: str
    deletion: Interval
    insertion: Interval
    mass: Interval | None = None

    @property
    def lost(self) -> tuple[str, ...]:
        """The curves in which the baseline is not beaten."""
        pairs = (("deletion", self.deletion), ("insertion", self.insertion))
        return tuple(name for name, interval in pairs if not interval.low > 0)


@dataclass(frozen=True, kw_only=True)
class LayerSimilarity:
    """Similarity to the trained network's maps once this layer and all behind it are random.

    alone: with this layer random and the others as they were.
    """

    layer: str
    cascade: Interval
    alone: Interval


@dataclass(frozen=True, kw_only=True)
class MethodTrust:
    """What was found of one method; None for tests that were not run.

    weights: from the last layer to the first. weights_reference, labels_reference: similarity of
    the maps of two different images. other: similarity to another network's maps. against: the
    baselines that it does not beat. findings: the first one is the verdict in words. shares: of
    |map| in the region, one a face, or empty.
    """

    method: str
    title: str
    verdict: str
    findings: tuple[Finding, ...]
    weights: tuple[LayerSimilarity, ...]
    weights_reference: Interval
    labels: Interval | None
    labels_reference: Interval
    other: Interval | None
    deletion: Interval
    insertion: Interval
    versus: tuple[Versus, ...]
    mass: Interval | None
    pointing: Interval | None
    against: tuple[str, ...] = ()
    shares: NDArray[np.float64] = field(repr=False, compare=False)
    measured: Measured = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class BaselineTrust:
    """The same curves and region scores of a baseline."""

    baseline: str
    title: str
    deletion: Interval
    insertion: Interval
    mass: Interval | None
    pointing: Interval | None
    measured: Measured = field(repr=False, compare=False)


def judge(
    method: str,
    title: str,
    measured: Measured,
    baselines: Mapping[str, Measured],
    layers: Sequence[str],
    *,
    region: tuple[Measured, Mapping[str, Measured]] | None = None,
    seed: int = 0,
) -> MethodTrust:
    """Intervals, findings and verdict of a method.

    layers: names from the last to the first. region: the method and the baselines measured on
    faces whose label one region carries; where ``measured`` has region scores, they are taken.
    """
    if region is None and len(measured.mass):
        region = (measured, baselines)
    versus = _versus(measured, baselines, region, seed)
    weights = _layers(measured, layers, seed)
    reference = mean_interval(measured.between, seed=seed)
    labels = _maybe(measured.labels, seed)
    labels_reference = mean_interval(measured.between_all, seed=seed)
    values: dict[str, Value] = {"method": title, "n": len(measured.deletion)}
    failed: list[tuple[str, Finding]] = []
    unsure: list[Finding] = []

    def ask(test: str, excess: Interval, similarity: Interval, faces: Interval) -> None:
        shown = {**values, "similarity": similarity, "other_similarity": faces}
        if excess.low > MARGIN or similarity.low > HALF:
            failed.append((f"ignores-{test}", _finding(f"trust-{test}", shown)))
        elif excess.high > MARGIN or similarity.high > HALF:
            unsure.append(_finding(f"trust-{test}-unsure", shown))

    ask("weights", _excess_weights(measured, seed), weights[-1].cascade, reference)
    if labels is not None:
        excess = mean_interval(measured.labels - measured.between_all, seed=seed)
        ask("labels", excess, labels, labels_reference)
    against = tuple(one.baseline for one in versus if one.lost)
    if against:
        failed.append(("not-better", _not_better(values, versus)))
    off = [one for one in versus if one.mass is not None and not one.mass.low > 0]
    if off and region is not None:
        failed.append(("off-region", _off_region(values, region, off, seed)))
    complete = labels is not None and region is not None
    if not failed and unsure:
        failed.append(("undecided", unsure.pop(0)))
    good = _finding("trust-passes" if complete else "trust-passes-part", values)
    return MethodTrust(
        method=method, title=title,
        verdict=failed[0][0] if failed else "passes",
        findings=(*(finding for _, finding in failed), *unsure) or (good,),
        weights=weights, weights_reference=reference,
        labels=labels, labels_reference=labels_reference, other=_maybe(measured.other, seed),
        deletion=mean_interval(measured.deletion, seed=seed),
        insertion=mean_interval(measured.insertion, seed=seed),
        versus=versus,
        mass=_maybe(region[0].mass, seed) if region else None,
        pointing=_maybe(region[0].pointing, seed) if region else None,
        against=against, measured=measured, shares=region[0].mass if region else np.empty(0),
    )  # fmt: skip


def judge_baseline(
    name: str, title: str, measured: Measured, region: Measured | None = None, *, seed: int = 0
) -> BaselineTrust:
    """Intervals of a baseline; ``region``: it on faces whose label one region carries."""
    scores = region or measured
    return BaselineTrust(
        baseline=name, title=title,
        deletion=mean_interval(measured.deletion, seed=seed),
        insertion=mean_interval(measured.insertion, seed=seed),
        mass=_maybe(scores.mass, seed), pointing=_maybe(scores.pointing, seed), measured=measured,
    )  # fmt: skip


def _versus(
    own: Measured,
    baselines: Mapping[str, Measured],
    region: tuple[Measured, Mapping[str, Measured]] | None,
    seed: int,
) -> tuple[Versus, ...]:
    columns = [theirs.deletion - own.deletion for theirs in baselines.values()]
    columns += [own.insertion - theirs.insertion for theirs in baselines.values()]
    found = simultaneous(np.stack(columns, axis=1), seed=seed)
    inside: Sequence[Interval | None] = [None] * len(baselines)
    if region is not None:
        shares = [region[0].mass - region[1][name].mass for name in baselines]
        inside = simultaneous(np.stack(shares, axis=1), seed=seed)
    B = len(baselines)
    return tuple(
        Versus(baseline=name, deletion=found[b], insertion=found[B + b], mass=inside[b])
        for b, name in enumerate(baselines)
    )


def _layers(m: Measured, layers: Sequence[str], seed: int) -> tuple[LayerSimilarity, ...]:
    return tuple(
        LayerSimilarity(
            layer=name,
            cascade=grouped_interval(_by_draw(m.cascade[depth], m), seed=seed),
            alone=grouped_interval(_by_draw(m.alone[depth], m), seed=seed),
        )
        for depth, name in enumerate(layers)
    )


def _excess_weights(m: Measured, seed: int) -> Interval:
    return grouped_interval(_by_draw(m.cascade[-1] - m.between, m), seed=seed)


def _by_draw(values: NDArray[Any], m: Measured) -> list[NDArray[Any]]:
    return [values[m.draw == number] for number in np.unique(m.draw)]


def _not_better(values: Mapping[str, Value], versus: Sequence[Versus]) -> Finding:
    lost = [one for one in versus if one.lost]
    worst = min(lost, key=lambda one: min(one.deletion.value, one.insertion.value))
    return Finding(
        kind="trust-not-better",
        classes=_named(lost, worst),
        values={
            **values,
            "deletion_difference": worst.deletion,
            "insertion_difference": worst.insertion,
        },
    )


def _off_region(
    values: Mapping[str, Value],
    region: tuple[Measured, Mapping[str, Measured]],
    off: Sequence[Versus],
    seed: int,
) -> Finding:
    worst = min(off, key=lambda one: one.mass.value if one.mass else 0.0)
    return Finding(
        kind="trust-off-region",
        classes=_named(off, worst),
        values={
            **values,
            "n": len(region[0].mass),
            "mass": mean_interval(region[0].mass, seed=seed),
            "worst_mass": mean_interval(region[1][worst.baseline].mass, seed=seed),
        },
    )


def _named(several: Sequence[Versus], worst: Versus) -> dict[str, str | tuple[str, ...]]:
    return {
        "baselines": tuple(PREFIX + one.baseline for one in several),
        "worst": PREFIX + worst.baseline,
    }


def _finding(kind: str, values: Mapping[str, Value]) -> Finding:
    return Finding(kind=kind, values=values)


def _maybe(values: NDArray[Any], seed: int) -> Interval | None:
    return mean_interval(values, seed=seed) if len(values) else None
