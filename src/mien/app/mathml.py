r"""A small part of TeX's mathematics as MathML, which browsers show without script or network.

Knows letters, numbers, operators, ``^``, ``_``, ``{}``, ``\frac``, ``\sqrt``, ``\hat``, ``\text``,
``\sum``, Greek letters and the signs of ``_SIGNS``; anything else is an error, never left out.
"""

import re
from html import escape

_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η",
    "mu": "μ", "sigma": "σ",
}  # fmt: skip
_SIGNS = {
    "cdot": "·", "partial": "∂", "lfloor": "⌊", "rfloor": "⌋", "ne": "≠", "leftarrow": "←",
    "times": "×",
}  # fmt: skip
_OPERATORS = frozenset("+-=,|/<>′")
_CLOSING = {"(": ")", "[": "]"}
_NAMES = {"log", "exp"}
_TOKEN = re.compile(r"\s*(\\[A-Za-z]+|[0-9]+(?:\.[0-9]+)?|[^\s])")


def mathml(tex: str) -> str:
    """A formula as a ``<math>`` element that stands on a line of its own.

    Raises:
        ValueError: something that is not in the small part of TeX that is known.
    """
    tokens = _TOKEN.findall(tex.strip())
    rows: list[str] = []
    while tokens:
        rows.append(_scripted(tokens))
    return f'<math display="block"><mrow>{"".join(rows)}</mrow></math>'


def _scripted(tokens: list[str]) -> str:
    """An atom with its indices and powers, in either order."""
    first = tokens[0] if tokens else ""
    base = _atom(tokens)
    below = above = ""
    while tokens and tokens[0] in "_^":
        sign = tokens.pop(0)
        if not tokens or (below if sign == "_" else above):
            raise ValueError(f"a second or empty '{sign}' behind {first}")
        if sign == "_":
            below = _atom(tokens)
        else:
            above = _atom(tokens)
    under, both = ("munder", "munderover") if first == "\\sum" else ("msub", "msubsup")
    if below and above:
        return f"<{both}>{base}{below}{above}</{both}>"
    if below:
        return f"<{under}>{base}{below}</{under}>"
    return f"<msup>{base}{above}</msup>" if above else base


def _atom(tokens: list[str]) -> str:
    if not tokens:
        raise ValueError("the formula ends too soon")
    token = tokens.pop(0)
    if token.startswith("{"):
        return _group(tokens)
    if token.startswith("\\"):
        return _command(token[1:], tokens)
    if token in _CLOSING:
        return _fenced(token, tokens)
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token.isalpha():
        return f"<mi>{escape(token)}</mi>"
    if token in _OPERATORS:
        return f"<mo>{escape(token.replace('-', '−'))}</mo>"
    raise ValueError(f"'{token}' is not known")


def _group(tokens: list[str]) -> str:
    parts = []
    while tokens and not tokens[0].startswith("}"):
        parts.append(_scripted(tokens))
    if not tokens:
        raise ValueError("a '{' is not closed")
    tokens.pop(0)
    return f"<mrow>{''.join(parts)}</mrow>"


def _fenced(opening: str, tokens: list[str]) -> str:
    """Everything to the closing bracket as one atom, so that a power belongs to all of it."""
    closing, parts = _CLOSING[opening], []
    while tokens and tokens[0] != closing:
        parts.append(_scripted(tokens))
    if not tokens:
        raise ValueError(f"a '{opening}' is not closed")
    tokens.pop(0)
    inside = "".join(parts)
    # Brackets grow around fractions alone: fonts without a maths table make them far too tall.
    grow = "true" if "<mfrac>" in inside else "false"
    ends = (f'<mo stretchy="{grow}">{end}</mo>' for end in (opening, closing))
    return f"<mrow>{next(ends)}{inside}{next(ends)}</mrow>"


def _command(name: str, tokens: list[str]) -> str:
    if name == "frac":
        above, below = _atom(tokens), _atom(tokens)
        return f"<mfrac>{above}{below}</mfrac>"
    if name == "sqrt":
        return f"<msqrt>{_atom(tokens)}</msqrt>"
    if name == "hat":
        return f"<mover accent='true'>{_atom(tokens)}<mo stretchy='false'>^</mo></mover>"
    if name == "quad":
        return '<mspace width="1.5em"/>'
    if name == "sum":
        return "<mo>∑</mo>"
    if name in _GREEK:
        return f"<mi>{_GREEK[name]}</mi>"
    if name in _SIGNS:
        return f"<mo>{_SIGNS[name]}</mo>"
    if name in _NAMES:
        return f"<mi>{name}</mi>"
    raise ValueError(f"'\\{name}' is not known")
