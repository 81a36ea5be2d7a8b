"""Sentences about results in English and Traditional Chinese (Taiwan), from one catalogue.

``CATALOGUES[language]`` maps a finding's kind to its sentence. Each file beside this one holds the
sentences of one subject, both languages side by side. Knows nothing of how findings are made.
"""

from collections.abc import Callable

from mien.errors import OptionError
from mien.labels import display_name
from mien.types import Finding
from mien.words import (
    calibration,
    card,
    evaluation,
    figures,
    filters,
    fit,
    model_card,
    pairs,
    predict,
    regions,
    report,
    trust,
)
from mien.words.render import Catalogue, number, p_value, percent, points, render, times

__all__ = ["CATALOGUES", "LANGUAGES", "catalogue", "number", "p_value", "percent", "points", "say",
           "times"]  # fmt: skip

LANGUAGES = ("en", "zh-Hant")
_SUBJECTS = (evaluation, calibration, fit, figures, report, card, model_card, trust, pairs,
             regions, filters, predict)  # fmt: skip

CATALOGUES: dict[str, Catalogue] = {
    "en": {kind: text for subject in _SUBJECTS for kind, text in subject.ENGLISH.items()},
    "zh-Hant": {kind: text for subject in _SUBJECTS for kind, text in subject.CHINESE.items()},
}


def catalogue(language: str) -> Catalogue:
    """The sentences of a language.

    Raises:
        OptionError: mien does not speak it.
    """
    if language not in CATALOGUES:
        raise OptionError(f"--lang {language}: one of {', '.join(LANGUAGES)}")
    return CATALOGUES[language]


def say(finding: Finding, language: str = "en", name: Callable[[str], str] | None = None) -> str:
    """One finding as a sentence; ``name`` gives a class's name, by default the language's."""
    return render(finding, catalogue(language), name or (lambda c: _name(c, language)))


def _name(key: str, language: str) -> str:
    return trust.baseline_name(key, language) or display_name(key, language)
