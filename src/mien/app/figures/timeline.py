"""What each face of a clip shows over time: a panel a face, its probabilities stacked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from mien.app.annotate import colour_of
from mien.app.figures import style
from mien.labels import display_name

_PANEL, _GAP = 1.15, 0.42  # inches
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.85, 1.3, 1.0, 0.6
_MOST = 12  # faces in one figure, the longest seen
_COLUMNS = 1200  # of pixels; longer clips are averaged into as many steps


def draw_timeline(
    frames: Sequence[Mapping[str, Any]],
    path_stem: Path,
    *,
    seconds: float,
    count: int,
    name: str,
    language: str = "en",
) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``.

    Args:
        frames: with ``time`` and ``faces`` (as in the record), those that have faces.
        seconds, count: length and number of frames of the clip. name: of the clip.
    """
    faces = _by_id(frames)
    longest = sorted(faces, key=lambda number: -len(faces[number][0]))
    shown, more = sorted(longest[:_MOST]), len(longest[_MOST:])
    word = style.labels(language)
    height = _TOP + _BOTTOM + max(1, len(shown)) * (_PANEL + _GAP) - _GAP
    with style.style(language):
        figure = style.new_figure(8.4, height)
        about = word("timeline-about", name=name, seconds=f"{seconds:.1f}", frames=f"{count:,}")
        if more:
            about += "   ·   " + word("more-faces", n=more)
        if any(any(faces[number][2]) for number in shown):
            about += "   ·   " + word("unsure-band")
        style.headline(figure, word("timeline"), about)
        for row, number in enumerate(shown):
            top = _TOP + row * (_PANEL + _GAP)
            axes = style.place(figure, _LEFT, height - top - _PANEL, _RIGHT, top)
            times, values, unsure, classes = faces[number]
            _panel(axes, times, values, unsure, classes, seconds, language)
            axes.set_title(word("face", id=number), loc="left", size=style.BODY, weight="bold")
            if row < len(shown) - 1:
                axes.tick_params(labelbottom=False)
            else:
                axes.set_xlabel(word("seconds-axis"))
        return style.save(figure, path_stem, language)


def _by_id(
    frames: Sequence[Mapping[str, Any]],
) -> dict[int, tuple[list[float], list[list[float]], list[bool], list[str]]]:
    """For each id its times, rows of probabilities, whether unsure, and the classes."""
    faces: dict[int, tuple[list[float], list[list[float]], list[bool], list[str]]] = {}
    for frame in frames:
        for face in frame["faces"]:
            one = faces.setdefault(face["id"], ([], [], [], list(face["probabilities"])))
            one[0].append(frame["time"])
            one[1].append(list(face["probabilities"].values()))
            one[2].append(face["unsure"])
    return faces


def _panel(
    axes: Axes, times: list[float], rows: list[list[float]], unsure: list[bool],
    classes: list[str], seconds: float, language: str,
) -> None:  # fmt: skip
    t, values, doubt = _thinned(np.array(times), np.array(rows), np.array(unsure, float))
    step = float(np.median(np.diff(t))) if len(t) > 1 else 0.04
    # A gap of several steps is a face that was not seen; the bands stop there.
    for part in np.split(np.arange(len(t)), np.flatnonzero(np.diff(t) > 4 * step) + 1):
        x = np.append(t[part], t[part[-1]] + step)
        y = np.vstack([values[part], values[part[-1]]]).T
        axes.stackplot(x, y, colors=[colour_of(c, classes) for c in classes], linewidth=0)
        grey = np.append(doubt[part], doubt[part[-1]]) >= 0.5
        axes.fill_between(x, -0.09, -0.03, where=list(grey), color=style.SOFT, linewidth=0,
                          step="post")  # fmt: skip
    axes.set_ylim(-0.1, 1)
    axes.set_xlim(0, max(seconds, float(t[-1])) or 1)
    axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
    for side in axes.spines.values():
        side.set_visible(False)
    _names(axes, values.mean(axis=0), classes, language)


def _names(axes: Axes, mean: NDArray[np.float64], classes: list[str], language: str) -> None:
    """The three classes with the largest part of the whole, beside the panel."""
    for n, k in enumerate(np.argsort(-mean)[:3]):
        axes.annotate("■ ", (1.01, 0.92 - 0.27 * n), xycoords="axes fraction", va="center",
                      color=colour_of(classes[k], classes), annotation_clip=False)  # fmt: skip
        text = f"{display_name(classes[k], language)} {100 * mean[k]:.0f} %"
        axes.annotate(text, (1.032, 0.92 - 0.27 * n), xycoords="axes fraction", va="center",
                      size=style.SMALL, annotation_clip=False)  # fmt: skip


def _thinned(
    t: NDArray[np.float64], values: NDArray[np.float64], doubt: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Means of runs of frames where there are more of them than columns to show."""
    if len(t) <= _COLUMNS:
        return t, values, doubt
    starts = np.linspace(0, len(t), _COLUMNS, endpoint=False).astype(int)
    counts = np.diff(np.append(starts, len(t)))
    return (t[starts], np.add.reduceat(values, starts) / counts[:, None],
            np.add.reduceat(doubt, starts) / counts)  # fmt: skip
