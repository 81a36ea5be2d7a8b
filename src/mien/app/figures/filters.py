"""The filter sheet: one card a filter, the most influential first.

A card shows the patterns that would fire the filter most, the line or Gabor nearest to the best of
them, and what the filter does to the logits of the classes where it fires. Real patches show
people; they are drawn only where the caller says so.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mien.app.figures import style

if TYPE_CHECKING:
    from mien.jobs.filters import FilterReport

MOST = 48  # cards
_COLUMNS = 3
_SIDE = 0.92  # inches of a pattern
_PATTERNS = 2
_PATCHES = 9
_TINY = 6.5
_LEFT, _TOP, _GAP = 0.25, 1.02, 0.3
_BEYOND = np.array(to_rgb(style.SKY)) * 0.35 + 0.65


def draw_filters(
    report: "FilterReport", path_stem: Path, *, images: bool = False, most: int = MOST
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``; returns their paths.

    images: show the real patches too, where the report has them. most: cards. Grey is the same
    everywhere, 0 black and 255 white; the bars of all cards share one scale. Pale blue in a patch
    lies beyond the picture.
    """
    rows = report.data["filters"][:most]
    images = images and len(report.patches) > 0
    count = min(_PATTERNS, report.arrays["patterns"].shape[1])
    width = (count + 1) * (_SIDE + 0.06) + 1.62
    height = _SIDE + 0.52 + (0.5 if images else 0.0)
    columns = min(_COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    with style.style():
        figure = style.new_figure(
            max(2 * _LEFT + columns * (width + _GAP) - _GAP, 7.2), _TOP + lines * height + 0.15
        )
        style.headline(figure, f"What fires the filters of {report.data['layer']}",
                       _subtitle(report, len(rows)))  # fmt: skip
        scale = max(
            (abs(e["effect"][end]) for one in rows for e in one["classes"]
             for end in ("low", "high")), default=1.0,
        ) or 1.0  # fmt: skip
        _legend(figure, count, scale)
        for number, one in enumerate(rows):
            left = _LEFT + (number % columns) * (width + _GAP)
            top = _TOP + (number // columns) * height
            card = _Card(figure, left, top, width)
            card.draw(report, number, one, count, scale)
            if images:
                card.patches(report.patches[number], report.inside[number])
        return style.save(figure, path_stem)


def _subtitle(report: "FilterReport", shown: int) -> str:
    data = report.data
    field = "×".join(map(str, data["receptive_field"]))
    which = f"{shown:,} of {data['filters_total']:,} filters, by influence on the logits"
    return f"{which}; receptive field {field} pixels; {data['n']:,} pictures, {data['split']}"


def _legend(figure: Figure, count: int, scale: float) -> None:
    words = (
        f"From the left: {'pattern' if count == 1 else f'{count} patterns'} drawn to fire it; the "
        "line, edge or Gabor nearest to the best; the mean effect on the logits where it fires, "
        f"with 95 % intervals, all on a scale from −{scale:.2g} to {scale:.2g}."
    )
    height = figure.get_figheight()
    figure.text(_LEFT / figure.get_figwidth(), 1 - 0.71 / height, words, size=style.SMALL - 0.5,
                color=style.SOFT, va="top")  # fmt: skip


class _Card:
    """One filter; lengths in inches, from the figure's top left."""

    def __init__(self, figure: Figure, left: float, top: float, width: float) -> None:
        self.figure, self.left, self.top, self.width = figure, left, top, width

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Empty axes at ``x`` to the right and ``y`` down within the card."""
        W, H = self.figure.get_size_inches()
        axes = self.figure.add_axes(
            ((self.left + x) / W, 1 - (self.top + y + height) / H, width / W, height / H)
        )
        axes.set_xticks([])
        axes.set_yticks([])
        return axes

    def text(self, x: float, y: float, words: str, **how: Any) -> None:
        W, H = self.figure.get_size_inches()
        self.figure.text((self.left + x) / W, 1 - (self.top + y) / H, words,
                         **{"size": _TINY, "va": "center", **how})  # fmt: skip

    def draw(
        self, report: "FilterReport", number: int, one: dict[str, Any], count: int, scale: float
    ) -> None:
        self.text(0, 0.09, f"filter {one['number']}", size=style.SMALL + 0.5, weight="bold")
        self.text(0.72, 0.095, _facts(one), color=style.SOFT)
        pictures = report.arrays["patterns"][number].astype(np.float64)
        order = [one["pattern_best"], *(s for s in range(len(pictures))
                                        if s != one["pattern_best"])]  # fmt: skip
        for place, s in enumerate(order[:count]):
            self.picture(place, pictures[s], style.INK if place == 0 else style.FAINT)
        shape = report.arrays["fits"][number].astype(np.float64)
        self.picture(count, shape[None], style.FAINT)
        r2 = max((v for v in (one["gabor"], one["line"]) if v is not None), default=None)
        if r2 is not None:
            self.text(
                count * (_SIDE + 0.06) + _SIDE / 2,
                0.22 + _SIDE + 0.075,
                f"{one['fit']['family']}, R² {r2:.2f}",
                ha="center",
                color=style.SOFT,
            )
        self.bars(one, report.data["classes"], (count + 1) * (_SIDE + 0.06) + 0.02, scale)

    def picture(self, place: int, pixels: NDArray[np.float64], rim: str) -> None:
        axes = self.axes(place * (_SIDE + 0.06), 0.2, _SIDE, _SIDE)
        axes.imshow(_rgb(pixels), interpolation="nearest", aspect="auto")
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_edgecolor(rim)
            spine.set_linewidth(0.7)

    def bars(self, one: dict[str, Any], classes: list[str], x: float, scale: float) -> None:
        axes = self.axes(x + 0.56, 0.2, self.width - x - 0.58, _SIDE)
        effects = {e["class"]: e["effect"] for e in one["classes"]}
        # Many classes do not fit on a card: those with the largest effects are shown.
        shown = sorted(classes, key=lambda c: -abs(effects[c]["value"]))[:10]
        for row, name in enumerate(c for c in classes if c in shown):
            effect = effects[name]
            sure = effect["low"] > 0 or effect["high"] < 0
            color = style.BLUE if effect["value"] > 0 else style.VERMILLION
            axes.barh(row, effect["value"], height=0.66, color=color if sure else style.FAINT)
            axes.plot([effect["low"], effect["high"]], [row, row], color=style.INK, linewidth=0.6)
            self.text(
                x + 0.53,
                0.2 + _SIDE * (row + 0.5) / len(shown),
                name,
                ha="right",
                color=style.INK if sure and effect["value"] > 0 else style.SOFT,
            )
        axes.axvline(0, color=style.SOFT, linewidth=0.6)
        axes.set_xlim(-1.02 * scale, 1.02 * scale)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        for spine in axes.spines.values():
            spine.set_visible(False)

    def patches(self, patches: NDArray[np.uint8], inside: NDArray[np.bool_]) -> None:
        """The real patches in a row, the strongest first."""
        side = min(0.46, (self.width - 0.02 * _PATCHES) / _PATCHES)
        for k in range(min(_PATCHES, len(patches))):
            axes = self.axes(k * (side + 0.02), 0.2 + _SIDE + 0.17, side, side)
            colours = _rgb(patches[k].astype(np.float64))
            colours[~inside[k]] = _BEYOND
            axes.imshow(colours, interpolation="nearest", aspect="auto")
            for spine in axes.spines.values():
                spine.set_visible(False)


def _rgb(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """C×H×W of 0..255 as H×W×3 of 0..1; one channel as grey, of others the first three."""
    three = np.repeat(pixels, 3, axis=0) if len(pixels) < 3 else pixels[:3]
    return np.asarray(np.clip(three.transpose(1, 2, 0) / 255, 0, 1))


def _facts(one: dict[str, Any]) -> str:
    if one["dead"]:
        return f"dead: {one['dead']} on these pictures"
    facts = [f"active at {100 * one['sparsity']['positions']:.0f} % of positions"]
    if one["line_response"] is not None:
        facts.append(f"a line takes it {100 * one['line_response']:.0f} % of the way")
    if one["needed"]["picture"] is not None:
        share = 100 * one["needed"]["picture"]
        facts.append(f"needs {f'{share:.0f}' if share >= 1 else '<1'} % of the picture")
    return " · ".join(facts)
