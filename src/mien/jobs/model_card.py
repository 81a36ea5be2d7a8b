"""The verbs ``models`` and ``card``: what model files say of themselves; no torch, no network runs.

A card is made of sections: a title, sentences, and tables of text. The released models carry their
results; of another file only what it knows is told.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import ModelFileError
from mien.labels import display_name
from mien.models import bundled
from mien.models.card import read_card
from mien.models.confidence import read_confidence
from mien.models.onnx_file import is_onnx, read_onnx
from mien.types import Finding, Interval
from mien.words import catalogue, percent, points, say

CARD = "card"


@dataclass(frozen=True)
class Table:
    """title: empty for none. rows: text, as many cells as columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of a card."""

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = field(default=())


def find_card(model: Path | str) -> tuple[str, dict[str, Any]]:
    """Name and metadata of a bundled model, an ONNX file, a model file or a run folder.

    Raises:
        ModelFileError: there is none, or it is damaged.
    """
    if bundled.is_name(model):
        entry = bundled.entry(str(model))
        return entry.name, read_card(entry.weights)
    path = Path(model)
    if is_onnx(path):
        return path.stem, read_onnx(path).meta
    if path.is_dir():
        return path.name, read_card(path / "model.safetensors")
    if not path.is_file():
        known = ", ".join((bundled.DEFAULT, *bundled.names()))
        raise ModelFileError(f"{model}: no such file, and no model of mien's ({known})")
    return path.stem, read_card(path)


def sections(name: str, meta: dict[str, Any], language: str = "en") -> tuple[Section, ...]:
    """The card in a language.

    Raises:
        OptionError: mien does not speak it. ModelFileError: the metadata cannot be used.
    """
    words = catalogue(language)
    try:
        card = meta["about"].get(CARD, {})
        parts = [_model(name, meta, card, language)]
        if card:
            parts += [
                _data(card, language), _results(card, language), _confusions(card, language),
                _confidence(card, meta, language), _novelty(card, language),
                _robustness(card, language),
            ]  # fmt: skip
        else:
            parts.append(Section(words["card-data"], (words["model-card-unmeasured"],)))
        return (*parts, *_uses(card, language))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{name}: its card cannot be used ({error!r})") from error


def _model(name: str, meta: dict[str, Any], card: dict[str, Any], language: str) -> Section:
    words, shape = catalogue(language), meta["preprocessing"]
    told = [words["card-what"].format(k=len(meta["classes"]))]
    colour = words["model-card-rgb" if shape["channels"] == 3 else "model-card-grey"]
    if card:
        told.append(words["model-card-network"].format(
            architecture=meta["architecture"], parameters=f"{card['parameters']:,}",
            size=shape["size"], colour=colour))  # fmt: skip
        how = card["protocol"]
        told.append(words["model-card-recipe"].format(
            recipe=how["recipe"], epochs=how["epochs"], seed=how["seed"]))  # fmt: skip
        if how["teachers"]:
            told.append(words["model-card-teachers"].format(teachers=how["teachers"]))
        speed = card.get("speed")
        if speed:
            told.append(words["model-card-speed"].format(
                single=speed["single_ms"], batch=speed["batch_ms"], cores=speed["cores"],
                processor=speed["processor"], load=speed["load"]))  # fmt: skip
    told.append(words["model-card-file"].format(checksum=meta["checksum"]))
    return Section(words["model-card"].format(name=name), tuple(told))


def _data(card: dict[str, Any], language: str) -> Section:
    words, data, how = catalogue(language), card["data"], card["protocol"]
    fer2013 = data["name"] == "FER2013"
    told = [words["card-data-fer2013" if fer2013 else "card-data-other"]]
    if fer2013:
        told.append(words["model-card-is-not"])
    told += [
        words["model-card-training"].format(
            training=f"{data['training_images']:,}", copies=f"{data['copies_left_out']:,}"
        ),
        words["model-card-protocol"].format(n=f"{card['results']['whole']['n']:,}"),
        *([words["model-card-private"]] if fer2013 else []),
        words["model-card-flip" if how["flip"] else "model-card-no-flip"],
    ]
    return Section(words["card-data"], tuple(told))


def _results(card: dict[str, Any], language: str) -> Section:
    words, results = catalogue(language), card["results"]
    split = "FER2013 PublicTest" if card["data"]["name"] == "FER2013" else card["protocol"]["split"]
    rows = [
        (words[f"model-card-{key}"], f"{part['n']:,}", _rate(part["accuracy"]),
         _rate(part["macro_f1"]))
        for key, part in (("whole", results["whole"]), ("without", results["without_copies"]))
    ]  # fmt: skip
    heads = ("images", "number", "accuracy", "macro-f1")
    classes = [
        (display_name(one["name"], language), f"{one['support']:,}", _rate(one["recall"]),
         _rate(one["precision"]), _rate(one["f1"]))
        for one in results["without_copies"]["classes"]
    ]  # fmt: skip
    class_heads = ("class", "number", "recall", "precision", "f1")
    return Section(
        words["model-card-results"].format(split=split),
        _looks(card.get("looks"), language),
        (
            Table("", tuple(words[f"model-card-{head}"] for head in heads), tuple(rows)),
            Table(words["model-card-classes"],
                  tuple(words[f"model-card-{head}"] for head in class_heads), tuple(classes)),
        ),
    )  # fmt: skip


def _looks(found: dict[str, Any] | None, language: str) -> tuple[str, ...]:
    """What several looks at each face give; older cards do not say."""
    if not found:
        return ()
    told = catalogue(language)["model-card-looks"].format(
        views=found["views"], whole=_rate(found["whole"]["accuracy"]),
        without=_rate(found["without_copies"]["accuracy"]), ece=_rate(found["ece"]),
        sure=_rate(found["at_80"]["accuracy"]),
    )  # fmt: skip
    return (told,)


def _confusions(card: dict[str, Any], language: str) -> Section:
    words = catalogue(language)
    told = tuple(say(Finding.from_json(one), language) for one in card["findings"])
    rows = tuple(
        (f"{display_name(one['truth'], language)} → {display_name(one['predicted'], language)}",
         _rate(one["rate"]), f"{one['count']:,} / {one['n']:,}")
        for one in card["confusions"]
    )  # fmt: skip
    heads = tuple(words[f"model-card-{head}"] for head in ("pair", "rate", "images"))
    return Section(words["model-card-confusions"], told, (Table("", heads, rows),))


def _confidence(card: dict[str, Any], meta: dict[str, Any], language: str) -> Section:
    words, found = catalogue(language), card["calibration"]
    told = [words["model-card-calibration"].format(
        temperature=f"{found['temperature']:.3f}", ece=_rate(found["ece"]),
        n=f"{found['n']:,}")]  # fmt: skip
    confidence = read_confidence(meta["about"])
    if confidence is not None and confidence.smoothing:
        told.append(words["model-card-unsmoothed"].format(smoothing=f"{confidence.smoothing:g}"))
    if confidence is not None and confidence.thresholds:
        told.append(words["model-card-thresholds"].format(count=len(confidence.thresholds)))
    return Section(words["model-card-confidence"], tuple(told))


def _novelty(card: dict[str, Any], language: str) -> Section:
    words, found = catalogue(language), card.get("novelty")
    if not found:
        return Section(words["model-card-novelty"], (words["model-card-no-novelty"],))
    told = words["model-card-accepted"].format(
        accepted=_rate(found["accepted"]), refused=_rate(found["all_refused"]),
        kept=", ".join(found["kept_out"]),
    )  # fmt: skip
    rows = tuple((kind, _rate(share)) for kind, share in found["refused"].items())
    heads = tuple(words[f"model-card-{head}"] for head in ("kind", "refused"))
    return Section(words["model-card-novelty"], (told,), (Table("", heads, rows),))


def _robustness(card: dict[str, Any], language: str) -> Section:
    words, found = catalogue(language), card["robustness"]
    rows = tuple(
        (words[f"model-card-{one['kind']}"].format(strength=f"{one['strength']:g}"),
         _rate(one["accuracy"]), points(Interval.from_json(one["drop"]), words["points"]))
        for one in found["conditions"]
    )  # fmt: skip
    heads = tuple(words[f"model-card-{head}"] for head in ("change", "accuracy", "drop"))
    title = words["model-card-robustness"].format(n=f"{found['n']:,}")
    return Section(title, tables=(Table("", heads, rows),))


def _uses(card: dict[str, Any], language: str) -> tuple[Section, ...]:
    words = catalogue(language)
    fer2013 = card.get("data", {}).get("name") == "FER2013"
    licence = words["model-card-licence-1" if fer2013 else "model-card-licence-other"]
    several = {"intended": 3, "prohibited": 3, "duty": 1, "limits": 2}
    return (
        *(
            Section(words[f"card-{part}"],
                    tuple(words[f"card-{part}-{number}"] for number in range(1, count + 1)))
            for part, count in several.items()
        ),
        Section(words["model-card-licence"], (licence,)),
    )  # fmt: skip


def _rate(data: dict[str, Any]) -> str:
    return percent(Interval.from_json(data))
