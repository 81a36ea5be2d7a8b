"""What an attribution explains: one number for each image, made of its logits."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Aim:
    """The logit of ``targets``, less that of ``rivals`` where there are any ("why fear, not sad?").

    targets: int64 N, indices of classes; None where each image's own answer, the class of its
    largest logit, is found when it is scored. rivals: int64 N.
    """

    targets: Tensor | None
    rivals: Tensor | None = None

    def score(self, logits_NK: Tensor) -> Tensor:
        """N scores of N×K logits."""
        own = logits_NK.gather(1, self._targets(logits_NK)[:, None])[:, 0]
        if self.rivals is None:
            return own
        return own - logits_NK.gather(1, self.rivals[:, None])[:, 0]

    def resolved(self, logits_NK: Tensor) -> "Aim":
        """The same with its targets known, from the logits of the unchanged images."""
        return Aim(self._targets(logits_NK), self.rivals)

    def tiled(self, times: int) -> "Aim":
        """The whole batch ``times`` times over: for ``times``·N images, copy by copy."""
        rivals = None if self.rivals is None else self.rivals.repeat(times)
        return Aim(None if self.targets is None else self.targets.repeat(times), rivals)

    def repeated(self, times: int) -> "Aim":
        """Each image ``times`` times in a row: for N·times copies made by ``repeat_interleave``."""
        rivals = None if self.rivals is None else self.rivals.repeat_interleave(times)
        targets = None if self.targets is None else self.targets.repeat_interleave(times)
        return Aim(targets, rivals)

    def part(self, begin: int, end: int) -> "Aim":
        """The images from ``begin`` to before ``end``."""
        rivals = None if self.rivals is None else self.rivals[begin:end]
        return Aim(None if self.targets is None else self.targets[begin:end], rivals)

    def to(self, device: torch.device | str) -> "Aim":
        """The same on another device."""
        rivals = None if self.rivals is None else self.rivals.to(device)
        return Aim(None if self.targets is None else self.targets.to(device), rivals)

    def _targets(self, logits_NK: Tensor) -> Tensor:
        return logits_NK.detach().argmax(dim=1) if self.targets is None else self.targets
