"""Small untrained models with a confidence and a score of novelty, for tests of what is served."""

import torch

from mien.evaluate.novelty import HEAD, features, find_taps
from mien.labels import CLASSES
from mien.models.checkpoint import Model
from mien.models.cnn4 import CNN4Config
from mien.models.registry import build
from mien.models.residual import ResidualConfig
from mien.models.wide import WideConfig

CONFIGS = {
    "cnn4": CNN4Config(widths=(4, 6, 8, 8), hidden=(8, 6)),
    "residual": ResidualConfig(stem=4, widths=(6, 8, 8, 10), squeeze=2),
    "wide": WideConfig(widths=(6, 8, 10)),
}


def small(name="cnn4", *, novelty=True, flip=True, temperature=0.5, seed=0):
    """A network whose normalisations have seen something, so that folding them is no identity."""
    torch.manual_seed(seed)
    network = build(name, CONFIGS[name])
    for part in network.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_()
    network.eval()
    rows = [{"error": 0.1, "threshold": 0.8}]
    about = {"calibration": {"temperature": temperature, "unsure": rows, "flip": flip,
                             "fitted_on": {}}}  # fmt: skip
    extras = {}
    if novelty:
        images = torch.randint(0, 256, (2, 1, 48, 48), dtype=torch.uint8)
        taps = find_taps(network, images)
        width = features(network, taps, images.numpy()).shape[1]
        head = {"mean": torch.randn(width), "scale": torch.rand(width) + 0.5,
                "weight": torch.randn(width), "bias": torch.tensor(0.3),
                "threshold": torch.tensor(1.25)}  # fmt: skip
        extras = {f"novelty.{name}": head[name] for name in HEAD}
        about["novelty"] = {"taps": [list(tap) for tap in taps], "accepted": 0.95}
    return Model(network=network, architecture=name, config=CONFIGS[name], classes=CLASSES,
                 about=about, extras=extras)  # fmt: skip
