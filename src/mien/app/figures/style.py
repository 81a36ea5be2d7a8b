"""The one look of all figures: colours, type, sizes, and how they are written.

Colours are Okabe and Ito's, which people with any colour vision can tell apart (Okabe, Ito 2008,
"Color Universal Design"). Figures are made without pyplot, so nothing global changes but, while
one is drawn, matplotlib's settings inside ``style()``. The same numbers give the same bytes: the
font comes with matplotlib, and the SVG has neither date nor random ids. Its text stays text.

Chinese text in an SVG is set in the reader's own fonts; a PNG needs a font here, and where there
is none (``has_font``) no PNG is written, so that no glyph is ever a box.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mien.runs import write_atomic
from mien.words import catalogue

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


# What a reader's system may have, Taiwan's forms first.
FONT_STACK = (
    "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'PingFang TC', 'Microsoft JhengHei', "
    "'Noto Sans CJK TC', 'Noto Sans TC', 'Source Han Sans TC', sans-serif"
)
# What may be installed here, by the names that matplotlib gives them.
_CJK = ("Noto Sans CJK TC", "Noto Sans TC", "Source Han Sans TC", "PingFang TC",
        "Microsoft JhengHei", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei",
        "AR PL UMing TW", "Heiti TC")  # fmt: skip


@cache
def cjk_fonts() -> tuple[str, ...]:
    """Installed fonts that have Chinese glyphs, the best first."""
    from matplotlib import font_manager

    def known() -> tuple[str, ...]:
        there = {font.name for font in font_manager.fontManager.ttflist}
        return tuple(name for name in _CJK if name in there)

    if not known():
        # Matplotlib's list is a cache and may be older than the fonts.
        wanted = re.compile(r"CJK|Noto ?Sans ?TC|SourceHanSans|PingFang|msjh|wqy|uming", re.I)
        for file in font_manager.findSystemFonts():
            if wanted.search(Path(file).name):
                with contextlib.suppress(OSError, RuntimeError):
                    font_manager.fontManager.addfont(file)
    return known()


def has_font(language: str) -> bool:
    """Whether a PNG with labels of ``language`` can be drawn here."""
    return language != "zh-Hant" or bool(cjk_fonts())


def labels(language: str) -> Callable[..., str]:
    """Gives a figure's label by its key in ``words.figures``, its fields filled in."""
    texts = catalogue(language)

    def label(key: str, **fields: object) -> str:
        return texts[f"figure-{key}"].format(**fields)

    return label


@contextlib.contextmanager
def style(language: str = "en") -> Iterator[None]:
    """Matplotlib's settings for a figure of mien's; afterwards they are as before."""
    with mpl.rc_context(), warnings.catch_warnings():
        # Names of files and classes may be in any script, whatever the figure's language.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        if language == "zh-Hant":
            mpl.rcParams["font.family"] = ["DejaVu Sans", *cjk_fonts()[:1]]
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


def save(figure: Figure, path_stem: Path, language: str = "en") -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``, each atomically; call inside ``style()``.

    Where no font here has the glyphs of ``language``, the PNG is not written.

    Returns:
        The two paths, the SVG first.
    """
    written = []
    for suffix, metadata in ((".svg", {"Date": None}), (".png", {"Software": None})):
        # Not with_suffix: a stem such as "fer2013-v1.5" keeps all of its name.
        path = path_stem.with_name(path_stem.name + suffix)
        written.append(path)
        if suffix == ".png" and not has_font(language):
            continue
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], dpi=DPI, metadata=metadata)
        content = buffer.getvalue()
        if suffix == ".svg" and language == "zh-Hant":
            content = _set_in_stack(content.decode()).encode()
        write_atomic(path, content)
    return written[0], written[1]


def _set_in_stack(svg: str) -> str:
    """The SVG with the reader's fonts in place of those that it was measured with."""
    fonts = r"'DejaVu Sans'(?:, (?:'[^']*'|sans-serif))*"
    return re.sub(fonts, FONT_STACK, svg)


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
