"""Matplotlib's SVG files made fit to stand inside a page: no clashing ids, the page's colours."""

import re
from html import escape
from pathlib import Path

from markupsafe import Markup

from mien.app.figures import style

# What a figure is drawn in on paper, and the page's variable that follows its theme.
_THEMED = {
    style.INK: "--ink", style.SOFT: "--soft", style.FAINT: "--line", style.PAPER: "--card",
    "#F6F8FA": "--wash", style.BLUE: "--blue", style.VERMILLION: "--red", style.GREEN: "--green",
    style.ORANGE: "--orange", style.PURPLE: "--purple", style.SKY: "--sky",
}  # fmt: skip
_COLOUR = re.compile("|".join(re.escape(c) for c in _THEMED), re.IGNORECASE)
_BY_LOWER = {colour.casefold(): name for colour, name in _THEMED.items()}


def inline(path: Path, name: str, label: str) -> Markup:
    """The SVG of a file as an element named ``name``; ``label`` is what a screen reader says."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = _COLOUR.sub(lambda found: f"var({_BY_LOWER[found[0].casefold()]})", text)
    text = re.sub(r"'DejaVu Sans'(?:, (?:'[^']*'|sans-serif))*", "var(--font)", text)
    text = text.replace(style.FONT_STACK, "var(--font)")
    text = re.sub(r"\n\s*", "\n", text)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    width = f"{float(box[1]):.0f}" if box else "600"
    head = (
        f'<svg class="plot" role="img" aria-label="{escape(label)}" '
        f'style="--w:{width}" viewBox="{box[0][9:-1] if box else ""}" '
        'xmlns="http://www.w3.org/2000/svg">'
    )
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head, text, count=1))  # noqa: S704  our own file
