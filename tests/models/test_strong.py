"""The residual and the wide network against readings of their definitions written out by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from mien.errors import ModelFileError, OptionError
from mien.jobs.architecture import architecture
from mien.jobs.check import check
from mien.labels import CLASSES
from mien.models.blocks import SqueezeExcite
from mien.models.checkpoint import Model, load_model, save_model
from mien.models.registry import ARCHITECTURES, config_from_json
from mien.models.residual import Residual, ResidualBlock, ResidualConfig
from mien.models.wide import Wide, WideConfig, cosine_basis
from mien.train.recipes import RECIPES, recipe

SMALL = {
    "residual": ResidualConfig(stem=4, widths=(4, 6, 8, 8), blocks=(1, 2, 1, 1), squeeze=2),
    "wide": WideConfig(widths=(6, 8, 10)),
}
BUILD = {"residual": Residual, "wide": Wide}


def pictures(n=3, size=48, channels=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (n, channels, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def stirred(network):
    """Statistics and scales that are not those of a fresh network, where nothing could be seen."""
    torch.manual_seed(1)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.3)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    for name, parameter in network.named_parameters():
        if "normalisation.weight" in name:
            torch.nn.init.uniform_(parameter, 0.2, 2)
    return network.eval()


class ByHand:
    """Layers from a state dict alone."""

    def __init__(self, network):
        self.state = {key: value.double() for key, value in network.state_dict().items()}

    def normalise(self, x, name):
        mean, var, gamma, beta = (
            self.state[f"{name}.{key}"].reshape(1, -1, 1, 1)
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * gamma + beta

    def convolve(self, x, name, stride=1):
        weight = self.state[f"{name}.weight"]
        bias = self.state.get(f"{name}.bias")
        return functional.conv2d(x, weight, bias, stride, (weight.shape[-1] - 1) // 2)

    def head(self, x):
        return x.mean(dim=(2, 3)) @ self.state["head.weight"].T + self.state["head.bias"]


def halved(x):
    """Each 2×2 patch as a last dimension."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 2, 4, 3, 5).flatten(4)


def residual_by_hand(network, image):
    by, config = ByHand(network), network.config
    x = (image.double() - by.state["normalise.mean"]) / by.state["normalise.std"]
    x = halved(by.convolve(x, "stem.convolution")).amax(-1)
    x = by.normalise(x, "stem.normalisation").clamp_min(0)
    for stage, count in enumerate(config.blocks):
        for block in range(count):
            at, stride = f"stages.{stage}.{block}", 2 if stage and not block else 1
            branch = by.convolve(x, f"{at}.first", stride)
            branch = by.normalise(branch, f"{at}.first_normalisation").clamp_min(0)
            branch = by.normalise(by.convolve(branch, f"{at}.second"), f"{at}.second_normalisation")
            squeezed = by.convolve(branch.mean(dim=(2, 3), keepdim=True), f"{at}.excite.squeeze")
            branch = branch * torch.sigmoid(
                by.convolve(squeezed.clamp_min(0), f"{at}.excite.expand")
            )
            skip = halved(x).mean(-1) if stride == 2 else x
            last = "1" if stride == 2 else "0"
            if f"{at}.shortcut.{last}.weight" in by.state:
                skip = by.convolve(skip, f"{at}.shortcut.{last}")
                skip = by.normalise(skip, f"{at}.shortcut.{int(last) + 1}")
            x = (branch + skip).clamp_min(0)
    return by.head(x)


def wide_by_hand(network, image):
    by = ByHand(network)

    def gelu(x):
        return x / 2 * (1 + torch.erf(x / math.sqrt(2)))

    x = (image.double() - by.state["normalise.mean"]) / by.state["normalise.std"]
    x = gelu(by.normalise(by.convolve(x, "stem.convolution", 2), "stem.normalisation"))
    for group in range(3):
        at = f"groups.{group}"
        x = halved(by.convolve(x, f"{at}.first")).amax(-1)
        x = gelu(by.normalise(x, f"{at}.first_normalisation"))
        branch = gelu(by.normalise(by.convolve(x, f"{at}.second"), f"{at}.second_normalisation"))
        branch = by.normalise(by.convolve(branch, f"{at}.third"), f"{at}.third_normalisation")
        x = gelu(branch + x)
    return by.head(x)


@pytest.mark.parametrize(("name", "expected"), [("residual", residual_by_hand),
                                                ("wide", wide_by_hand)])  # fmt: skip
