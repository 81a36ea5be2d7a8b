"""Findings in plain words, from a catalogue of sentences; another language is another catalogue.

A catalogue maps a finding's kind to a template. Into its fields go the names of classes by role
and the numbers by name, already written out:

- an ``Interval`` is a rate, "31 % [20, 44]"; where its name ends in ``difference`` it is points,
  "13 points [8, 18]" (the word from the catalogue);
- a whole number has its thousands apart, a p-value reads "p = 0.03" or "p < 0.0001";
- several classes are joined with the catalogue's ``or``.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.findings import Finding, findings
from mien.evaluate.intervals import Interval

Catalogue = Mapping[str, str]

ENGLISH: Catalogue = {
    "missed": (
        "{truth} is the class most often missed{among}: {rate} of {n} images; "
        "next is {next} with {next_rate} of {next_n}."
    ),
    "missed-one-of": (
        "The class most often missed{among} is {candidates}; "
        "these images do not tell which of them."
    ),
    "pair": "{truth} is taken for {predicted} in {rate} of {n} images.",
    "partner": (
        "{truth} is taken for {predicted} more often than for any other class: "
        "{count} times, against {next_count} for {next}."
    ),
    "direction": (
        "{truth} is taken for {predicted} more often than {predicted} for {truth}: "
        "{rate} of {n} images against {back_rate} of {back_n}."
    ),
    "better": (
        "{better} is right more often than {worse} on these {n} images: by {difference} "
        "({only_better} right by {better} alone, {only_worse} by {worse} alone; "
        "exact McNemar test, {p})."
    ),
    "undecided": (
        "These {n} images do not tell {a} and {b} apart: the accuracy of {a} minus "
        "that of {b} is {difference} "
        "({only_a} right by {a} alone, {only_b} by {b} alone; exact McNemar test, {p})."
    ),
    "same": "{a} and {b} are right on exactly the same of these {n} images.",
    "among": " of the {among} classes that have images",
    "or": " or ",
    "comma": ", ",
    "points": "points",
}


def render(
    finding: Finding,
    catalogue: Catalogue = ENGLISH,
    name: Callable[[str], str] = str,
) -> str:
    """One sentence; ``name`` gives a class's name in the catalogue's language."""
    fields: dict[str, str] = {"among": ""}
    for role, classes in finding.classes.items():
        shown = [name(c) for c in ([classes] if isinstance(classes, str) else classes)]
        head = catalogue["comma"].join(shown[:-1])
        fields[role] = catalogue["or"].join([head, shown[-1]] if head else shown)
    for key, value in finding.values.items():
        if key == "among":
            fields[key] = catalogue[key].format(among=value)
        elif isinstance(value, Interval):
            is_points = key.endswith("difference")
            fields[key] = points(value, catalogue["points"]) if is_points else percent(value)
        elif isinstance(value, float):
            fields[key] = p_value(value)
        else:
            fields[key] = f"{value:,}" if isinstance(value, int) else value
    return catalogue[finding.kind].format(**fields)


def describe(
    counts: NDArray[np.int64],
    classes: Sequence[str],
    *,
    most: int = 5,
    catalogue: Catalogue = ENGLISH,
    name: Callable[[str], str] = str,
) -> list[str]:
    """What a confusion matrix supports saying, in sentences; at most ``most`` of each kind.

    Args:
        counts: int64 K×K, rows the truth. classes: K names.
    """
    told: dict[str, int] = {}
    sentences = []
    for finding in findings(counts, classes):
        told[finding.kind] = told.get(finding.kind, 0) + 1
        if told[finding.kind] <= most:
            sentences.append(render(finding, catalogue, name))
    return sentences


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
