import copy
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from mien.errors import DataError, MienError, ModelFileError, OptionError
from mien.evaluate.collect import collect


class Small(nn.Module):
    """Eats uint8 and has all that evaluation must not disturb: batch norm, dropout, a counter."""

    def __init__(self, K: int = 3) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(127.0))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("replaced", torch.zeros(2))
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, K)

    def forward(self, image_NCHW: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.replaced = self.replaced + 1
        torch.rand(1)  # a forward that draws, as stochastic ones do
        x = (image_NCHW.float() - self.mean) / 64
        x = self.norm(self.convolution(x)).relu().mean(dim=(2, 3))
        result: torch.Tensor = self.head(self.drop(x))
        return result


@pytest.fixture
def model() -> Small:
    torch.manual_seed(0)
    model = Small()
    for _ in range(3):  # running statistics that differ from those of a batch
        model(torch.randint(0, 255, (16, 1, 8, 8), dtype=torch.uint8))
    return model


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(50, 1, 8, 8), dtype=np.uint8)


def _reference(model: nn.Module, images: np.ndarray) -> np.ndarray:
    model = copy.deepcopy(model).eval()
    with torch.no_grad():
        rows = [model(torch.from_numpy(image[None].copy())) for image in images]
    return np.concatenate([row.numpy() for row in rows])


def _state(model: nn.Module) -> dict[str, Any]:
    """All that must be as before, by value and by identity."""
    return {
        "modes": [module.training for module in model.modules()],
        "buffers": {name: b.clone() for name, b in model.named_buffers()},
        "buffer_ids": [id(b) for b in model.buffers()],
        "parameters": {name: p.detach().clone() for name, p in model.named_parameters()},
        "parameter_ids": [id(p) for p in model.parameters()],
        "grads": [p.grad if p.grad is None else p.grad.clone() for p in model.parameters()],
        "grad_ids": [id(p.grad) for p in model.parameters()],
        "requires": [p.requires_grad for p in model.parameters()],
        "hooks": [
            (list(m._forward_hooks), list(m._forward_pre_hooks), list(m._backward_hooks))
            for m in model.modules()
        ],
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1],
        "python": random.getstate(),
        "grad_mode": torch.is_grad_enabled(),
    }


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _disturb(model: Small) -> None:
    """A state that nobody would get by calling train() or eval()."""
    model.train()
    model.norm.eval()
    model.head.weight.requires_grad_(False)
    model.convolution.weight.grad = torch.ones_like(model.convolution.weight)
    model.head.register_forward_hook(lambda *_: None)


def test_logits_are_the_models_in_evaluation_mode(model: Small, images: np.ndarray) -> None:
    found = collect(model, images, device="cpu")
    assert (found.shape, found.dtype) == ((50, 3), np.float32)
    np.testing.assert_allclose(found, _reference(model, images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 50, 512])
