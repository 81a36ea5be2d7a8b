"""Muon: convolution filters updated by orthogonalised momentum.

After Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks": of each filter
bank, read as a matrix of one row an output channel, the momentum's singular values are all brought
near 1 before it is added, so that a step turns every direction alike. Everything else is SGD's.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# The quintic's coefficients in that work: steepest at 0, so that small singular values come to
# between 0.7 and 1.2 in five rounds; they do not converge to 1, which costs nothing there.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ROUNDS = 5


class MuonSGD(torch.optim.SGD):
    """SGD in which groups with ``muon`` true take Muon's steps.

    Each group says whether it is one, and those hold ``muon_momentum`` (Nesterov's); their
    ``momentum`` is 0, since what SGD is handed has it already. A step of rate η changes the filters
    W (R output channels, C values each) by
    −η·(√max(1, R/C)·orthogonal(momentum) + weight_decay·W).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step; the gradients of Muon's groups become what was added."""
        for group in self.param_groups:
            if group["muon"]:
                for weight in group["params"]:
                    if weight.grad is not None:
                        weight.grad = self._direction(weight, group["muon_momentum"])
        return super().step(closure)

    def _direction(self, weight: Tensor, momentum: float) -> Tensor:
        gradient, state = weight.grad, self.state[weight]
        assert gradient is not None
        if "muon_buffer" not in state:
            state["muon_buffer"] = torch.zeros_like(weight)
        state["muon_buffer"].mul_(momentum).add_(gradient)
        ahead = gradient.add(state["muon_buffer"], alpha=momentum)
        matrix_RC = orthogonal(ahead.flatten(1))
        rows, columns = matrix_RC.shape
        scaled = matrix_RC * max(1.0, rows / columns) ** 0.5
        return torch.empty_like(weight).copy_(scaled.reshape(weight.shape))


def orthogonal(matrix_RC: Tensor) -> Tensor:
    """``matrix_RC``, R×C, with its singular vectors kept and its singular values near 1.

    By products of matrices alone (a Newton–Schulz iteration), so autocast makes it fast. A matrix
    of zeros stays one.
    """
    tall = matrix_RC.shape[0] > matrix_RC.shape[1]
    x = matrix_RC.T if tall else matrix_RC
    # The Frobenius norm is no less than the largest singular value.
    x = x / x.norm().clamp_min(1e-12)
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    evened: Tensor = x.T if tall else x
    return evened
