"""How an evaluation looks at pictures besides as they are: what a model's training asks for."""

from typing import Any

from mien.errors import OptionError
from mien.evaluate.collect import RESAMPLINGS
from mien.models.checkpoint import Model
from mien.theory.parts import side_of_parts


def resampling_of(model: Model) -> str:
    """What moved the pictures of training, and so moves what is looked at; bilinear if unknown.

    Pictures resampled in another way are blurred more or less than those that a network has seen,
    and are named less well (docs/results/accuracy.md).
    """
    said = recipe_part(model, "augment").get("interpolation")
    return said if said in RESAMPLINGS else "bilinear"


def recipe_part(model: Model, part: str) -> dict[str, Any]:
    """A part of the recipe that trained the model, such as ``augment``; empty if unknown."""
    recipe = model.about.get("recipe")
    found = recipe.get(part) if isinstance(recipe, dict) else None
    return found if isinstance(found, dict) else {}


def crops_of(model: Model) -> int:
    """The side of the five parts that ``--crops`` looks at.

    Raises:
        OptionError: the network takes whole pictures only.
    """
    if not getattr(model.network, "any_size", False):
        raise OptionError(
            f"--crops: a network '{model.architecture}' takes whole pictures only; use --zooms"
        )
    return side_of_parts(int(model.config.size))
