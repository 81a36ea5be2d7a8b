import io

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional

from mien.errors import DataError, NetworkError
from mien.evaluate.novelty import WithNovelty, _grid_means, features, find_taps, fit_novelty


class Net(nn.Module):
    """Two convolutions, one shared ReLU, a hidden layer; a stranger to mien's registry."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, stride=2), nn.Conv2d(4, 6, 3, stride=2)
        self.act, self.drop = nn.ReLU(), nn.Dropout(0.5)
        self.hidden, self.last = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.first(x.float() / 255 - 0.5))
        x = self.act(self.second(x)).mean(dim=(2, 3))
        return self.last(self.drop(self.act(self.hidden(x))))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def _pictures(n: int, seed: int, *, upright: bool) -> np.ndarray:
    """Light above and dark below, or the other way round, with grain."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(220, 30, 24)[:, None] + rng.normal(scale=25, size=(n, 1, 24, 24))
    made = np.clip(ramp, 0, 255).astype(np.uint8)
    return made if upright else made[:, :, ::-1]


def test_taps_are_the_last_at_each_size(net: Net) -> None:
    taps = find_taps(net, torch.zeros(2, 1, 24, 24, dtype=torch.uint8))
    # ReLU runs three times: on 11×11, on 5×5 and on the vector, where dropout comes later still.
    assert taps == (("act", 0), ("act", 1), ("drop", 0))
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    with pytest.raises(NetworkError, match="no layer"):
        find_taps(nn.Flatten(), torch.zeros(1, 1, 8, 8))


def test_features_are_means_over_a_grid(net: Net) -> None:
    images = _pictures(4, 0, upright=True)
    found = features(net, (("act", 1), ("drop", 0)), images, batch_size=3)
    assert found.shape == (4, 6 * 9 + 5)
    net.eval()
    with torch.no_grad():
        maps = net.act(net.second(net.act(net.first(torch.from_numpy(images).float() / 255 - 0.5))))
    # Of 5×5 the first cell of a 3×3 grid covers rows and columns 0 and 1.
    np.testing.assert_allclose(
        found[:, 0], maps[:, 0, :2, :2].mean(dim=(1, 2)), rtol=2e-3, atol=1e-4
    )


@pytest.mark.parametrize(("height", "width"), [(40, 40), (5, 10), (6, 6), (3, 7)])
def test_grid_means_are_adaptive_pooling(height: int, width: int) -> None:
    maps = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    wanted = functional.adaptive_avg_pool2d(maps, 3).flatten(2)
    torch.testing.assert_close(_grid_means(maps, 3), wanted, rtol=1e-5, atol=1e-6)


def test_it_learns_what_is_shown_and_accepts_the_wanted_share(net: Net) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    faces, others = _pictures(400, 1, upright=True), _pictures(200, 2, upright=False)
    fitted = fit_novelty(net, faces, [others, 255 - faces[:100]], accepted=0.9)
    assert fitted.accepted == pytest.approx(0.9, abs=0.02)
    module = fitted.module.eval()
    new = np.concatenate([_pictures(200, 3, upright=True), _pictures(200, 4, upright=False)])
    with torch.no_grad():
        logits, scores = module(torch.from_numpy(new.copy()))
        plain = net.eval()(torch.from_numpy(new.copy()))
    assert torch.equal(logits, plain)
    assert roc_auc_score(np.repeat([0, 1], 200), scores.numpy()) > 0.99
    assert (scores[:200] <= module.threshold).float().mean() == pytest.approx(0.9, abs=0.06)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    again = fit_novelty(net, faces, [others, 255 - faces[:100]], accepted=0.9)
    assert torch.equal(again.module.weight, fitted.module.weight)


def test_the_score_by_hand(net: Net) -> None:
    taps, images = (("drop", 0),), _pictures(3, 0, upright=True)
    x = features(net, taps, images).float()
    head = {"mean": torch.full((5,), 0.1), "scale": torch.full((5,), 0.5),
            "weight": torch.arange(5.0), "bias": torch.tensor(2.0),
            "threshold": torch.tensor(0.0)}  # fmt: skip
    module = WithNovelty(net, taps, head).eval()
    _, scores = module(torch.from_numpy(images))
    expected = ((x - 0.1) / 0.5) @ torch.arange(5.0) + 2
    torch.testing.assert_close(scores.detach(), expected, rtol=1e-2, atol=1e-2)
    with pytest.raises(NetworkError, match="'nowhere'"):
        WithNovelty(net, (("nowhere", 0),), head)


def test_it_can_be_exported(net: Net) -> None:
    fitted = fit_novelty(net, _pictures(60, 1, upright=True), [_pictures(30, 2, upright=False)])
    module, images = fitted.module.eval(), torch.from_numpy(_pictures(5, 9, upright=True))
    program = torch.export.export(module, (images,))
    exported = program.module()(images)
    for ours, theirs in zip(module(images), exported, strict=True):
        torch.testing.assert_close(ours, theirs)
    kept = io.BytesIO()
    torch.save(module.state_dict(), kept)
    assert {"mean", "scale", "weight", "bias", "threshold"} <= module.state_dict().keys()


def test_too_little_to_fit(net: Net) -> None:
    with pytest.raises(DataError, match="too few"):
        fit_novelty(net, _pictures(20, 0, upright=True), [_pictures(20, 0, upright=False)])
