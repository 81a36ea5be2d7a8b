"""One language of the report: its interface words, sentences, class names and number formats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mien.labels import display_name
from mien.types import Finding, Interval
from mien.words import catalogue, number, percent, points, say, times


@dataclass(frozen=True)
class Speech:
    """code: ``en`` or ``zh-Hant``."""

    code: str

    def __call__(self, key: str, **fields: object) -> str:
        """An interface word or sentence of ``words.report``; fields are put in as they are."""
        return catalogue(self.code)[f"report-{key}"].format(**fields)

    def text(self, key: str, **fields: object) -> str:
        """One of another subject, by its whole key."""
        return catalogue(self.code)[key].format(**fields)

    def knows(self, key: str) -> bool:
        """Whether there is such an interface word."""
        return f"report-{key}" in catalogue(self.code)

    def word(self, prefix: str, value: str) -> str:
        """``value`` in this language where the catalogue has ``prefix-value``, else itself."""
        return self(f"{prefix}-{value}") if self.knows(f"{prefix}-{value}") else value

    def say(self, findings: Sequence[Finding]) -> list[str]:
        """Findings as sentences; of kinds that this version does not know nothing is said."""
        known = catalogue(self.code)
        return [say(finding, self.code) for finding in findings if finding.kind in known]

    def name(self, label: str) -> str:
        """A class's name."""
        return display_name(label, self.code)

    def percent(self, interval: Interval) -> str:
        """``31 % [20, 44]``."""
        return percent(interval) if not math.isnan(interval.value) else self("undefined")

    def points(self, interval: Interval) -> str:
        """``2.1 points [0.9, 3.3]``."""
        return points(interval, catalogue(self.code)["points"])

    def number(self, interval: Interval, decimals: int = 2) -> str:
        """``0.92 [0.89, 0.95]``."""
        return number(interval, decimals) if not math.isnan(interval.value) else self("undefined")

    def times(self, interval: Interval) -> str:
        """``2.4 [2.2, 2.6]``."""
        return times(interval) if not math.isnan(interval.value) else self("undefined")

    def list(self, names: Sequence[str]) -> str:
        """Names one after another."""
        return catalogue(self.code)["comma"].join(names)

    def duration(self, seconds: float) -> str:
        """``45 s``, ``33 min``, ``2.4 h``."""
        if seconds < 120:
            return self("seconds", n=f"{seconds:.0f}")
        if seconds < 7200:
            return self("minutes", n=f"{seconds / 60:.0f}")
        return self("hours", n=f"{seconds / 3600:.1f}")
