"""Every method against Captum, or against numbers worked out by hand."""

import numpy as np
import pytest
import torch
from captum.attr import (
    InputXGradient,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
)
from networks import Dilated, ResNet, plain
from torch import Tensor, nn

from mien.errors import DataError, NetworkError, OptionError
from mien.explain.attribution import METHODS, attribute
from mien.explain.methods.smoothgrad import gaussian_noise
from mien.explain.options import Options

# Captum tells that it switches gradients on, and of hooks.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Input Tensor"),
    pytest.mark.filterwarnings("ignore:Setting forward, backward hooks"),
]

SIDE = 24
BUILDS = {"plain": plain, "residual": ResNet, "dilated": Dilated}
TARGETS, RIVALS = np.array([0, 3, 6, 2, 2]), np.array([1, 1, 0, 3, 4])


@pytest.fixture(params=BUILDS)
def network(request) -> nn.Module:
    torch.manual_seed(0)
    made = BUILDS[request.param]()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    if request.param == "dilated":
        made.head = nn.Linear(12, 7)
    return made.eval()


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 1, SIDE, SIDE), dtype=np.uint8)


def as_input(pixels: Tensor) -> Tensor:
    return pixels.float() / 255


def explained(network, pictures, method, **options):
    return attribute(network, pictures, method=method, targets=TARGETS, as_input=as_input,
                     options=Options(**options))  # fmt: skip


def x_of(pictures: np.ndarray) -> Tensor:
    return as_input(torch.from_numpy(pictures))


def close(ours: np.ndarray, theirs: Tensor) -> None:
    wanted = theirs.detach().numpy()
    wanted = wanted[:, 0] if wanted.ndim == 4 else wanted
    assert np.abs(wanted).max() > 1e-4
    np.testing.assert_allclose(ours, wanted, atol=1e-5 * max(1, np.abs(wanted).max()), rtol=0)


def test_gradient_is_captums_saliency(network, pictures):
    theirs = Saliency(network).attribute(x_of(pictures), torch.from_numpy(TARGETS), abs=False)
    close(explained(network, pictures, "gradient").maps, theirs)


def test_gradient_x_input_is_captums(network, pictures):
    theirs = InputXGradient(network).attribute(x_of(pictures), torch.from_numpy(TARGETS))
    close(explained(network, pictures, "gradient_x_input").maps, theirs)


@pytest.mark.parametrize(("pixel", "steps"), [(None, 7), (0, 16)])
def test_integrated_gradients_are_captums(network, pictures, pixel, steps):
    x = x_of(pictures)
    start = x.mean((2, 3), keepdim=True).expand_as(x) if pixel is None else torch.zeros_like(x)
    theirs, missing = IntegratedGradients(network).attribute(
        x, start.contiguous(), torch.from_numpy(TARGETS), n_steps=steps, method="gausslegendre",
        return_convergence_delta=True,
    )  # fmt: skip
    ours = explained(network, pictures, "integrated_gradients", steps=steps, baseline=pixel)
    close(ours.maps, theirs)
    np.testing.assert_allclose(ours.residual, missing.numpy(), atol=1e-5)
    assert any("completeness" in note for note in ours.notes)


@pytest.mark.parametrize(("patch", "stride"), [(8, 4), (7, 5), (24, 24), (5, 5)])
def test_occlusion_is_captums(network, pictures, patch, stride):
    theirs = Occlusion(network).attribute(
        x_of(pictures), (1, patch, patch), (1, stride, stride), 100 / 255,
        target=torch.from_numpy(TARGETS), perturbations_per_eval=4,
    )  # fmt: skip
    ours = explained(network, pictures, "occlusion", patch=patch, stride=stride, baseline=100)
    close(ours.maps, theirs.float())


def test_smoothgrad_is_captums_on_the_same_noise(network, pictures, monkeypatch):
    ours = explained(network, pictures, "smoothgrad", samples=6, noise=0.1, seed=3)
    for n in range(2):
        x = x_of(pictures[n : n + 1])
        noise = gaussian_noise(x, Options(samples=6, noise=0.1, seed=3))
        monkeypatch.setattr(torch, "normal", lambda *_, noise=noise: noise[:, 0])
        theirs = NoiseTunnel(Saliency(network)).attribute(
            x, nt_samples=6, nt_type="smoothgrad", target=int(TARGETS[n]), abs=False
        )
        close(ours.maps[n : n + 1], theirs)
        drawn = float(noise.std()) / float(x.amax() - x.amin())
        assert drawn == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("build", ["plain", "residual"])
