"""Label smoothing and its way back, against the minimum of the smoothed loss itself."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from mien.models.export import Served
from mien.theory.smoothing import LEAST, unsmoothed


@pytest.mark.parametrize("smoothing", [0.05, 0.1, 0.3])
def test_it_takes_back_what_the_smoothed_loss_asks_for(smoothing: float) -> None:
    """Logits fitted freely to labels of known frequencies, by autograd and torch's own loss."""
    meant = torch.tensor([0.62, 0.2, 0.1, 0.08], dtype=torch.float64)
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    labels = torch.repeat_interleave(torch.arange(4), (meant * 50).round().long())
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe",
                                  tolerance_grad=1e-12, tolerance_change=1e-14)  # fmt: skip

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        rows = logits.expand(len(labels), 4)
        value = functional.cross_entropy(rows, labels, label_smoothing=smoothing)
        value.backward()
        return value

    optimizer.step(loss)
    fitted = logits.detach().numpy()[None]
    assert (torch.softmax(logits, 0).detach() - meant).abs().max() > 0.01
    found = np.exp(unsmoothed(fitted, smoothing))
    np.testing.assert_allclose(found[0], meant, atol=1e-5)


def test_by_hand() -> None:
    """Of q = 0.9, 0.08, 0.02 and ε = 0.3: (0.9 - 0.1) / 0.7, and twice less than the least."""
    found = np.exp(unsmoothed(np.log([[0.9, 0.08, 0.02]]), 0.3))
    np.testing.assert_allclose(found, [[0.8 / 0.7, LEAST, LEAST]])
    z = np.array([[3.0, -1.0, 0.5]])
    np.testing.assert_array_equal(unsmoothed(z, 0), z)
    with pytest.raises(ValueError, match="from 0 to below 1"):
        unsmoothed(z, 1.0)


def test_what_is_served_is_the_same() -> None:
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)) * 3
    served = Served(torch.nn.Identity(), temperature=1.3, flip=False, smoothing=0.1)
    z = unsmoothed(logits.numpy(), 0.1) / 1.3
    wanted = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    probabilities, raw = served(logits)
    np.testing.assert_allclose(probabilities, wanted, atol=1e-6)
    assert torch.equal(raw, logits)
    assert (wanted.argmax(axis=1) == logits.numpy().argmax(axis=1)).all()
