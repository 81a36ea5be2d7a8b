"""What is to be explained, and how: a network with its classes, and pictures as it takes them."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import DataError, NetworkError, OptionError
from mien.explain import DEFAULT_METHOD
from mien.explain.attribution import METHODS
from mien.explain.options import Options
from mien.explain.ready import run
from mien.jobs.evaluate import as_trained, data_options, labels_for, run_folder
from mien.jobs.foreign import Opened, open_network
from mien.jobs.prepare import DataOptions, read_source
from mien.labels import CLASSES, class_of
from mien.models.checkpoint import Model, load_model
from mien.theory.untouched import untouched
from mien.types import ImageSet, Progress, silent


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """What to explain. target, against: classes; by default the predicted one, against none.

    split, limit, data: which pictures of a data set; limit 0 is all of them, else that many drawn
    by ``options.seed``. device: auto, cpu or cuda. input_shape: of FILE.py:FACTORY.
    """

    method: str = DEFAULT_METHOD
    target: str = ""
    against: str = ""
    options: Options = field(default_factory=Options)
    split: str = "validation"
    limit: int = 0
    data: DataOptions = field(default_factory=DataOptions)
    device: str = "auto"
    input_shape: str = ""

    def __post_init__(self) -> None:
        """Check the method, the classes and the limit.

        Raises:
            OptionError: they cannot be used.
        """
        if self.method not in METHODS:
            raise OptionError(f"--method {self.method}: one of {', '.join(METHODS)}")
        if self.against and not self.target:
            raise OptionError(f"--against {self.against}: name --target CLASS as well")
        if self.limit < 0:
            raise OptionError(f"--limit {self.limit}: 0 for all, or a number of pictures")


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """opened: the network. model: mien's own, else None. home: the run folder it lies in, if any.

    checksum: hex SHA-256 of the model file, or of a stranger's weights. stem: for folders' names.
    """

    opened: Opened
    model: Model | None
    home: Path | None
    checksum: str
    stem: str

    @property
    def side(self) -> int:
        """Height and width of a picture."""
        return self.opened.shape[1]

    @property
    def colour(self) -> bool:
        """Whether pictures have three channels."""
        return self.opened.shape[0] == 3


def open_subject(name: str, input_shape: str = "") -> Subject:
    """Open a run, a ``.safetensors`` file or FILE.py:FACTORY with its ``input_shape``.

    Raises:
        MienError: it cannot be used, or takes no square pictures of 1 or 3 channels.
    """
    opened = open_network(name, input_shape)
    shape = opened.shape
    if len(shape) != 3 or shape[1] != shape[2] or shape[0] not in (1, 3):
        raise OptionError(
            f"{name}: takes {'×'.join(map(str, shape))}; pictures are square, of 1 or 3 channels"
        )
    if not opened.own:
        file, _, factory = name.rpartition(":")
        return Subject(opened=opened, model=None, home=None, checksum=_digest(opened),
                       stem=f"{Path(file).stem}-{factory}")  # fmt: skip
    model, path = load_model(name), Path(name)
    return Subject(opened=opened, model=model, home=run_folder(path), checksum=model.checksum,
                   stem=path.resolve().stem)  # fmt: skip


def read_for(
    subject: Subject, source: str, options: DataOptions, progress: Progress = silent
) -> tuple[ImageSet, tuple[str, ...]]:
    """The pictures of ``source`` as the network takes them, their labels as the network's classes.

    A tenth that the model held out of these very pictures is their validation split again.

    Raises:
        DataError: the source cannot be used, or has classes that the model does not know.
    """
    if subject.model is None:
        options = replace(options, size=subject.side, colour=subject.colour)
        images = read_source(source, options, progress=progress)
        return images, images.notes
    options = data_options(subject.model, options, subject.home, source)
    images = read_source(source, options, progress=progress)
    images, held = as_trained(images, subject.model)
    labels = labels_for(subject.model, images)
    return replace(images, labels=labels, classes=subject.model.classes), (*images.notes, *held)


def class_names(subject: Subject, K: int, found: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Names of the network's K outputs: the model's own; else the data's; else the seven, or 0…K-1.

    Raises:
        DataError: the data has another number of classes than a stranger's network.
    """
    if subject.model is not None:
        return subject.model.classes
    if found is not None:
        if len(found) != K:
            raise DataError(
                f"the network gives {K} scores, the data has {len(found)} classes "
                f"({', '.join(found)}); use --classes found, or data of the network's classes"
            )
        return found
    return CLASSES if len(CLASSES) == K else tuple(map(str, range(K)))


def class_index(name: str, classes: tuple[str, ...], option: str) -> int:
    """Where ``name`` (a class, another name of it, or a number) stands among ``classes``.

    Raises:
        OptionError: it is none of them.
    """
    if name in classes:
        return classes.index(name)
    meant = class_of(name)
    if meant is not None and meant in classes and not name.isdecimal():
        return classes.index(meant)
    if name.isdecimal() and int(name) < len(classes):
        return int(name)
    raise OptionError(f"{option} {name}: one of {', '.join(classes)}")


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax of N×K logits in float64, without test-time flip or temperature."""
    exact = logits.astype(np.float64)
    raised = np.exp(exact - exact.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def count_classes(subject: Subject, image_CHW: NDArray[np.uint8]) -> int:
    """K, from one pass over one picture, made two.

    Raises:
        NetworkError: the network fails, or gives no N×K scores.
    """
    pixels = torch.from_numpy(np.stack([image_CHW, image_CHW]))
    with untouched(subject.opened.network), torch.no_grad():
        try:
            return run(subject.opened.network, subject.opened.as_input(pixels)).shape[1]
        except NetworkError as error:
            raise NetworkError(f"{subject.opened.name}: {error}") from error


def _digest(opened: Opened) -> str:
    found = hashlib.sha256(repr(opened.network).encode())
    for name, value in opened.network.state_dict().items():
        if isinstance(value, torch.Tensor):
            found.update(name.encode())
            found.update(value.detach().cpu().contiguous().view(-1).double().numpy().tobytes())
    return found.hexdigest()
