"""What every section is given, and the forms in which it answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mien.app.evaluation import main_scores
from mien.app.figures import style
from mien.app.report.gather import Gathered
from mien.app.report.speech import Speech
from mien.app.report.svg import inline
from mien.errors import RunError
from mien.evaluate.calibration import Calibration
from mien.evaluate.confusion import Scores
from mien.types import Finding


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table. head: columns; rows: cells as text or markup, the first of a row its heading.

    numeric: columns that are numbers. marked: rows to point out. quiet: the caption is for screen
    readers alone, because a heading above says the same.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Markup]]
    numeric: Sequence[int] = ()
    marked: Sequence[int] = ()
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure: its SVG for the page, its caption, and the stem of its files."""

    svg: Markup
    caption: str
    file: str


@dataclass(kw_only=True)
class Context:
    """g: what was gathered. t: the language. calibration: None where it cannot be measured.

    figures: the folder of the SVG and PNG files. notes: what a person should hear at the end.
    """

    g: Gathered
    t: Speech
    calibration: Calibration | None
    figures: Path
    notes: list[str] = field(default_factory=list)

    @property
    def scores(self) -> Scores:
        """The scores that the page speaks of: without copies, where that leaves any images."""
        return main_scores(self.g.result.evaluation)

    @property
    def data(self) -> str:
        """The source's name for commands."""
        return self.g.source or "DATA"

    def missing(self, name: str, command: str) -> dict[str, str]:
        """What a section says in place of an analysis that is not there."""
        shown = command.format(run=self.g.path, data=self.data)
        if name in self.g.damaged:
            return {"missing": self.t("damaged", what=self.g.damaged[name]), "command": shown}
        if self.g.stale(name):
            return {"missing": self.t("stale"), "command": shown}
        return {"missing": self.t("missing"), "command": shown}

    def lacks(self, name: str) -> bool:
        """Whether an analysis is not there, or is of another model."""
        return name not in self.g.found or self.g.stale(name)

    def findings(self, name: str, part: str = "findings") -> list[str]:
        """The sentences of an analysis."""
        return self.sentences(self.g.found.get(name, {}).get(part, []))

    def sentences(self, found: Sequence[dict[str, Any]]) -> list[str]:
        """Findings in JSON as sentences."""
        return self.t.say([Finding.from_json(one) for one in found])

    def plot(
        self, name: str, draw: Callable[..., tuple[Path, Path]], *given: Any, label: str,
        caption: str,
    ) -> Plot:  # fmt: skip
        """Draw a figure into its files and for the page.

        draw: called as ``draw(*given, stem, language=…)``. Where no font here has the language's
        glyphs, the PNG is labelled in English.
        """
        try:
            self.figures.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.figures}: cannot be made ({error.strerror})") from error
        stem = self.figures / name
        if not style.has_font(self.t.code):
            draw(*given, stem, language="en")
            note = self.t("no-font")
            if note not in self.notes:
                self.notes.append(note)
        svg, _ = draw(*given, stem, language=self.t.code)
        file = name if self.t.code == "en" else f"{self.t.code}/{name}"
        return Plot(svg=inline(svg, name, label), caption=caption, file=file)