def test_forward_is_the_definition(name, expected):
    network = stirred(BUILD[name](SMALL[name]))
    image = pictures()
    torch.testing.assert_close(
        network(image).double(), expected(network, image), rtol=1e-3, atol=1e-4
    )


def test_numbers_of_parameters():
    def convolution(i, o, k):
        return i * o * k * k

    def block(i, o, shortcut):
        return (
            convolution(i, o, 3) + convolution(o, o, 3) + 4 * o + shortcut * (i * o + 2 * o)
        )  # each normalisation has a scale and a shift

    widths = ResidualConfig().widths
    expected = convolution(1, 32, 3) + 2 * 32 + 512 * 7 + 7
    expected += block(32, widths[0], True)
    expected += block(64, 128, True) + block(128, 128, False)
    expected += block(128, 256, True) + block(256, 256, False) + block(256, 512, True)
    assert size(Residual(ResidualConfig())) == expected
    expected = 16 * 32 + 2 * 32 + 512 * 7 + 7
    for i, o in ((32, 96), (96, 256), (256, 512)):
        expected += convolution(i, o, 3) + 2 * convolution(o, o, 3) + 6 * o
    assert size(Wide(WideConfig())) == expected


def test_tiny_is_tiny():
    tiny = recipe("tiny")
    assert size(BUILD[tiny.architecture](tiny.model)) < 400_000


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", BUILD)
def test_every_weight_has_a_gradient_and_crops_and_colour_do(name):
    config = type(SMALL[name])(**{**vars(SMALL[name]), "channels": 3, "classes": 5})
    torch.manual_seed(0)
    network = BUILD[name](config).train()
    stir = {n: p for n, p in network.named_parameters() if "normalisation.weight" in n}
    for parameter in stir.values():
        torch.nn.init.ones_(parameter)  # behind a scale of zero nothing would flow yet
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(pictures(6, 41, 3))
    assert logits.shape == (6, 5)
    assert logits.dtype == torch.float32
    functional.cross_entropy(logits, torch.arange(6) % 5).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert bool(parameter.grad.abs().sum() > 0), key


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize("shape", [(2, 3, 48, 48), (2, 1, 48, 12), (1, 48, 48)])
def test_wrong_images_are_refused_by_shape(name, shape):
    with pytest.raises(ValueError, match="1×H×W"):
        BUILD[name](SMALL[name])(torch.zeros(shape, dtype=torch.uint8))


def test_a_fresh_block_is_the_identity_behind_its_activation():
    block = ResidualBlock(4, 4, stride=1, squeeze=0, drop_path=0.0).train()
    x = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(block(x), x.clamp_min(0))


def test_stochastic_depth_drops_whole_branches_and_keeps_the_mean():
    torch.manual_seed(0)
    block = ResidualBlock(2, 2, stride=1, squeeze=0, drop_path=0.25).train()
    for normalisation in (block.first_normalisation, block.second_normalisation):
        normalisation.eval()
    # So small a branch that the last ReLU cuts nothing of the sum.
    torch.nn.init.constant_(block.second_normalisation.weight, 0.05)
    x = torch.rand(1, 2, 4, 4).expand(4000, 2, 4, 4) + 1
    branch = (block(x) - x).detach()
    whole = block.eval()(x[:1]) - x[:1]
    dropped = (branch.abs().amax(dim=(1, 2, 3)) < 1e-5).float()
    assert dropped.mean().item() == pytest.approx(0.25, abs=0.03)  # 4 standard deviations
    kept = branch[dropped == 0]
    torch.testing.assert_close(kept, (whole / 0.75).expand_as(kept), rtol=1e-3, atol=1e-5)


def test_squeeze_and_excitation_scales_channels_by_the_picture():
    excite = SqueezeExcite(4, 2)
    x = torch.randn(3, 4, 5, 5)
    ratio = excite(x) / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))
    assert bool(((ratio > 0) & (ratio < 1)).all())


def test_cosine_basis_is_orthonormal_and_begins_with_the_mean():
    basis = cosine_basis(4).flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(16), atol=1e-6, rtol=0)
    torch.testing.assert_close(basis[0], torch.full((16,), 0.25))
    stem = Wide(WideConfig(channels=3)).stem.convolution.weight
    torch.testing.assert_close(stem[32:48, 1].flatten(1), basis)
    torch.testing.assert_close(stem[48:64, 1].flatten(1), -basis)
    assert not stem[32:64, 0].any()


