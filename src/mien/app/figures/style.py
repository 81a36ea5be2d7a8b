"""The one look of all figures: colours, type, sizes, and how they are written.

Colours are Okabe and Ito's, which people with any colour vision can tell apart (Okabe, Ito 2008,
"Color Universal Design"). Figures are made without pyplot, so nothing global changes but, while
one is drawn, matplotlib's settings inside ``style()``. The same numbers give the same bytes: the
font comes with matplotlib, and the SVG has neither date nor random ids. Its text stays text.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mien.runs import write_atomic

BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"
INK, SOFT, FAINT, PAPER = "#1B1F24", "#5B6570", "#E3E7EB", "#FFFFFF"

Color = str | tuple[float, float, float]

TITLE, BODY, SMALL = 13.0, 9.5, 8.0
DPI = 200

_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": BODY,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": SOFT,
    "axes.labelsize": SMALL,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.solid_capstyle": "round",
    "lines.linewidth": 1.8,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "mien",
    "path.simplify": False,
    "text.parse_math": False,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings for a figure of mien's; afterwards they are as before."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` by ``height`` inches; call inside ``style()``."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def headline(figure: Figure, title: str, subtitle: str = "") -> None:
    """A title and a softer line under it, flush left at the figure's margin."""
    _, height = figure.get_size_inches()
    figure.text(0.25 / figure.get_figwidth(), 1 - 0.24 / height, title, size=TITLE,
                weight="bold", va="top")  # fmt: skip
    if subtitle:
        figure.text(0.25 / figure.get_figwidth(), 1 - 0.52 / height, subtitle, size=SMALL + 0.5,
                    color=SOFT, va="top")  # fmt: skip


def place(figure: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """Axes with margins given in inches from the figure's four sides."""
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    )


def save(figure: Figure, path_stem: Path) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``, each atomically; call inside ``style()``.

    Returns:
        The two paths, the SVG first.
    """
    written = []
    for suffix, metadata in ((".svg", {"Date": None}), (".png", {"Software": None})):
        content = io.BytesIO()
        figure.savefig(content, format=suffix[1:], dpi=DPI, metadata=metadata)
        # Not with_suffix: a stem such as "fer2013-v1.5" keeps all of its name.
        path = path_stem.with_name(path_stem.name + suffix)
        write_atomic(path, content.getvalue())
        written.append(path)
    return written[0], written[1]


def luminance(color: Color) -> float:
    """Relative luminance 0..1 of a colour (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: Color, b: Color) -> float:
    """Contrast ratio 1..21 of two colours (WCAG 2.2); 4.5 is readable."""
    bright, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def ink_on(color: Color) -> str:
    """Black or white, whichever reads better on ``color``: a contrast of at least 4.58.

    Only pure black can promise this: beside ``INK`` it would be 4.06 on middling colours.
    """
    return max(("#000000", PAPER), key=lambda ink: contrast(ink, color))
