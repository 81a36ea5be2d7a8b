"""Validation loss and accuracy of several runs over their epochs, in one figure."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.ticker import FuncFormatter, MaxNLocator

from mien.app.figures import style
from mien.errors import OptionError
from mien.train.history import Row

COLOURS = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY)
DASHES = ("-", (0, (5, 2)), (0, (1, 1.6)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (1, 3)))


def draw_histories(
    runs: Mapping[str, Sequence[Row]], path_stem: Path, *, language: str = "en"
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``; runs: name to its epochs.

    Raises:
        OptionError: more runs than can be told apart.
    """
    if len(runs) > len(COLOURS):
        raise OptionError(f"{len(runs)} runs: at most {len(COLOURS)} can be told apart in a figure")
    word = style.labels(language)
    with style.style(language):
        figure = style.new_figure(7.6, 3.9)
        style.headline(figure, word("histories"))
        for place, (key, heading) in enumerate((("loss", "loss"), ("accuracy", "accuracy"))):
            left = 0.75 + place * 3.6
            axes = style.place(figure, left, 0.95, 7.6 - left - 2.75, 1.0)
            axes.set_title(word(heading), loc="left", size=style.BODY, weight="bold", pad=7)
            axes.grid(axis="y")
            axes.spines["left"].set_visible(False)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
            axes.set_xlabel(word("epoch"))
            if key == "accuracy":
                axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
            for n, (name, rows) in enumerate(runs.items()):
                points = [(r.epoch, getattr(r, f"validation_{key}")) for r in rows]
                known = [point for point in points if math.isfinite(point[1])]
                axes.plot(*zip(*known, strict=True) if known else ([], []), color=COLOURS[n],
                          linestyle=DASHES[n], label=name)  # fmt: skip
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="lower left", bbox_to_anchor=(0.09, 0.015),
                      ncols=min(3, len(runs)), frameon=False, fontsize=style.SMALL)  # fmt: skip
        return style.save(figure, path_stem, language)
