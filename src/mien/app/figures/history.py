"""Loss, accuracy and learning rate over the epochs of a training run."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mien.app.figures import style
from mien.errors import RunError

TRAIN, VALIDATION = style.VERMILLION, style.BLUE
_LEFT, _RIGHT = 0.75, 1.15  # inches; the names of the lines stand in the right margin
# The panels share their epochs, so that a step of the learning rate lines up with what it did:
# name, distance of its lower and upper edge from the figure's upper edge in inches.
_PANELS = {"loss": (3.0, 1.05), "accuracy": (5.35, 3.4), "rate": (6.3, 5.75)}
_HEIGHT = 6.8
Word = Callable[..., str]


def draw_history(
    rows: Sequence[Mapping[str, Any]], path_stem: Path, *, title: str = "", language: str = "en"
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png`` from the rows of ``history.csv``.

    Args:
        rows: one an epoch, with epoch, train_loss, train_accuracy, validation_loss,
            validation_accuracy (shares 0..1), learning_rate, seconds, images_per_second; numbers
            or their text, blank where there is none.

    Raises:
        RunError: no rows, or a column is missing or holds something that is no number.
    """
    if not rows:
        raise RunError("the history has no epochs yet; train for at least one")
    epochs = _column(rows, "epoch")
    result = _result(_column(rows, "validation_accuracy"))
    word = style.labels(language)
    with style.style(language):
        figure = style.new_figure(7.6, _HEIGHT)
        style.headline(figure, title or word("history"), _subtitle(rows, result, word))
        for name in ("loss", "accuracy"):
            scale = 100 if name == "accuracy" else 1
            train = [scale * y for y in _column(rows, f"train_{name}")]
            validation = [scale * y for y in _column(rows, f"validation_{name}")]
            axes = _panel(figure, name, epochs, result, word)
            _curves(axes, epochs, {"training": train, "validation": validation}, result, word)
        _learning_rate(_panel(figure, "rate", epochs, result, word), epochs, rows)
        return style.save(figure, path_stem, language)


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """A column as floats; nan where a field is blank."""
    try:
        return [math.nan if row[name] in ("", None) else float(row[name]) for row in rows]
    except KeyError as error:
        raise RunError(f"the history has no column '{name}'; train anew to write it") from error
    except (TypeError, ValueError) as error:
        raise RunError(f"the history's column '{name}' has no number ({error})") from error


def _result(accuracy: list[float]) -> int | None:
    """The row of the last measured epoch, whose averaged model is the run's result."""
    known = [i for i, value in enumerate(accuracy) if math.isfinite(value)]
    return known[-1] if known else None


def _subtitle(rows: Sequence[Mapping[str, Any]], result: int | None, word: Word) -> str:
    parts = []
    if result is not None:
        accuracy, epoch = (
            _column(rows, "validation_accuracy")[result],
            _column(rows, "epoch")[result],
        )
        parts.append(word("result", epoch=f"{epoch:g}", accuracy=f"{100 * accuracy:.1f} %"))
    seconds = [s for s in _column(rows, "seconds") if math.isfinite(s)]
    speeds = sorted(s for s in _column(rows, "images_per_second") if math.isfinite(s))
    if seconds:
        parts.append(_duration(sum(seconds), word))
    if speeds:
        parts.append(word("speed", n=f"{speeds[len(speeds) // 2]:,.0f}"))
    return "   ·   ".join(parts)


def _duration(seconds: float, word: Word) -> str:
    if seconds < 120:
        return word("seconds", n=f"{seconds:.0f}")
    if seconds < 7200:
        return word("minutes", n=f"{seconds / 60:.0f}")
    return word("hours", n=f"{seconds / 3600:.1f}")


def _panel(figure: Figure, name: str, epochs: list[float], result: int | None, word: Word) -> Axes:
    bottom, top = _PANELS[name]
    axes = style.place(figure, _LEFT, _HEIGHT - bottom, _RIGHT, top)
    axes.set_title(word(name), loc="left", size=style.BODY, weight="bold", pad=7)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(name == "rate")
    margin = max(0.5, 0.015 * (max(epochs) - min(epochs)))
    axes.set_xlim(min(epochs) - margin, max(epochs) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if name == "rate":
        axes.set_xlabel(word("epoch"))
    else:
        axes.tick_params(labelbottom=False)
    if name == "accuracy":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))
    if result is not None:
        axes.axvline(epochs[result], color=style.SOFT, linewidth=0.8, linestyle=(0, (1, 2.5)))
    return axes


def _curves(
    axes: Axes,
    epochs: list[float],
    curves: Mapping[str, list[float]],
    result: int | None,
    word: Word,
) -> None:
    # A single epoch makes no line; a dot shows it.
    marker = "o" if len(epochs) == 1 else ""
    ends = []
    for (name, values), color in zip(curves.items(), (TRAIN, VALIDATION), strict=True):
        axes.plot(epochs, values, color=color, marker=marker, markersize=5)
        known = [value for value in values if math.isfinite(value)]
        if known:
            ends.append((known[-1], color, word(name)))
    if result is not None:
        axes.plot(
            [epochs[result]],
            [curves["validation"][result]],
            marker="o",
            color=VALIDATION,
            markersize=6.5,
            markeredgecolor=style.PAPER,
            markeredgewidth=1.2,
        )
    _name_lines(axes, ends)


def _name_lines(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Each line's name and last value at its right end, pushed apart where they would touch."""
    low, high = axes.get_ylim()
    gap = 0.15 * (high - low)
    ends = sorted(ends)
    heights = [value for value, _, _ in ends]
    if len(ends) == 2 and heights[1] - heights[0] < gap:
        middle = min(max(sum(heights) / 2, low + gap / 2), high - gap / 2)
        heights = [middle - gap / 2, middle + gap / 2]
    for height, (_, color, name) in zip(heights, ends, strict=True):
        axes.annotate(name, (1, height), xycoords=axes.get_yaxis_transform(), color=color,
                      xytext=(8, 0), textcoords="offset points", va="center", weight="bold",
                      size=style.SMALL + 0.5, annotation_clip=False)  # fmt: skip


def _learning_rate(axes: Axes, epochs: list[float], rows: Sequence[Mapping[str, Any]]) -> None:
    rates = _column(rows, "learning_rate")
    marker = "o" if len(epochs) == 1 else ""
    axes.plot(epochs, rates, color=style.SOFT, linewidth=1.4, marker=marker, markersize=4)
    known = [rate for rate in rates if math.isfinite(rate)]
    peak = max([*known, 0.0]) or 1.0
    axes.set_ylim(0, 1.15 * peak)
    axes.set_yticks([0, peak], ["0", f"{peak:.3g}"])
