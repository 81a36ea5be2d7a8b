"""What ``mien trust`` found, as numbers and sentences: the content of ``trust.json``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.explain.attribution import METHODS
from mien.explain.trust.default import default_method
from mien.explain.trust.verdict import BaselineTrust, MethodTrust
from mien.types import Interval
from mien.words import LANGUAGES, say


@dataclass(frozen=True, kw_only=True)
class TrustReport:
    """n: images explained. model: its name. folder: where ``trust.json`` lies."""

    n: int
    split: str
    seed: int
    model: str
    model_checksum: str
    data_fingerprint: str
    methods: tuple[MethodTrust, ...]
    baselines: tuple[BaselineTrust, ...]
    notes: tuple[str, ...]
    folder: Path

    @property
    def default(self) -> str:
        """The method that ``default_method`` would choose by these numbers."""
        return default_method(self.methods, {name: one.passes for name, one in METHODS.items()})

    def sentences(self, language: str = "en") -> list[str]:
        """Every finding of every method in words."""
        return [say(finding, language) for one in self.methods for finding in one.findings]

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts."""
        return {
            "n": self.n,
            "split": self.split,
            "seed": self.seed,
            "model_checksum": self.model_checksum,
            "data_fingerprint": self.data_fingerprint,
            "default_method": self.default,
            "methods": [_method(one) for one in self.methods],
            "baselines": [_baseline(one) for one in self.baselines],
            "notes": list(self.notes),
        }


def _method(one: MethodTrust) -> dict[str, Any]:
    return {
        "method": one.method,
        "title": one.title,
        "verdict": one.verdict,
        "against": list(one.against),
        "findings": [finding.to_json() for finding in one.findings],
        "sentences": {
            language: [say(finding, language) for finding in one.findings] for language in LANGUAGES
        },
        "weights": [
            {
                "layer": layer.layer,
                "similarity": layer.cascade.to_json(),
                "alone": layer.alone.to_json(),
            }
            for layer in one.weights
        ],
        "weights_reference": one.weights_reference.to_json(),
        "labels": one.labels
        and {"similarity": one.labels.to_json(), "reference": one.labels_reference.to_json()},
        "other_model": _plain(one.other),
        "deletion": one.deletion.to_json(),
        "insertion": one.insertion.to_json(),
        "deletion_curve": _rounded(one.measured.deletion_curve),
        "insertion_curve": _rounded(one.measured.insertion_curve),
        "versus": [
            {
                "baseline": v.baseline,
                "deletion_difference": v.deletion.to_json(),
                "insertion_difference": v.insertion.to_json(),
                "mass_difference": _plain(v.mass),
            }
            for v in one.versus
        ],
        "one_region": _region(one),
    }


def _baseline(one: BaselineTrust) -> dict[str, Any]:
    return {
        "baseline": one.baseline,
        "title": one.title,
        "deletion": one.deletion.to_json(),
        "insertion": one.insertion.to_json(),
        "deletion_curve": _rounded(one.measured.deletion_curve),
        "insertion_curve": _rounded(one.measured.insertion_curve),
        "one_region": _region(one),
    }


def _region(one: MethodTrust | BaselineTrust) -> dict[str, Any] | None:
    if one.mass is None or one.pointing is None:
        return None
    return {"mass": one.mass.to_json(), "pointing": one.pointing.to_json()}


def _plain(interval: Interval | None) -> dict[str, Any] | None:
    return interval.to_json() if interval else None


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 5) for value in values]
