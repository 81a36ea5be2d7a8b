"""Findings in plain words, from a catalogue of sentences; another language is another catalogue.

A catalogue maps a finding's kind to a template. Into its fields go the names of classes by role
and the numbers by name, already written out:

- an ``Interval`` is a rate, "31 % [20, 44]"; where its name ends in ``difference`` it is points,
  "13 points [8, 18]" (the word from the catalogue), in ``times`` a factor, "2.4 [2.2, 2.6]", in
  ``loss`` or ``similarity`` a number, "0.92 [0.89, 0.95]";
- a whole number has its thousands apart, a p-value reads "p = 0.03" or "p < 0.0001";
- several classes are joined with the catalogue's ``or``;
- a class in the role ``region`` or ``other-region`` is a region of the face, and several in the
  role ``regions`` are joined with ``and``; their names are the catalogue's ``region-…``.
"""

import math
from collections.abc import Callable, Mapping

from mien.types import Finding, Interval

Catalogue = Mapping[str, str]


def render(
    finding: Finding,
    catalogue: Catalogue,
    name: Callable[[str], str] = str,
) -> str:
    """One sentence; ``name`` gives a class's name in the catalogue's language."""
    fields: dict[str, str] = {"among": ""}
    for role, classes in finding.classes.items():
        several = [classes] if isinstance(classes, str) else classes
        regions = role in ("region", "other-region", "regions")
        shown = [catalogue.get(f"region-{c}", c) if regions else name(c) for c in several]
        head = catalogue["comma"].join(shown[:-1])
        word = catalogue["and" if role == "regions" else "or"]
        fields[role] = word.join([head, shown[-1]] if head else shown)
    for key, value in finding.values.items():
        if key == "among":
            fields[key] = catalogue[key].format(among=value)
        elif isinstance(value, Interval):
            fields[key] = _interval(key, value, catalogue)
        elif isinstance(value, float):
            fields[key] = p_value(value)
        else:
            fields[key] = f"{value:,}" if isinstance(value, int) else value
    return catalogue[finding.kind].format(**fields)


def percent(interval: Interval) -> str:
    """A rate with its interval: ``31 % [20, 44]``; ``undefined`` for 0 of 0."""
    if math.isnan(interval.value):
        return "undefined"
    value, low, high = _scaled(interval)
    return f"{value} % [{low}, {high}]"


def points(interval: Interval, word: str = "points") -> str:
    """A difference of rates with its interval: ``2.1 points [0.9, 3.3]``."""
    if math.isnan(interval.value):
        return "undefined"
    value, low, high = _scaled(interval)
    return f"{value} {word} [{low}, {high}]"


def p_value(p: float) -> str:
    """``p = 0.03``, ``p < 0.0001``; never rounded across 0.05."""
    if p < 0.0001:
        return "p < 0.0001"
    digits = 2
    while digits < 8 and (round(p, digits) == 0 or (round(p, digits) >= 0.05) != (p >= 0.05)):
        digits += 1
    return f"p = {p:.{digits}f}"


def _scaled(interval: Interval) -> tuple[str, str, str]:
    """The three numbers times 100, with as many decimals as they need.

    Whole numbers where the interval is wide; one decimal where it is narrower than 5 points; more
    where rounding would move an end onto 0 or 100 that is not there.
    """
    numbers = [100 * x for x in (interval.value, interval.low, interval.high)]
    decimals = 0 if numbers[2] - numbers[1] >= 5 else 1
    while decimals < 4 and any(
        round(x, decimals) in (-100, 0, 100) and x not in (-100, 0, 100) for x in numbers
    ):
        decimals += 1
    value, low, high = (f"{round(x, decimals) + 0.0:.{decimals}f}" for x in numbers)
    minus = "\N{MINUS SIGN}"
    return value.replace("-", minus), low.replace("-", minus), high.replace("-", minus)


def times(interval: Interval) -> str:
    """A factor with its interval: ``2.4 [2.2, 2.6]``; more decimals near 1 or in a narrow one."""
    if math.isnan(interval.value):
        return "undefined"
    numbers = (interval.value, interval.low, interval.high)
    decimals = 1 if numbers[2] - numbers[1] >= 0.2 else 2
    # A factor's message is on which side of 1 it lies, so rounding must not move an end onto 1.
    while decimals < 4 and any(round(x, decimals) in (0, 1) and x not in (0, 1) for x in numbers):
        decimals += 1
    value, low, high = (f"{x:.{decimals}f}" for x in numbers)
    return f"{value} [{low}, {high}]"


def number(interval: Interval, decimals: int = 2) -> str:
    """A plain number with its interval: ``0.92 [0.89, 0.95]``; an end is not rounded onto 0."""
    if math.isnan(interval.value):
        return "undefined"
    ends = (interval.value, interval.low, interval.high)
    while decimals < 5 and any(round(x, decimals) == 0 and x != 0 for x in ends):
        decimals += 1
    value, low, high = (f"{x:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for x in ends)
    return f"{value} [{low}, {high}]"


def _interval(key: str, value: Interval, catalogue: Catalogue) -> str:
    if key.endswith("difference"):
        return points(value, catalogue["points"])
    if key.endswith(("loss", "similarity")):
        return number(value)
    return times(value) if key.endswith("times") else percent(value)