def test_batches_do_not_matter(model: Small, images: np.ndarray, batch_size: int) -> None:
    told: list[tuple[str, int, int]] = []
    found = collect(
        model, images, device="cpu", batch_size=batch_size, progress=lambda *x: told.append(x)
    )
    np.testing.assert_allclose(found, _reference(model, images), rtol=1e-5, atol=1e-6)
    assert told[-1] == ("logits", 50, 50)
    assert len(told) == -(-50 // batch_size)


def test_tensors_and_arrays_that_may_not_be_written(model: Small, images: np.ndarray) -> None:
    found = collect(model, images, device="cpu")
    images.flags.writeable = False
    np.testing.assert_array_equal(collect(model, images, device="cpu"), found)
    tensor = torch.from_numpy(images.copy())
    np.testing.assert_array_equal(collect(model, tensor, device=torch.device("cpu")), found)


def test_flip_averages_probabilities(model: Small, images: np.ndarray) -> None:
    found = collect(model, images, device="cpu", flip=True)
    straight = torch.from_numpy(_reference(model, images)).double().softmax(dim=1)
    mirrored = torch.from_numpy(_reference(model, images[..., ::-1])).double().softmax(dim=1)
    mean = ((straight + mirrored) / 2).numpy()
    np.testing.assert_allclose(np.exp(found.astype(np.float64)), mean, rtol=1e-5)
    softmax = torch.from_numpy(found).double().softmax(dim=1).numpy()
    np.testing.assert_allclose(softmax, mean, rtol=1e-5)
    assert np.abs(mean - straight.numpy()).max() > 1e-4


def test_flip_of_very_sure_scores_stays_finite() -> None:
    model = nn.Sequential(_ToFloat(), nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[2].weight.copy_(torch.tensor([[900.0, 0, 0, 0], [0, 0, 0, 0]]))
    images = np.full((2, 1, 2, 2), 255, dtype=np.uint8)
    assert np.isfinite(collect(model, images, device="cpu", flip=True)).all()


class _ToFloat(nn.Module):
    def forward(self, image_NCHW: torch.Tensor) -> torch.Tensor:
        return image_NCHW.float()


def test_bf16_is_close_and_comes_as_float32(model: Small, images: np.ndarray) -> None:
    exact = collect(model, images, device="cpu")
    rough = collect(model, images, device="cpu", precision="bf16")
    assert rough.dtype == np.float32
    assert not np.array_equal(rough, exact)
    np.testing.assert_allclose(rough, exact, atol=0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(collect(model, images, device="cpu"), exact)


@pytest.mark.parametrize("flip", [False, True])
def test_the_model_is_left_as_found(model: Small, images: np.ndarray, flip: bool) -> None:
    _disturb(model)
    before = _state(model)
    collect(model, images, device="cpu", flip=flip)
    after = _state(model)
    for name in before:
        assert _same(before[name], after[name]), name


@pytest.mark.parametrize("after", [0, 2])
def test_the_model_is_left_as_found_after_an_error(
    model: Small, images: np.ndarray, after: int
) -> None:
    _disturb(model)
    calls = 0

    def fail(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise RuntimeError("out of memory")

    model.norm.register_forward_hook(fail)
    before = _state(model)
    with pytest.raises(RuntimeError, match="out of memory"):
        collect(model, images, device="cpu", batch_size=10)
    assert calls == after + 1
    found = _state(model)
    for name in before:
        assert _same(before[name], found[name]), name


def test_training_goes_on_as_if_nothing_had_been(model: Small, images: np.ndarray) -> None:
    def train(model: Small, evaluated: bool) -> list[float]:
        torch.manual_seed(5)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        batch = torch.from_numpy(images)
        losses = []
        for _ in range(4):
            loss = nn.functional.cross_entropy(model(batch), torch.arange(50) % 3)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
            if evaluated:
                collect(model, images, device="cpu", flip=True)
        return losses

    assert train(copy.deepcopy(model), False) == train(copy.deepcopy(model), True)


def test_scores_that_are_no_scores(images: np.ndarray, model: Small) -> None:
    class Wrong(nn.Module):
        def forward(self, image_NCHW: torch.Tensor) -> Any:
            return image_NCHW.float()

    class Tuple(nn.Module):
        def forward(self, image_NCHW: torch.Tensor) -> Any:
            return (image_NCHW, 1)

    for wrong in (Wrong(), Tuple()):
        with pytest.raises(ModelFileError, match="no classifier"):
            collect(wrong, images, device="cpu")
    with torch.no_grad():
        model.head.weight[1] = torch.nan
    with pytest.raises(ModelFileError, match=r"not finite for 50 of 50 images \(first: number 0\)"):
        collect(model, images, device="cpu")


def test_bad_arguments(model: Small, images: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"float32 \(50, 1, 8, 8\), not uint8"):
        collect(model, images.astype(np.float32), device="cpu")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not uint8"):
        collect(model, images[:, 0], device="cpu")
    cases: list[tuple[dict[str, Any], type[MienError]]] = [
        ({"precision": "fp16"}, OptionError),
        ({"batch_size": 0}, OptionError),
    ]
    for options, error in cases:
        with pytest.raises(error):
            collect(model, images, device="cpu", **options)
    with pytest.raises(DataError, match="no images"):
        collect(model, images[:0], device="cpu")


def test_evaluation_from_a_file_needs_no_torch() -> None:
    rooms = ["predictions", "confusion", "pairs", "findings", "intervals", "compare"]
    code = (
        "import sys, mien.evaluate, "
        + ", ".join(f"mien.evaluate.{room}" for room in rooms)
        + "; sys.exit('torch' in sys.modules)"
    )
    source = Path(__file__).parents[2] / "src"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=source)


# Parametrized rather than skipped: where there is no GPU the test does not exist.
@pytest.mark.parametrize("device", ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def test_a_model_is_taken_to_a_device_and_back(
    model: Small, images: np.ndarray, device: str
) -> None:
    _disturb(model)
    before = _state(model)
    random = torch.cuda.get_rng_state() if device == "cuda" else torch.get_rng_state()
    found = collect(model, images, device=device, flip=True)
    after = _state(model)
    for name in before:
        assert _same(before[name], after[name]), name
    now = torch.cuda.get_rng_state() if device == "cuda" else torch.get_rng_state()
    assert torch.equal(random, now)
    np.testing.assert_allclose(
        found, collect(model, images, device="cpu", flip=True), rtol=1e-3, atol=1e-4
    )


class Pixels(nn.Module):
    """Its scores are the pixels, row by row."""

    def forward(self, image_NCHW: torch.Tensor) -> torch.Tensor:
        return image_NCHW.flatten(1).float()


def keys(away: np.ndarray, a: float = -0.75) -> np.ndarray:
    """The cubic convolution of Keys 1981, equation 4 with his free parameter."""
    d = np.abs(away)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def tent(away: np.ndarray) -> np.ndarray:
    """Linear interpolation."""
    return (1 - np.abs(away)).clip(0)


@pytest.mark.parametrize("zoom", [2.0, 1.25, 0.8])
@pytest.mark.parametrize(("resampling", "kernel"), [("bicubic", keys), ("bilinear", tent)])
def test_a_zoom_enlarges_about_the_centre(
    zoom: float, resampling: str, kernel: Callable[[np.ndarray], np.ndarray]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 24), dtype=np.uint8)
    found = collect(Pixels(), image[None, None], device="cpu", zooms=(zoom,), resampling=resampling)
    place = 11.5 + (np.arange(24) - 11.5) / zoom  # the pixel that each looks at
    taps = np.arange(-10, 34)  # outside, the border's
    weights = kernel(place[:, None] - taps)
    expected = weights @ image[np.ix_(taps.clip(0, 23), taps.clip(0, 23))].astype(float) @ weights.T
    # Rounded to whole values.
    np.testing.assert_allclose(found.reshape(24, 24), expected.clip(0, 255), atol=0.51)


def test_zooms_are_averaged_with_their_mirror_images(model: Small, images: np.ndarray) -> None:
    zooms = (1.0, 0.8, 1.3)
    each = [collect(model, images, device="cpu", flip=True, zooms=(zoom,)) for zoom in zooms]
    mean = np.mean([np.exp(one) for one in each], axis=0)
    found = collect(model, images, device="cpu", flip=True, zooms=zooms)
    np.testing.assert_allclose(np.exp(found), mean, rtol=1e-4)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-4)


@pytest.mark.parametrize("zooms", [(), (1.0, 0.0), (-1.0,)])
def test_zooms_that_cannot_be_are_refused(
    model: Small, images: np.ndarray, zooms: tuple[float, ...]
) -> None:
    with pytest.raises(OptionError, match="zooms"):
        collect(model, images, device="cpu", zooms=zooms)
    with pytest.raises(OptionError, match="resampling 'cubic': there are bicubic, bilinear"):
        collect(model, images, device="cpu", resampling="cubic")


def test_five_crops_are_averaged_with_their_mirror_images() -> None:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (5, 1, 12, 12), dtype=np.uint8)
    torch.manual_seed(0)
    head = nn.Linear(1, 3)

    class Anything(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight = torch.arange(x.shape[-1]) / 12  # left and right are not alike
            return head((x.float() / 255 * weight).mean((1, 2, 3))[:, None])

    found = collect(Anything(), images, device="cpu", flip=True, crops=8)
    each = []
    for y, x in ((2, 2), (0, 0), (0, 4), (4, 0), (4, 4)):
        part = images[:, :, y : y + 8, x : x + 8]
        for view in (part, part[..., ::-1]):
            each.append(softmax(collect(Anything(), view.copy(), device="cpu"), axis=1))
    np.testing.assert_allclose(np.exp(found), np.mean(each, axis=0), atol=1e-6)
    for crops in (12, 40, -1):
        with pytest.raises(OptionError, match="crops"):
            collect(Anything(), images, device="cpu", crops=crops)
