"""What a search over recipes may vary: ranges and choices of a recipe's fields.

Written ``FIELD=LOW..HIGH`` (real, or whole where both ends are whole and the field is), with
``:log`` behind it for a logarithmic scale, or ``FIELD=a,b,c`` for a choice; a value that is a list
itself is written with semicolons between the choices: ``model.widths=32,64;48,96``.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mien.config import override
from mien.errors import OptionError
from mien.train.recipes import Recipe

_RANGE = re.compile(r"(?P<low>[^.].*?)\.\.(?P<high>.+?)(?P<log>:log)?")


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number between two ends, both of them possible."""

    field: str
    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several values, as ``--set`` takes them."""

    field: str
    values: tuple[str, ...]


Dimension = Range | Choice

# What matters for most data; every recipe has these fields.
DEFAULT = (
    "optim.learning_rate=0.02..0.3:log",
    "optim.weight_decay=0.0001..0.003:log",
    "augment.erase=0..0.6",
    "augment.rotation=0..25",
    "objective.label_smoothing=0..0.2",
)


def parse(text: str, recipe: Recipe) -> Dimension:
    """A dimension as it is written, its ends or values tried on the recipe.

    Raises:
        OptionError: it is not written so, or the recipe has no such field or refuses a value.
    """
    field, equals, wanted = (part.strip() for part in text.partition("="))
    if not equals or not field or not wanted:
        raise OptionError(f"--search {text}: write it as FIELD=LOW..HIGH or FIELD=a,b,c")
    found = _RANGE.fullmatch(wanted)
    dimension = _range(text, field, found, recipe) if found else _choice(text, field, wanted)
    ends = (dimension.low, dimension.high) if isinstance(dimension, Range) else dimension.values
    for end in ends:
        override(recipe, {field: as_text(end)})
    return dimension


def _range(text: str, field: str, found: re.Match[str], recipe: Recipe) -> Range:
    try:
        low, high = float(found["low"]), float(found["high"])
    except ValueError as error:
        raise OptionError(f"--search {text}: its ends are not numbers") from error
    log = found["log"] is not None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise OptionError(f"--search {text}: the first end is to be below the second")
    if log and low <= 0:
        raise OptionError(f"--search {text}: a logarithmic range begins above 0")
    whole = low.is_integer() and high.is_integer() and _is_whole(recipe, field)
    return Range(field=field, low=low, high=high, log=log, whole=whole)


def _is_whole(recipe: Recipe, field: str) -> bool:
    value: Any = recipe
    for part in field.split("."):
        value = getattr(value, part, None)
    return isinstance(value, int) and not isinstance(value, bool)


def _choice(text: str, field: str, wanted: str) -> Choice:
    parts = wanted.split(";" if ";" in wanted else ",")
    values = tuple(part.strip() for part in parts if part.strip())
    if len(values) < 2 or len(set(values)) < len(values):
        raise OptionError(f"--search {text}: two different values or more")
    return Choice(field=field, values=values)


def as_text(value: float | int | str) -> str:
    """A value as ``--set`` takes it; whole numbers without a point."""
    if isinstance(value, str):
        return value
    return json.dumps(int(value) if float(value).is_integer() else float(value))


def draw(
    dimensions: tuple[Dimension, ...], recipe: Recipe, suggest: Callable[[Dimension], Any]
) -> Recipe:
    """The recipe with each dimension's field set to what ``suggest`` says.

    Raises:
        OptionError: the values do not go together.
    """
    chosen = {one.field: as_text(suggest(one)) for one in dimensions}
    return override(recipe, chosen)
