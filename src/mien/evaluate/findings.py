"""What a confusion matrix supports saying, as facts without words (``mien.words`` has the words).

A finding is made only where two things agree: an exact test, corrected so that among all
findings of its kind any is false with probability at most 5 %, and the 95 % interval that is
shown with it. The kinds (K classes that occur; 5 % is ALPHA):

``missed``     one class's recall is lower than every other's. Class i is ruled out as the lowest
               when some other class is lower by Fisher's exact test at ALPHA / K. Over the K
               classes that could be named this bounds the chance of naming a wrong one by ALPHA,
               although the data chose the candidate, and also where several are equally low
               (subset selection: Gupta 1965, Technometrics 7:225).
``missed-one-of``  more than one class is left, but not all and at most three: the lowest is among
               them, the images do not tell which.
``pair``       a class is taken for another at a rate above the floor: above what the overall
               error rate would be if errors spread evenly over the other classes, and above
               1 %. Exact binomial tests over all pairs (the floor taken as given), Holm's
               correction (Holm 1979, Scand. J. Statistics 6:65).
``partner``    a class is taken for one other more often than for each of the rest. Exact
               binomial test at 1/2 against each, Holm over the classes. Needs K > 2.
``direction``  i is taken for j at a higher rate than j for i. Fisher's exact test, Holm over all
               ordered pairs, told of pairs of which one is a ``pair``.

Nothing here depends on the order of the classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mien.evaluate.intervals import newcombe, wilson
from mien.types import Finding, Interval, Value
from mien.words import say

ALPHA = 0.05
FLOOR = 0.01
MOST_CANDIDATES = 3


def describe(
    counts: NDArray[np.int64], classes: Sequence[str], *, most: int = 5, language: str = "en"
) -> list[str]:
    """What a confusion matrix supports saying, in sentences; at most ``most`` of each kind.

    Args:
        counts: int64 K×K, rows the truth. classes: K names.
    """
    return [say(finding, language) for finding in strongest(findings(counts, classes), most)]


def strongest(found: Sequence[Finding], most: int) -> list[Finding]:
    """The first ``most`` of each kind, in the order given."""
    told: dict[str, int] = {}
    kept = []
    for finding in found:
        told[finding.kind] = told.get(finding.kind, 0) + 1
        if told[finding.kind] <= most:
            kept.append(finding)
    return kept


def findings(counts: NDArray[np.int64], classes: Sequence[str]) -> list[Finding]:
    """All that the matrix supports: ``missed`` first, then each kind, the strongest first.

    Args:
        counts: int64 K×K, rows the truth. classes: K different names.
    """
    pairs = find_pairs(counts, classes)
    told = {frozenset((str(p.classes["truth"]), str(p.classes["predicted"]))) for p in pairs}
    directions = [
        finding
        for finding in find_directions(counts, classes)
        if frozenset((str(finding.classes["truth"]), str(finding.classes["predicted"]))) in told
    ]
    return [
        *find_missed(counts, classes),
        *pairs,
        *find_partners(counts, classes),
        *directions,
    ]


def find_missed(counts: NDArray[np.int64], classes: Sequence[str]) -> list[Finding]:
    """The class of the lowest recall, or the few among which it is, or nothing."""
    n = counts.sum(axis=1)
    missed = n - np.diagonal(counts)
    occur = np.flatnonzero(n)
    if len(occur) < 2:
        return []
    p = _fisher(missed[occur], n[occur])
    beaten = (p <= ALPHA / len(occur)).any(axis=0)
    left = [int(k) for k in occur[~beaten]]
    others = [int(k) for k in occur[beaten]]
    if not others or len(left) > MOST_CANDIDATES:
        return []
    if len(left) > 1:
        names = tuple(sorted(classes[k] for k in left))
        values = _among(len(occur), len(n))
        return [Finding(kind="missed-one-of", classes={"candidates": names}, values=values)]
    lowest = left[0]
    gaps = {k: newcombe(*_two(missed, n, lowest), *_two(missed, n, k)) for k in others}
    if any(gap.low <= 0 for gap in gaps.values()):
        return []
    second = max(others, key=lambda k: (missed[k] / n[k], n[k], classes[k]))
    values = {
        "rate": wilson(*_two(missed, n, lowest)),
        "n": int(n[lowest]),
        "next_rate": wilson(*_two(missed, n, second)),
        "next_n": int(n[second]),
        "difference": gaps[second],
        **_among(len(occur), len(n)),
    }
    roles = {"truth": classes[lowest], "next": classes[second]}
    return [Finding(kind="missed", classes=roles, values=values)]


def find_pairs(counts: NDArray[np.int64], classes: Sequence[str]) -> list[Finding]:
    """The pairs whose rate is above the floor, the highest rate first."""
    n, floor = counts.sum(axis=1), pair_floor(counts)
    off = [(i, j) for i in np.flatnonzero(n).tolist() for j in range(len(n)) if i != j]
    p = np.array([stats.binom.sf(counts[i, j] - 1, n[i], floor) for i, j in off])
    found = []
    for (i, j), supported in zip(off, holm(p), strict=True):
        rate = wilson(int(counts[i, j]), int(n[i]))
        if supported and rate.low > floor:
            roles = {"truth": classes[i], "predicted": classes[j]}
            values: dict[str, Value] = {"rate": rate, "n": int(n[i]), "floor": floor}
            found.append(Finding(kind="pair", classes=roles, values=values))
    return sorted(found, key=lambda f: _order(f, "rate"))


def pair_floor(counts: NDArray[np.int64]) -> float:
    """The rate that a pair must exceed to be told of: errors spread evenly, but at least 1 %."""
    total, K = int(counts.sum()), len(counts)
    if total == 0 or K < 3:
        return FLOOR
    return max(FLOOR, (1 - int(counts.trace()) / total) / (K - 1))


def find_partners(counts: NDArray[np.int64], classes: Sequence[str]) -> list[Finding]:
    """The classes that are taken for one other class more often than for each of the rest."""
    K = len(counts)
    rows, tops, p = [], [], []
    for i in np.flatnonzero(counts.sum(axis=1)).tolist() if K > 2 else []:
        rivals = sorted(
            (k for k in range(K) if k != i), key=lambda k: (-int(counts[i, k]), classes[k])
        )
        first, second = int(counts[i, rivals[0]]), int(counts[i, rivals[1]])
        rows.append(i)
        tops.append((rivals[0], rivals[1]))
        # The second is the hardest to beat; K-1 for the first's having been chosen by the data.
        p.append(min(1.0, (K - 1) * float(stats.binom.sf(first - 1, first + second, 0.5))))
    found = []
    for i, (j, k), supported in zip(rows, tops, holm(np.array(p)), strict=True):
        count, next_count = int(counts[i, j]), int(counts[i, k])
        share = wilson(count, count + next_count)
        if supported and share.low > 0.5:
            roles = {"truth": classes[i], "predicted": classes[j], "next": classes[k]}
            values: dict[str, Value] = {"count": count, "next_count": next_count, "share": share}
            found.append(Finding(kind="partner", classes=roles, values=values))
    return sorted(found, key=lambda f: _order(f, "share"))


def find_directions(counts: NDArray[np.int64], classes: Sequence[str]) -> list[Finding]:
    """The pairs that are confused one way at a higher rate than the other way."""
    n = counts.sum(axis=1)
    occur = np.flatnonzero(n).tolist()
    pairs = [(i, j) for i in occur for j in occur if i != j]
    p = np.array(
        [_exceeds(int(counts[i, j]), int(n[i]), int(counts[j, i]), int(n[j])) for i, j in pairs]
    )
    found = []
    for (i, j), supported in zip(pairs, holm(p), strict=True):
        there, back = (int(counts[i, j]), int(n[i])), (int(counts[j, i]), int(n[j]))
        difference = newcombe(*there, *back)
        if supported and difference.low > 0:
            roles = {"truth": classes[i], "predicted": classes[j]}
            values: dict[str, Value] = {
                "rate": wilson(*there),
                "n": there[1],
                "back_rate": wilson(*back),
                "back_n": back[1],
                "difference": difference,
            }
            found.append(Finding(kind="direction", classes=roles, values=values))
    return sorted(found, key=lambda f: _order(f, "difference"))


def _fisher(successes: NDArray[np.int64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """p[i, j] of the one-sided test that i's rate is above j's; 1 on the diagonal."""
    K = len(n)
    pairs = [(i, j) for i in range(K) for j in range(K) if i != j]
    p = np.ones((K, K))
    for i, j in pairs:
        p[i, j] = _exceeds(int(successes[i]), int(n[i]), int(successes[j]), int(n[j]))
    return p


def _exceeds(s1: int, n1: int, s2: int, n2: int) -> float:
    """Fisher's exact one-sided p-value of the first proportion's being the larger."""
    return float(stats.hypergeom.sf(s1 - 1, n1 + n2, s1 + s2, n1))


def holm(p: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which hypotheses Holm's step-down procedure rejects at ALPHA; p: float64 M."""
    order = np.argsort(p, kind="stable")
    passed = p[order] <= ALPHA / np.arange(len(p), 0, -1)
    rejected = np.zeros(len(p), dtype=np.bool_)
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected


def _two(successes: NDArray[np.int64], n: NDArray[np.int64], k: int) -> tuple[int, int]:
    return int(successes[k]), int(n[k])


def _among(occurring: int, K: int) -> dict[str, Value]:
    """How many classes were compared, where some have no images."""
    return {} if occurring == K else {"among": occurring}


def _order(finding: Finding, key: str) -> tuple[float, tuple[str, ...]]:
    value = finding.values[key]
    strength = value.value if isinstance(value, Interval) else 0.0
    return -strength, tuple(str(name) for name in finding.classes.values())
