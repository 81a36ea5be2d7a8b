"""The derivations as HTML: MathML, no script, no network; numbers computed while it is made."""

import re
from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

from mien.app.mathml import mathml
from mien.errors import OptionError
from mien.theory.derivations import LANGUAGES, SECTIONS, Section

_LABELS = {
    "x": "x", "gamma": "γ", "beta": "β", "eps": "ε",
    "dy": "∂l/∂y", "mean": "μ_B", "var": "σ²_B", "x_hat": "x̂", "y": "y",
    "dx_hat": "∂l/∂x̂", "dvar": "∂l/∂σ²_B", "dmean": "∂l/∂μ_B", "dx": "∂l/∂x", "dgamma": "∂l/∂γ",
    "dbeta": "∂l/∂β", "gamma_new": "γ − η ∂l/∂γ",
    "beta_new": "β − η ∂l/∂β", "z": "z", "t": "y", "p": "ŷ",
    "jacobian": "∂ŷ/∂z", "loss": "L", "dp": "∂L/∂ŷ", "dz": "∂L/∂z", "losses": "L_t",
    "dLt_dp": "∂L_t/∂ŷ_t", "diagonal": "∂ŷ_t/∂z_t", "dLt_dz": "∂L_t/∂z_t",
    "cross": "∂(ΣL_t)/∂z − (ŷ − y)", "dz_of_sum": "∂(ΣL_t)/∂z", "W": "W", "k": "k", "s": "s",
    "quotient": "(W + 2p − k)/s", "size": "W′",
}  # fmt: skip
_TITLE = {"en": "The maths of the network, step by step", "zh-Hant": "網路的數學：逐步推導"}
_COLUMNS = {
    "en": ("step", "reason", "numbers of the worked example"),
    "zh-Hant": ("步驟", "理由", "實例的數值"),
}
_OWN = {"en": "numbers of this network", "zh-Hant": "本網路的數值"}
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1b1f24;background:#fff;max-width:72rem;
margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;table-layout:fixed}
th,td{border-top:1px solid #8884;padding:.6rem .8rem;vertical-align:top;text-align:left}
th{opacity:.75;font-weight:600}
th:nth-child(1){width:42%}
th:nth-child(2){width:24%}
math{font-size:1.15em;font-family:"Latin Modern Math","STIX Two Math","Cambria Math",
"Noto Sans Math","DejaVu Math TeX Gyre",math,sans-serif}
td:first-child{overflow:auto hidden;padding-bottom:.9rem}
sub,sup{line-height:0}
.numbers{font-variant-numeric:tabular-nums}
@media(max-width:44rem){thead{display:none}td,td:first-child{display:block;border:0;padding:.3rem 0}
tr{display:block;border-top:1px solid #8884;padding:.6rem 0}math{text-align:left}}
@media(prefers-color-scheme:dark){body{color:#e8eaed;background:#15181c}}
@media print{tr{break-inside:avoid}}
"""


def page(language: str) -> str:
    """A whole HTML page. language: ``en`` or ``zh-Hant``.

    Raises:
        OptionError: another language.
    """
    if language not in LANGUAGES:
        raise OptionError(f"--lang {language}: one of {', '.join(LANGUAGES)}")
    body = "".join(fragment(section, language) for section in SECTIONS)
    title = _TITLE[language]
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head><meta charset="utf-8"/>'
        f'<meta name="viewport" content="width=device-width"/><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )


def fragment(
    section: Section,
    language: str,
    *,
    numbers: Mapping[str, NDArray[np.float64]] | None = None,
    intro: str = "",
    level: int = 2,
) -> str:
    """One derivation as a ``<section>``, for this page and for a report.

    numbers: a network's own, with a sentence on where they come from; by default the worked
    example's. level: of the heading.
    """
    columns = _COLUMNS[language] if numbers is None else (*_COLUMNS[language][:2], _OWN[language])
    numbers = section.numbers() if numbers is None else numbers
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    rows = []
    for step in section.steps:
        shown = "".join(_shown(section.key, name, numbers[name]) for name in step.shows)
        rows.append(
            f"<tr><td>{mathml(step.formula)}</td><td>{_inline(step.text[language])}</td>"
            f'<td class="numbers">{shown}</td></tr>\n'
        )
    title = escape(section.title[language])
    return (
        f'<section id="{section.key}">\n<h{level}>{title}</h{level}>\n'
        f"<p>{_inline(intro or section.intro[language])}</p>\n"
        f'<section class="scroll" tabindex="0" aria-label="{title}">\n'
        f"<table>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{''.join(rows)}</tbody>\n</table>\n</section>\n</section>\n"
    )


def _shown(section: str, name: str, value: NDArray[np.float64]) -> str:
    label = "p" if section == "shape" and name == "p" else _LABELS[name]
    rows = np.atleast_2d(value)
    lines = "<br/>".join(
        ", ".join(f'<data value="{v!r}">{_text(v)}</data>' for v in row) for row in rows.tolist()
    )
    return f'<div id="{section}.{name}">{_inline(label)} = {lines}</div>'


def _inline(text: str) -> str:
    """``L_t`` and ``v^(−1/2)`` within a sentence, with a real index and a real power."""
    marked = re.sub(r"_(\w)", r"<sub>\1</sub>", escape(text))
    return re.sub(r"\^\(([^)]*)\)", r"<sup>\1</sup>", marked)


def _text(value: float) -> str:
    # Adding 0 takes the sign off a zero.
    return f"{value + 0.0:.6g}".replace("-", "−")