def test_gradcam_is_captums(build, pictures, relu):
    torch.manual_seed(1)
    network = BUILDS[build]().eval()
    name = "4" if build == "plain" else "blocks.1.short"
    layer = dict(network.named_modules())[name]
    grid = LayerGradCam(network, layer).attribute(
        x_of(pictures), torch.from_numpy(TARGETS), relu_attributions=relu
    )
    theirs = LayerAttribution.interpolate(grid, (SIDE, SIDE), "bilinear")
    ours = explained(network, pictures, "gradcam", layer=name, relu=relu)
    close(ours.maps, theirs)
    assert ours.options.layer == name
    assert (ours.maps < 0).any() == (not relu)


def test_rivals_are_the_difference_of_two_logits(network, pictures):
    x = x_of(pictures).requires_grad_(True)
    logits, rows = network(x), torch.arange(5)
    (logits[rows, TARGETS] - logits[rows, RIVALS]).sum().backward()
    found = attribute(network, pictures, method="gradient", targets=TARGETS, rivals=RIVALS,
                      as_input=as_input)  # fmt: skip
    close(found.maps, x.grad)
    for method in METHODS:
        both, own, other = (
            attribute(network, pictures, method=method, targets=a, rivals=b, as_input=as_input)
            for a, b in ((TARGETS, RIVALS), (TARGETS, None), (RIVALS, None))
        )
        if method != "layercam":  # whose clamping is not linear in the score
            close(both.maps, torch.from_numpy(own.maps - other.maps))


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_gives_what_one_by_one_gives(network, pictures, method):
    whole = attribute(network, pictures, method=method, as_input=as_input)
    parts = [
        attribute(network, pictures[n : n + 1], method=method, as_input=as_input) for n in range(5)
    ]
    uneven = attribute(network, pictures, method=method, as_input=as_input, batch_size=2)
    assert whole.maps.shape == (5, SIDE, SIDE)
    assert whole.maps.dtype == np.float32
    np.testing.assert_array_equal(whole.targets, whole.logits.argmax(1))
    for n, one in enumerate(parts):
        close(one.maps, torch.from_numpy(whole.maps[n : n + 1]))
    close(uneven.maps, torch.from_numpy(whole.maps))
    np.testing.assert_allclose(uneven.logits, whole.logits, atol=1e-5)


def two_layers() -> nn.Sequential:
    """One convolution 1×1 with two channels, ReLU, mean over cells, one linear layer."""
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(2, 2, bias=False),
    )  # fmt: skip
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        network[0].bias.copy_(torch.tensor([0.0, 3.0]))
        network[4].weight.copy_(torch.tensor([[2.0, 4.0], [-1.0, 1.0]]))
    return network


def test_gradcam_and_layercam_worked_out_on_paper():
    """Picture [[1, 2], [4, 6]]: channel one is x, channel two 3 − x (2 1 −1 −3).

    Logit 0 = 2·mean relu(x) + 4·mean relu(3 − x): over four cells the gradients are 1/2 in each
    cell of channel one, 1 in the first two cells of channel two and 0 where it is negative.

    Grad-CAM: weights 1/2 and 1/2, so x/2 + (3 − x)/2 = 3/2 everywhere.
    LayerCAM: x/2 + [1·2, 1·1, 0, 0] = [5/2, 2, 2, 3].
    Logit 1 = −mean relu(x) + mean relu(3 − x): gradients −1/4 and (1/4, 1/4, 0, 0), weights −1/4
    and 1/8: −x/4 + (3 − x)/8 = 3/8 − 3x/8 = [0, −3/8, −9/8, −15/8];
    LayerCAM: [2/4, 1/4, 0, 0].
    """
    picture = np.array([[[[1, 2], [4, 6]]]], dtype=np.uint8)
    wanted = {
        ("gradcam", 0): [1.5, 1.5, 1.5, 1.5],
        ("layercam", 0): [2.5, 2, 2, 3],
        ("gradcam", 1): [0, -0.375, -1.125, -1.875],
        ("layercam", 1): [0.5, 0.25, 0, 0],
    }
    for (method, target), values in wanted.items():
        found = attribute(two_layers(), picture, method=method, targets=np.array([target]))
        np.testing.assert_allclose(found.maps.ravel(), values, atol=1e-6)
    found = attribute(
        two_layers(), picture, method="gradcam", targets=np.array([1]), options=Options(relu=True)
    )
    np.testing.assert_array_equal(found.maps.ravel(), [0, 0, 0, 0])


