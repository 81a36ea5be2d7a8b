"""The reference network against a reading of its definition written out by hand."""

import pytest
import torch
from torch.nn import functional

from mien.errors import OptionError
from mien.models.cnn4 import CNN4, CNN4Config
from mien.models.registry import ARCHITECTURES, build, config_from_json

SMALL = CNN4Config(widths=(4, 6, 8, 10), hidden=(12, 9), kernels=(5, 3, 3, 3))


def by_hand(network, image):
    """The forward pass in evaluation mode from the state dict alone, normalising before pooling."""
    s = network.state_dict()
    x = (image.double() - s["normalise.mean"].double()) / s["normalise.std"].double()
    slope = network.config.slope

    def normalise(x, name):
        shape = (1, -1) + (1,) * (x.ndim - 2)
        mean, var = (s[f"{name}.running_{k}"].double().reshape(shape) for k in ("mean", "var"))
        gamma, beta = (s[f"{name}.{k}"].double().reshape(shape) for k in ("weight", "bias"))
        return (x - mean) / torch.sqrt(var + 1e-5) * gamma + beta

    for k in range(4):
        weight = s[f"features.{k}.convolution.weight"].double()
        x = functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
        x = normalise(x, f"features.{k}.normalisation")
        x = torch.where(x > 0, x, slope * x)
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 2, 2, w // 2, 2).amax(dim=(3, 5))
    x = x.reshape(len(x), -1)
    for k in range(2):
        x = normalise(x @ s[f"head.{k}.linear.weight"].double().T, f"head.{k}.normalisation")
        x = torch.where(x > 0, x, slope * x)
    return x @ s["head.2.weight"].double().T + s["head.2.bias"].double()


@pytest.mark.parametrize("pool_first", [True, False])
def test_forward_is_the_definition(pool_first):
    torch.manual_seed(0)
    config = CNN4Config(widths=(4, 6, 8, 10), hidden=(12, 9), pool_first=pool_first)
    network = CNN4(config).eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    for name, parameter in network.named_parameters():
        if "normalisation.weight" in name:
            torch.nn.init.uniform_(parameter, 0.2, 2)  # above 0, where the two orders agree
    image = torch.randint(0, 256, (3, 1, 48, 48), dtype=torch.uint8)
    torch.testing.assert_close(
        network(image).double(), by_hand(network, image), rtol=1e-4, atol=1e-5
    )


def test_gives_float_logits_for_every_class_under_autocast():
    network = CNN4(CNN4Config(widths=(4, 4, 4, 4), hidden=(8, 8), classes=5, channels=3, size=32))
    image = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(image)
    assert logits.shape == (2, 5)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("shape", [(2, 1, 40, 48), (2, 3, 48, 48), (1, 48, 48)])
def test_wrong_images_are_refused_by_shape(shape):
    with pytest.raises(ValueError, match="1×48×48"):
        CNN4(SMALL)(torch.zeros(shape, dtype=torch.uint8))


@pytest.mark.parametrize(
    "wrong",
    [{"size": 8}, {"channels": 2}, {"classes": 1}, {"widths": (0, 1, 1, 1)},
     {"kernels": (3, 3, 3, 4)}, {"linear_dropout": 1.0}],
)  # fmt: skip
def test_configuration_is_checked(wrong):
    with pytest.raises(OptionError):
        CNN4Config(**wrong)


def test_four_convolutions_and_three_fully_connected_layers():
    kinds = [type(module).__name__ for module in CNN4(CNN4Config()).modules()]
    assert kinds.count("Conv2d") == 4
    assert kinds.count("Linear") == 3
    assert kinds.count("MaxPool2d") == 4
    assert kinds.count("BatchNorm2d") == 4
    assert kinds.count("BatchNorm1d") == 2
    assert kinds.count("LeakyReLU") == 6


def test_registry_builds_each_from_json():
    for name, entry in ARCHITECTURES.items():
        config = config_from_json(name, {})
        assert isinstance(config, entry.config)
        assert isinstance(build(name, config), torch.nn.Module)
    with pytest.raises(OptionError, match="cnn4"):
        config_from_json("vgg99", {})
    with pytest.raises(OptionError, match="no such field"):
        config_from_json("cnn4", {"width": 3})
