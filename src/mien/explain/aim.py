"""What an attribution explains: one number for each image, made of its logits."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Aim:
    """The logit of ``targets``, less that of ``rivals`` where there are any ("why fear, not sad?").

    targets, rivals: int64 N, indices of classes.
    """

    targets: Tensor
    rivals: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def score(self, logits_NK: Tensor) -> Tensor:
        """N scores of N×K logits."""
        own = logits_NK.gather(1, self.targets[:, None])[:, 0]
        if self.rivals is None:
            return own
        return own - logits_NK.gather(1, self.rivals[:, None])[:, 0]

    def repeated(self, times: int) -> "Aim":
        """Each image ``times`` times in a row: for N·times copies made by ``repeat_interleave``."""
        rivals = None if self.rivals is None else self.rivals.repeat_interleave(times)
        return Aim(self.targets.repeat_interleave(times), rivals)

    def part(self, begin: int, end: int) -> "Aim":
        """The images from ``begin`` to before ``end``."""
        rivals = None if self.rivals is None else self.rivals[begin:end]
        return Aim(self.targets[begin:end], rivals)

    def to(self, device: torch.device | str) -> "Aim":
        """The same on another device."""
        rivals = None if self.rivals is None else self.rivals.to(device)
        return Aim(self.targets.to(device), rivals)