def test_a_linear_network_worked_out_on_paper():
    """Score = Σ w·x: gradient w, times input w·x, integrated w·(x − mean), and a covered square
    falls by the sum of w·(x − mean) inside it.
    """
    weight = np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
    with torch.no_grad():
        network[1].weight.copy_(torch.from_numpy(np.stack([weight.ravel(), -weight.ravel()])))
    picture = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4) * 3
    x = picture[0, 0].astype(np.float32)
    above = weight * (x - x.mean())
    squares = above.reshape(2, 2, 2, 2).sum((1, 3)).repeat(2, 0).repeat(2, 1)
    wanted = {"gradient": weight, "gradient_x_input": weight * x, "smoothgrad": weight,
              "integrated_gradients": above, "occlusion": squares}  # fmt: skip
    for method, values in wanted.items():
        found = attribute(network, picture, method=method, targets=np.array([0]),
                          options=Options(patch=2, stride=2))  # fmt: skip
        np.testing.assert_allclose(found.maps[0], values, atol=1e-4)
    found = attribute(network, picture, method="integrated_gradients", targets=np.array([1]))
    np.testing.assert_allclose(found.maps[0], -above, atol=1e-4)
    assert abs(found.residual[0]) < 1e-3


def test_colour_channels_are_summed():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 2, bias=False))
    picture = np.random.default_rng(2).integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    found = attribute(network, picture, method="gradient", targets=np.array([1, 1]))
    weight = network[1].weight.detach()[1].reshape(3, 4, 4).sum(0)
    np.testing.assert_allclose(found.maps, np.stack([weight, weight]), atol=1e-6)


class TestNetworksOfStrangers:
    def test_half_precision_answers(self, pictures):
        class Half(ResNet):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x).half()

        torch.manual_seed(0)
        network = Half().eval()
        for method in METHODS:
            found = attribute(network, pictures, method=method, as_input=as_input)
            assert found.maps.dtype == np.float32
            assert np.isfinite(found.maps).all()

    def test_weights_in_double_precision(self, pictures):
        torch.manual_seed(0)
        network = plain().eval()
        single = attribute(network, pictures, method="gradient", as_input=as_input)
        double = attribute(network.double(), pictures, method="gradient", as_input=as_input)
        close(double.maps, torch.from_numpy(single.maps))

    def test_views_of_feature_maps_need_the_usual_layout(self, pictures):
        class Views(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.one, self.two = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3, stride=2)
                self.head = nn.Linear(8 * 10 * 10, 7)

            def forward(self, x: Tensor) -> Tensor:
                return self.head(self.two(self.one(x).relu_()).relu_().view(len(x), -1))

        network = Views().eval()
        for method in METHODS:
            found = attribute(network, pictures, method=method, as_input=as_input)
            assert found.maps.shape == (5, SIDE, SIDE)

    def test_the_last_convolution_may_be_a_function(self, pictures):
        torch.manual_seed(0)
        network = Dilated().eval()
        found = attribute(network, pictures, method="gradcam", as_input=as_input)
        assert found.options.layer == "conv2d[3]"
        assert "6×12 cells, each of 4×2 pixels" in found.notes[0]
        assert "too coarse" in found.notes[1]
        kept = []

        class Twin(Dilated):
            """The same with a module in the function's place, for Captum."""

            def __init__(self) -> None:
                super().__init__()
                self.last = nn.Conv2d(8, 6, 1, bias=False)

            def forward(self, x: Tensor) -> Tensor:
                a = nn.functional.leaky_relu(self.stem(x), 0.1)
                b = torch.tanh(self.grouped(a)) + a
                d = self.last(nn.functional.avg_pool2d(self.depthwise(b), 2))
                kept.append(d.shape)
                return self.head(torch.cat([d.mean((2, 3)), d.amax((2, 3))], dim=1))

        twin = Twin().eval()
        state = network.state_dict()
        twin.load_state_dict({**state, "last.weight": state["weight"]})
        targets = torch.from_numpy(found.targets)
        grid = LayerGradCam(twin, twin.last).attribute(x_of(pictures), targets)
        close(found.maps, LayerAttribution.interpolate(grid, (SIDE, SIDE), "bilinear"))
        named = attribute(
            network, pictures, method="gradcam", as_input=as_input,
            options=Options(layer="conv2d[3]"),
        )  # fmt: skip
        np.testing.assert_array_equal(named.maps, found.maps)

    def test_a_fine_grid_gets_no_warning(self, pictures):
        found = attribute(plain().eval(), pictures, method="layercam", options=Options(layer="0"))
        assert len(found.notes) == 1

    @pytest.mark.parametrize(
        ("forward", "words"),
        [
            (lambda self, x: super(ResNet, self), "no classifier"),
            (lambda self, x: self.stem(x), "no classifier"),
            (lambda self, x: self.fc(self.stem(x).mean((2, 3)).repeat(1, 2)) * torch.nan, "finite"),
            (lambda self, x: self.fc(self.stem(x - x.mean()).mean((2, 3)).repeat(1, 2)), "beside"),
            (lambda self, x: torch.rand(len(x), 7) + self.stem(x).mean(), "other scores each time"),
            (lambda self, x: self.fc(x), "fails on a batch of 2×1×24×24: RuntimeError"),
        ],
    )
    def test_what_is_no_classifier_is_told_in_one_line(self, pictures, forward, words):
        network = type("Bad", (ResNet,), {"forward": forward})().eval()
        with pytest.raises(NetworkError, match=words) as caught:
            attribute(network, pictures, method="gradient", as_input=as_input)
        assert "\n" not in str(caught.value)

    def test_no_gradient_is_told_and_occlusion_needs_none(self, pictures):
        class Rounds(ResNet):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x).detach()

        torch.manual_seed(0)
        network = Rounds().eval()
        with pytest.raises(NetworkError, match="--method occlusion"):
            attribute(network, pictures, method="gradient", as_input=as_input)
        found = attribute(network, pictures, method="occlusion", as_input=as_input)
        assert np.abs(found.maps).max() > 0

    def test_a_gradient_that_is_not_finite_is_told(self, pictures):
        class Root(ResNet):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x) + ((x - x) ** 0.5).sum((1, 2, 3))[:, None]

        with pytest.raises(NetworkError, match="not finite"):
            attribute(Root().eval(), pictures, method="gradient", as_input=as_input)


