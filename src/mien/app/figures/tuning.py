"""What mattered in a search: accuracy against each setting, the weightiest setting first."""

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from mien.app.figures import style
from mien.jobs.tune import Tried, Tuned

COLUMNS, PANEL, GAP, TALL, UNDER = 3, 2.35, 0.62, 1.75, 0.85  # inches


def draw_tuning(tuned: Tuned, path_stem: Path, *, language: str = "en") -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``: a panel a setting, a dot a trial.

    Trials that were given up stand, hollow, where they stood when they were; values of a choice
    stand side by side, numbers over more than two powers of ten on a logarithmic scale.
    """
    fields = list(tuned.importance) or sorted({f for t in tuned.trials for f in t.settings})
    rows = math.ceil(len(fields) / COLUMNS)
    columns = min(COLUMNS, len(fields))
    word = style.labels(language)
    trials = [trial for trial in tuned.trials if trial.accuracy is not None]
    with style.style(language):
        width = max(5.6, 0.62 + columns * PANEL + (columns - 1) * GAP + 0.3)
        figure = style.new_figure(width, 1.15 + rows * (TALL + UNDER) - UNDER + 0.45)
        complete = sum(trial.state == "complete" for trial in tuned.trials)
        style.headline(
            figure, word("tuning"), word("tuning-about", n=len(tuned.trials), k=complete)
        )
        height = figure.get_figheight()
        for place, name in enumerate(fields):
            row, column = divmod(place, columns)
            left = 0.62 + column * (PANEL + GAP)
            top = 1.15 + row * (TALL + UNDER)
            axes = style.place(figure, left, height - top - TALL, width - left - PANEL, top)
            share = tuned.importance.get(name)
            title = name.partition(".")[2] or name
            said = word("tuning-share", share=f"{100 * share:.0f} %") if share is not None else ""
            axes.set_title(f"{title}   {said}", loc="left", size=style.BODY)
            _panel(axes, name, trials, tuned.best)
            if column == 0:
                axes.set_ylabel(word("accuracy"))
        return style.save(figure, path_stem, language)


def _panel(axes: Axes, name: str, trials: list[Tried], best: Tried | None) -> None:
    texts = [trial.settings.get(name, "") for trial in trials]
    places = _numbers(texts)
    if places is None:
        kinds = sorted(set(texts))
        # Side by side, so that trials of one value and one accuracy do not hide each other.
        places = [kinds.index(text) + 0.07 * (n % 7 - 3) for n, text in enumerate(texts)]
        axes.set_xticks(range(len(kinds)), kinds)
        axes.set_xlim(-0.5, len(kinds) - 0.5)
    elif (min(places) > 0 and max(places) / min(places) > 100) or _logarithmic(places):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(True, axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    for x, trial in zip(places, trials, strict=True):
        through, winner = trial.state == "complete", best is not None and trial == best
        color = style.VERMILLION if winner else style.BLUE if through else style.SOFT
        axes.plot([x], [trial.accuracy or 0.0], marker="D" if winner else "o", linestyle="none",
                  markersize=6.5 if winner else 5, markeredgecolor=color, markeredgewidth=1.1,
                  markerfacecolor=color if through else "none", alpha=1.0 if through else 0.6,
                  zorder=3 if winner else 2)  # fmt: skip


def _numbers(texts: list[str]) -> list[float] | None:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return None


def _logarithmic(values: list[float]) -> bool:
    """Whether the values fill a logarithmic scale more evenly than a plain one."""
    if min(values) <= 0 or max(values) / min(values) < 5:
        return False
    middle = sorted(values)[len(values) // 2]
    low, high = min(values), max(values)
    plain = abs((middle - low) / (high - low) - 0.5)
    logarithmic = abs(math.log(middle / low) / math.log(high / low) - 0.5)
    return logarithmic < plain
