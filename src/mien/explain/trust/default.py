"""Which method to explain with unless told otherwise: a rule over the tables of verdicts."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.explain.trust.resampling import mean_interval
from mien.explain.trust.verdict import CODES, MethodTrust


def default_method(
    table: Sequence[MethodTrust],
    passes: Mapping[str, str],
    also: Sequence[Mapping[str, tuple[str, int]]] = (),
) -> str:
    """The method that mien explains with unless told otherwise, chosen from a table.

    Of the methods with the best verdict (in the order of CODES; among those not better than some
    baseline, of those with the fewest such) the one with the largest mass accuracy; a method of a
    single pass goes before one of many unless the latter's mass accuracy is larger by an interval
    that excludes 0. Without region scores insertion less deletion takes the place of mass.

    passes: ``single`` or ``many`` by method. also: verdicts and numbers of baselines not beaten on
    further models, by method; the worst of a method's verdicts counts.

    Raises:
        ValueError: an empty table.
    """
    if not table:
        raise ValueError("no method to choose from")
    told = [{one.method: (one.verdict, len(one.against)) for one in table}, *also]
    rank = {
        one.method: max((CODES.index(code), n) for code, n in (t[one.method] for t in told))
        for one in table
    }
    best = min(rank.values())
    left = [one for one in table if rank[one.method] == best]
    cheap = [one for one in left if passes[one.method] == "single"]
    leader = max(left, key=lambda one: float(_merit(one).mean()))
    rival = max(cheap, key=lambda one: float(_merit(one).mean()), default=leader)
    if rival is not leader:
        lead = mean_interval(_merit(leader) - _merit(rival))
        return leader.method if lead.low > 0 else rival.method
    return leader.method


def _merit(one: MethodTrust) -> NDArray[np.float64]:
    m = one.measured
    return one.shares if len(one.shares) else m.insertion - m.deletion