@pytest.mark.parametrize(
    "wrong",
    [{"size": 8}, {"channels": 2}, {"classes": 1}, {"widths": (0, 1, 1, 1)}, {"stem": 0},
     {"blocks": (1, 1, 1, 0)}, {"squeeze": -1}, {"squeeze": 65}, {"drop_path": 1.0}],
)  # fmt: skip
def test_residual_configuration_is_checked(wrong):
    with pytest.raises(OptionError):
        ResidualConfig(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"size": 8}, {"channels": 2}, {"classes": 1}, {"widths": (1, 1, 0)}, {"dropout": 1.0}]
)
def test_wide_configuration_is_checked(wrong):
    with pytest.raises(OptionError):
        WideConfig(**wrong)


@pytest.mark.parametrize("name", BUILD)
def test_saved_walked_and_verified_like_any_network(name, tmp_path):
    network = stirred(BUILD[name](SMALL[name]))
    path = tmp_path / f"{name}.safetensors"
    save_model(path, Model(network=network, architecture=name, config=SMALL[name],
                           classes=CLASSES))  # fmt: skip
    again = load_model(path)
    assert again.config == SMALL[name]
    assert torch.equal(again.network(pictures()), network(pictures()))
    other = config_from_json(name, {})
    model = Model(network=network, architecture=name, config=other, classes=CLASSES)
    save_model(path.with_name("other.safetensors"), model)
    with pytest.raises(ModelFileError, match="does not fit"):
        load_model(path.with_name("other.safetensors"))
    walked = architecture(str(path)).walk
    assert walked.parameters == size(network)
    assert all(layer.as_predicted in (True, None) for layer in walked.layers)
    checked = check(str(path), batch=2)
    assert {layer.verdict for layer in checked.layers} <= {"right", "no formula", "shape only"}
    assert sum(layer.verdict == "right" for layer in checked.layers) > 10


def test_every_recipe_builds():
    for name in RECIPES:
        chosen = recipe(name)
        assert chosen.name == name


@pytest.mark.parametrize("name", BUILD)
def test_the_middle_is_looked_at_and_somebodys_crops_are_taken_whole(name, tmp_path):
    plain = stirred(BUILD[name](SMALL[name])).eval()
    seeing = BUILD[name](replace(SMALL[name], view=40))
    seeing.load_state_dict(plain.state_dict())
    whole, inner = pictures(), pictures()[..., 4:44, 4:44]
    assert torch.equal(seeing.eval()(whole), plain(inner))
    assert torch.equal(seeing(inner), plain(inner))
    assert torch.equal(seeing(pictures(size=44)), plain(pictures(size=44)))
    assert not torch.equal(seeing(whole), plain(whole))
    path = tmp_path / "seeing.safetensors"
    save_model(path, Model(network=seeing, architecture=name, config=seeing.config,
                           classes=CLASSES))  # fmt: skip
    checked = check(str(path), batch=2)
    assert {layer.verdict for layer in checked.layers} <= {"right", "no formula", "shape only"}
    for wrong in (-1, 8, 2000):
        with pytest.raises(OptionError, match="view"):
            replace(SMALL[name], view=wrong)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_standardised_pictures_are_read_alike_in_any_light(name, tmp_path):
    config = replace(SMALL.get(name, ARCHITECTURES[name].config()), standardise=True, channels=3)
    network = stirred(ARCHITECTURES[name].build(config))
    image = pictures(channels=3)
    pixels = image.double().reshape(3, -1)
    expected = (pixels - pixels.mean(1, keepdim=True)) / pixels.std(1, correction=0, keepdim=True)
    got = network.normalise(image)
    torch.testing.assert_close(got, expected.reshape(image.shape).float(), atol=1e-5, rtol=1e-5)
    # A quarter of the contrast, elsewhere on the scale; powers of two keep every digit.
    darker = image.float() / 4 + 16
    torch.testing.assert_close(network(darker), network(image), atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        assert network(torch.full_like(image, 200)).isfinite().all()
    path = tmp_path / "model.safetensors"
    save_model(path, Model(network=network, architecture=name, config=config,
                           classes=CLASSES))  # fmt: skip
    assert torch.equal(load_model(path).network(image), network(image))
    checked = check(str(path), batch=2)
    assert {layer.verdict for layer in checked.layers} <= {"right", "no formula", "shape only"}
