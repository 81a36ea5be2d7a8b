"""What the page and programs may know of the model: its card, in both languages."""

from typing import Any

from mien import __version__
from mien.app.server.settings import State
from mien.errors import ModelFileError
from mien.jobs.model_card import Table, sections
from mien.jobs.serving import Service
from mien.labels import display_name
from mien.words import LANGUAGES, catalogue

_PARTS = {
    "prohibited": ("card-prohibited-1", "card-prohibited-2", "card-prohibited-3"),
    "duty": ("card-duty-1",),
    "intended": ("card-intended-1", "card-intended-2", "card-intended-3"),
    "limits": ("card-limits-2",),
}


def facts(service: Service, state: State) -> dict[str, Any]:
    """The answer of ``GET /v1/model``."""
    classifier = service.predictor.classifier
    return {
        "name": service.name,
        "version": __version__,
        "backend": classifier.backend,
        "classes": list(classifier.classes),
        "input": {"size": classifier.size, "channels": classifier.channels},
        "detector": service.predictor.detector.name,
        "unsure_below": round(service.predictor.unsure_below, 5),
        "views": service.predictor.views,
        "wanted_error": service.predictor.unsure_error,
        "tells_no_face": classifier.novelty_threshold is not None,
        "methods": list(service.methods),
        "max_body": state.settings.max_body,
        "reports": [report.name for report in state.settings.reports],
        "words": {language: _words(service, language) for language in LANGUAGES},
    }


def _words(service: Service, language: str) -> dict[str, Any]:
    texts, classes = catalogue(language), service.classes
    parts = [
        {"part": part, "title": texts[f"card-{part}"], "lines": [texts[key] for key in keys]}
        for part, keys in _PARTS.items()
    ]
    return {
        "classes": {name: display_name(name, language) for name in classes},
        "what": texts["card-what"].format(k=len(classes)),
        "parts": [*parts, *_card(service, language, {texts[f"card-{part}"] for part in _PARTS})],
    }


def _card(service: Service, language: str, told: set[str]) -> list[dict[str, Any]]:
    """The rest of the model's card, its tables as a line a row; nothing for a file without one."""
    try:
        found = sections(service.name, service.predictor.classifier.card, language)
    except ModelFileError:
        return []
    return [
        {"part": "card", "title": part.title, "lines": [*part.sentences, *_rows(part.tables)]}
        for part in found
        if part.title not in told
    ]


def _rows(tables: tuple[Table, ...]) -> list[str]:
    lines = []
    for table in tables:
        for first, *rest in table.rows:
            named = [f"{head} {cell}" for head, cell in zip(table.columns[1:], rest, strict=True)]
            lines.append(f"{first}: {', '.join(named)}")
    return lines
