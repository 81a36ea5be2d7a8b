"""Complete training runs as values: each recipe is a function, derived from another one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mien.config import from_json, to_json
from mien.data.augment import AugmentConfig
from mien.data.mixing import MixConfig
from mien.errors import OptionError
from mien.models.cnn4 import CNN4Config
from mien.models.registry import architecture, config_from_json
from mien.models.residual import ResidualConfig
from mien.models.wide import WideConfig
from mien.train.objective import ObjectiveConfig
from mien.train.optim import OptimConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a run's result besides the pictures and the machine.

    name: of the recipe. architecture, model: the network; the job fills in size, channels and
    classes from the data. epochs: passes over the training images. batch_size: images a step, over
    all ranks together. seed: of weights, order, augmentation and dropout. train_sample: at most
    this many training images, a fixed part, measure the history's training loss and accuracy.
    """

    name: str
    architecture: str
    model: Any
    epochs: int = 30
    batch_size: int = 128
    seed: int = 0
    train_sample: int = 3000
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    mixing: MixConfig = field(default_factory=MixConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: a field cannot be used.
        """
        if not isinstance(self.model, architecture(self.architecture).config):
            raise OptionError(
                f"architecture '{self.architecture}': its configuration is another one than this"
            )
        if self.epochs < 1:
            raise OptionError(f"epochs {self.epochs}: at least 1")
        if self.batch_size < 2:
            raise OptionError(f"batch_size {self.batch_size}: at least 2")
        if self.train_sample < 1:
            raise OptionError(f"train_sample {self.train_sample}: at least 1")
        if not 0 <= self.seed < 2**32:
            raise OptionError(f"seed {self.seed}: from 0 to 2^32 - 1")


def cnn4() -> Recipe:
    """The default: the reference network on FER2013 in under 40 minutes on two cores.

    Narrow where the picture is large and wide where it is small: that is where a processor
    comes closest to its peak, and where more channels help most for their time.
    """
    return Recipe(name="cnn4", architecture="cnn4", model=CNN4Config())


def cnn4_wider() -> Recipe:
    """``cnn4`` as far as it was brought: a quarter wider, more augmentation, meant for a teacher.

    With ``--teacher wide`` and a second run ``--from`` the first it names FER2013 best of its
    kind (docs/results/accuracy.md).
    """
    base = cnn4()
    return replace(
        base,
        name="cnn4-wider",
        model=replace(base.model, widths=(40, 112, 288, 576), kernels=(5, 3, 3, 3)),
        epochs=42,
        augment=AugmentConfig(
            rotation=15.0, shift=0.08, scale=0.15, contrast=0.2, erase=0.3, interpolation="bicubic"
        ),
        objective=replace(base.objective, teachers_see="crops"),
    )


def quick() -> Recipe:
    """A tenth of the default's time, for a first look at a data set."""
    base = cnn4()
    return replace(
        base, name="quick", model=replace(base.model, widths=(16, 32, 64, 128)), epochs=8
    )


def demo() -> Recipe:
    """About a minute on two cores, for the embedded faces."""
    base = quick()
    return replace(base, name="demo", epochs=10, train_sample=1000)


def balanced() -> Recipe:
    """The default with every class drawn equally often, for the sake of rare ones."""
    base = cnn4()
    return replace(base, name="balanced", objective=replace(base.objective, sampling_power=1.0))


def residual() -> Recipe:
    """A residual network trained on crops, in under an hour and a half on two cores.

    Pictures of 40×40 train it, and the middle 40×40 of a picture is what it looks at: less to
    compute, and more places to see. ``mien evaluate --crops`` looks at five places.
    """
    return Recipe(
        name="residual",
        architecture="residual",
        model=ResidualConfig(view=40),
        epochs=50,
        augment=AugmentConfig(
            rotation=15.0, shift=0.09, scale=0.15, contrast=0.25, brightness=0.1, erase=0.5, crop=40
        ),
    )


def wide() -> Recipe:
    """As much work as ``residual`` in fewer, wider layers."""
    return replace(residual(), name="wide", architecture="wide", model=WideConfig(view=40))


def tiny() -> Recipe:
    """Small and fast, for a browser or a small computer: a narrow residual network."""
    return replace(
        residual(),
        name="tiny",
        model=ResidualConfig(
            view=40,
            stem=16,
            widths=(32, 64, 96, 96),
            blocks=(1, 1, 1, 1),
            drop_path=0.0,
            dropout=0.1,
        ),
        epochs=80,
        optim=OptimConfig(weight_decay=2e-4),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "cnn4": cnn4,
    "cnn4-wider": cnn4_wider,
    "quick": quick,
    "demo": demo,
    "balanced": balanced,
    "residual": residual,
    "wide": wide,
    "tiny": tiny,
}


def recipe(name: str) -> Recipe:
    """The recipe called ``name``.

    Raises:
        OptionError: there is none of that name.
    """
    if name not in RECIPES:
        raise OptionError(f"no recipe is called '{name}'; there are {', '.join(RECIPES)}")
    return RECIPES[name]()


def recipe_to_json(value: Recipe) -> dict[str, Any]:
    """A recipe as plain JSON."""
    return to_json(value)


def recipe_from_json(data: Mapping[str, Any]) -> Recipe:
    """A recipe from plain JSON.

    Raises:
        OptionError: unknown fields or values.
    """
    if "architecture" not in data or "model" not in data:
        raise OptionError("a recipe needs the fields 'architecture' and 'model'")
    model = config_from_json(str(data["architecture"]), data["model"])
    return from_json(Recipe, {**data, "model": model})
