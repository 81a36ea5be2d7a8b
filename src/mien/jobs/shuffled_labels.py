"""The same architecture fitted to shuffled labels: its maps have nothing of the classes to show.

Adebayo et al. 2018's data randomisation test. 2,000 training images keep their pictures and get
each other's labels; a fresh network learns them by heart, until it knows at least 95 %. It is kept
under its architecture, the data and the seed, and found again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mien.config import to_json
from mien.errors import DataError, NetworkError
from mien.jobs import kept
from mien.jobs.fit import FitOptions, fit
from mien.jobs.foreign import Opened, open_network
from mien.jobs.network import pixel_statistics
from mien.models.blocks import Normalise
from mien.models.checkpoint import load_model
from mien.models.registry import build
from mien.types import ImageSet, Progress, silent

ENOUGH = 0.95
IMAGES = 2000
_EPOCHS = 60
# Adam's, tried in turn: a network without normalisation may need the larger ones.
_RATES = (1e-3, 3e-3, 1e-2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Memorised:
    """network: in evaluation mode. known: share 0..1 of the shuffled labels that it has right.

    images: how many it learned. reused: whether it was found in the cache.
    """

    network: nn.Module
    known: float
    images: int
    reused: bool


def shuffled_labels(
    model: str,
    opened: Opened,
    data: ImageSet,
    *,
    input_shape: str = "",
    seed: int = 0,
    images: int = IMAGES,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Memorised:
    """A fresh network of ``model``'s architecture that knows shuffled labels of ``data``.

    folder: where it is kept; by default mien's cache. FILE.py:FACTORY is called again.

    Raises:
        DataError: too few labelled training images, or all of one class.
        NetworkError: it does not come to know 95 % of them.
    """
    folder = folder or kept.shared_folder()
    training = data.where("train")
    training = training[data.labels[training] >= 0]
    if len(training) < 32 or len(np.unique(data.labels[training])) < 2:
        raise DataError(
            f"{len(training)} labelled training images: too few to shuffle; use --quick, which "
            "leaves this test out"
        )
    rng = np.random.default_rng((seed, 0x5FFE))
    chosen = np.sort(rng.choice(training, size=min(images, len(training)), replace=False))
    pictures, labels = np.array(data.images[chosen]), rng.permutation(data.labels[chosen])
    network, what = _fresh(model, opened, pictures, input_shape, seed)
    outputs = _outputs(network, opened)
    if labels.max() >= outputs:
        labels = rng.integers(outputs, size=len(labels))
    key = kept.key_of("shuffled labels", what, data.fingerprint, seed, len(chosen))
    noted = kept.load_network(folder, key, network)
    if noted is not None and noted.get("known", 0) >= ENOUGH:
        return Memorised(network=network.eval(), known=noted["known"], images=len(chosen),
                         reused=True)  # fmt: skip
    known = 0.0
    for rate in _RATES:
        network, _ = _fresh(model, opened, pictures, input_shape, seed)
        how = FitOptions(
            epochs=_EPOCHS, until=ENOUGH, seed=seed, learning_rate=rate,
            # Of few pictures smaller batches, so that an epoch has enough steps.
            batch_size=max(2, min(64, len(chosen) // 16)), stage="learning shuffled labels",
        )  # fmt: skip
        known = fit(network, pictures, labels, how, as_input=opened.as_input, progress=progress)
        if known >= ENOUGH:
            break
    else:
        raise NetworkError(
            f"after {_EPOCHS} epochs the network knows {100 * known:.0f} % of {len(chosen):,} "
            "shuffled labels, 95 % are needed; use --quick, which leaves this test out"
        )
    kept.keep_network(folder, key, network, {"known": known})
    return Memorised(network=network, known=known, images=len(chosen), reused=False)


def _fresh(
    model: str, opened: Opened, pictures: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]",
    input_shape: str, seed: int,
) -> tuple[nn.Module, object]:  # fmt: skip
    """A network with new weights, and JSON-able facts that say which architecture it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if not opened.own:
            file = model.rpartition(":")[0]
            digest = kept.key_of(Path(file).read_text(encoding="utf-8"))
            network = open_network(model, input_shape).network
            # A factory may load weights; what is asked for is the architecture alone.
            for module in network.modules():
                reset = getattr(module, "reset_parameters", None)
                if callable(reset):
                    reset()
            return network.requires_grad_(True), [model.rpartition(":")[2], digest]
        loaded = load_model(model)
        network = build(loaded.architecture, loaded.config)
    for module in network.modules():
        if isinstance(module, Normalise):
            module.fit(*pixel_statistics(pictures, np.arange(len(pictures))))
    return network, [loaded.architecture, to_json(loaded.config)]


def _outputs(network: nn.Module, opened: Opened) -> int:
    with torch.no_grad():
        return int(network.eval()(opened.random_batch(2, 0)).shape[1])