class TestBadInput:
    @pytest.mark.parametrize(
        ("method", "options", "words"),
        [
            ("guess", {}, "--method guess: one of gradient"),
            ("gradcam", {"layer": "no"}, "--layer no: .*its convolutions: stem, blocks.0.conv1"),
            ("occlusion", {"patch": 25, "stride": 5}, "--patch 25: larger than the picture"),
        ],
    )
    def test_options(self, pictures, method, options, words):
        with pytest.raises(OptionError, match=words):
            attribute(ResNet(), pictures, method=method, options=Options(**options))

    @pytest.mark.parametrize(
        "bad", [{"stride": 20}, {"samples": 0}, {"baseline": 256}, {"noise": 0.0}, {"seed": -1}]
    )
    def test_ranges(self, bad):
        with pytest.raises(OptionError):
            Options(**bad)

    def test_classes_and_pictures(self, pictures):
        with pytest.raises(OptionError, match=r"class 7: .* 0 to 6"):
            attribute(ResNet(), pictures, method="gradient", targets=np.full(5, 7))
        with pytest.raises(OptionError, match="4 rivals for 5 images"):
            attribute(ResNet(), pictures, method="gradient", rivals=np.zeros(4, np.int64))
        with pytest.raises(DataError, match="no images"):
            attribute(ResNet(), pictures[:0], method="gradient")
        with pytest.raises(TypeError, match="float32"):
            attribute(ResNet(), pictures.astype(np.float32), method="gradient")

    @pytest.mark.parametrize("layer", ["fc", "blocks"])
    def test_layers_without_feature_maps(self, pictures, layer):
        options = Options(layer=layer)
        if layer == "blocks":  # a container whose output is a feature map will do
            attribute(ResNet(), pictures, method="gradcam", options=options)
            return
        with pytest.raises(NetworkError, match="layer 'fc' gives 1×7, not feature maps"):
            attribute(ResNet(), pictures, method="gradcam", options=options)

    def test_no_convolution(self, pictures):
        network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 3))
        with pytest.raises(NetworkError, match="no convolution"):
            attribute(network, pictures, method="gradcam")
