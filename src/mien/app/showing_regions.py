"""The ledger, a pair and the suspects as terminal tables and sentences."""

import math
from collections.abc import Sequence

from mien.app import console
from mien.explain.pairs import Pair
from mien.explain.regions.table import EVERY, Ledger
from mien.jobs.pairs import SuspectsResult
from mien.labels import display_name
from mien.types import Finding, Interval
from mien.words import points, say, times

MOST = 12  # sentences and suspects shown; the files hold all


def show_ledger(table: Ledger, *, language: str = "en", most: int = MOST) -> None:
    """The regions over all images and for each class, then what may be said."""
    shown = console.PlainTable(
        f"Times its share of the attribution ({table.method}), 95 % intervals", "class", "images",
        *table.regions,
    )  # fmt: skip
    for label in (EVERY, *table.classes):
        cells = [table.cell(label, region) for region in table.regions]
        name = "all" if label == EVERY else display_name(label, language)
        shown.row(name, f"{max(c.n for c in cells):,}", *(_factor(c.times) for c in cells))
    console.show(shown)
    if table.cells[0].occlusion is not None:
        hidden = console.PlainTable(
            "Probability when the region is hidden, in points, and (beyond a random place)",
            "class", *table.regions,
        )  # fmt: skip
        for label in (EVERY, *table.classes):
            cells = [table.cell(label, region) for region in table.regions]
            name = "all" if label == EVERY else display_name(label, language)
            hidden.row(name, *(_changes(c.occlusion, c.beyond) for c in cells))
        console.show(hidden)
    _say(table.findings, table.notes, language, most)


def show_pair(pair: Pair, *, language: str = "en", most: int = MOST) -> None:
    """The regions, the most confidently wrong images, then what may be said."""
    regions = console.PlainTable(
        f"{pair.truth} taken for {pair.predicted}, {pair.n:,} images ({pair.method})",
        "region", "times its share", f"hidden: {pair.truth} less {pair.predicted}",
        "at a random place",
    )  # fmt: skip
    for one in pair.regions:
        regions.row(one.region, _factor(one.times), points(one.hiding), points(one.elsewhere))
    console.show(regions)
    worst = console.PlainTable("Most confidently wrong", "image", *pair.classes)
    for name, chances in pair.confident:
        worst.row(name, *(f"{100 * chance:.0f} %" for chance in chances))
    console.show(worst)
    _say(pair.findings, pair.notes, language, most)


def show_suspects(result: SuspectsResult, *, language: str = "en", most: int = MOST) -> None:
    """The most suspect labels, then what may be said."""
    found, outputs = result.suspects, result.outputs
    table = console.PlainTable("Most suspect labels", "image", "label", "suggested", "margin")
    for i, k, margin in list(zip(found.index, found.suggested, found.confidence, strict=True))[
        :most
    ]:
        table.row(
            str(outputs.ids[i]), display_name(outputs.classes[outputs.labels[i]], language),
            display_name(outputs.classes[k], language), f"{100 * margin:.0f} points",
        )  # fmt: skip
    console.show(table)
    _say(result.findings, (), language, most)


def _say(findings: Sequence[Finding], notes: Sequence[str], language: str, most: int) -> None:
    for note in notes:
        console.say(note)
    for finding in findings[:most]:
        console.show(say(finding, language))
    if len(findings) > most:
        console.say(f"{len(findings) - most} more sentences are in the files")


def _factor(interval: Interval) -> str:
    if math.isnan(interval.value) or math.isnan(interval.low):
        return "–"
    return times(interval)


def _changes(hidden: Interval | None, beyond: Interval | None) -> str:
    if hidden is None or beyond is None or math.isnan(hidden.value):
        return "–"
    text = f"{100 * hidden.value:.1f} ({100 * beyond.value:+.1f})"
    return text.replace("-", "\N{MINUS SIGN}")
