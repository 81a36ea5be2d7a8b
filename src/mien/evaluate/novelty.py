"""Whether a picture is a face at all: a score from a network's own features, beside its logits.

Works with any ``nn.Module`` that takes uint8 N×C×H×W and gives N×K logits. The features are what
the network computes anyway, at one place for each size that its layers have (``find_taps``): maps
averaged over a grid of 3×3, vectors as they are. A linear function of them, fitted by logistic
regression between faces and pictures that are none, is the score: higher, less of a face. That the
pictures shown in fitting stand for those to come has to be measured, on kinds that were kept out.

Chosen by measurement (docs/results/novelty.md): Mahalanobis distances and energy on the same
features (``distances``) miss far more, because what is no face mostly excites a network of faces
less than faces do and so comes to lie near the middle of its features, not far from it.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import DataError, NetworkError
from mien.theory.untouched import untouched
from mien.types import Progress, silent

GRID = 3
ACCEPTED = 0.95
_LIMIT = 6.0  # deviations; one wild feature shall not decide alone
_EPOCHS, _BATCH, _RATE, _DECAY = 6, 256, 3e-3, 1e-2
_HELD_OUT = 0.15

Tap = tuple[str, int]  # a module's name, and which of its calls


def find_taps(network: nn.Module, images: Tensor) -> tuple[Tap, ...]:
    """The last leaf module at each size that the network's layers put out, in order of depth.

    Sizes are H×W of maps smaller than the input, and the width of vectors; the logits are left
    out. The network is run once on ``images`` in evaluation mode and stays as it was.

    Raises:
        NetworkError: no layer gives such an output.
    """
    seen: dict[tuple[int, ...], Tap] = {}
    with _recording(network, None) as outputs, untouched(network), torch.no_grad():
        logits = network(images)
    for tap, out in outputs.items():
        if out.ndim == 4 and out.shape[2] < images.shape[2]:
            size = tuple(out.shape[2:])
        elif out.ndim == 2 and out.shape != logits.shape:
            size = (out.shape[1],)
        else:
            continue
        seen.pop(size, None)
        seen[size] = tap
    if not seen:
        raise NetworkError("no layer of this network gives features to judge a picture by")
    return tuple(seen.values())


class WithNovelty(nn.Module):
    """A network with the score beside its logits: ``uint8`` N×C×H×W to (N×K, N).

    A picture is refused where its score is above ``threshold``. Everything is buffers, so moving,
    saving and exporting the module carry it along; the network runs once.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    threshold: Tensor

    def __init__(self, network: nn.Module, taps: Sequence[Tap], head: dict[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        self.taps = tuple((str(name), int(call)) for name, call in taps)
        known = dict(network.named_modules())
        missing = [name for name, _ in self.taps if name not in known]
        if missing:
            raise NetworkError(f"the network has no layer '{missing[0]}' to take features from")
        for name in HEAD:
            self.register_buffer(name, head[name])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits float32 N×K and scores float32 N."""
        with _recording(self.network, self.taps) as outputs:
            logits = self.network(images)
        x = _pooled([outputs[tap] for tap in self.taps])
        x = ((x - self.mean) / self.scale).clamp(-_LIMIT, _LIMIT)
        return logits, x @ self.weight + self.bias

    def head(self) -> dict[str, Tensor]:
        """What was fitted, by name, as ``__init__`` takes it."""
        return {name: cast(Tensor, getattr(self, name)).detach() for name in HEAD}


HEAD = ("mean", "scale", "weight", "bias", "threshold")


def features(
    network: nn.Module,
    taps: Sequence[Tap],
    images: NDArray[np.uint8],
    *,
    batch_size: int = 256,
    progress: Progress = silent,
) -> Tensor:
    """The features of pictures uint8 N×C×H×W: float16 N×F on the processor."""
    device, parts = next(network.parameters()).device, []
    with _recording(network, taps) as outputs, untouched(network), torch.no_grad():
        for start in range(0, len(images), batch_size):
            network(torch.from_numpy(np.array(images[start : start + batch_size])).to(device))
            found = _pooled([outputs[tap] for tap in taps])
            parts.append(found.clamp(-6e4, 6e4).half().cpu())
            outputs.clear()
            progress("features", min(start + batch_size, len(images)), len(images))
    return torch.cat(parts)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A network with its score, and the share of held-out faces that the threshold accepts."""

    module: WithNovelty
    accepted: float
    faces: int
    others: int


def fit_novelty(
    network: nn.Module,
    faces: NDArray[np.uint8],
    others: Sequence[NDArray[np.uint8]],
    *,
    worn: NDArray[np.uint8] | None = None,
    accepted: float = ACCEPTED,
    seed: int = 0,
    progress: Progress = silent,
) -> Fitted:
    """Fit the score between faces and kinds of pictures that are none.

    Both sides weigh the same, and so does every kind. The threshold lets through ``accepted`` of
    the 15 % of the faces that are held out of the fit.

    Args:
        faces: uint8 N×C×H×W. others: one such array for each kind. worn: further faces, bad
            pictures of them, which take part in the fit and not in the threshold.

    Raises:
        DataError: fewer than 40 faces, or a kind without pictures.
    """
    if len(faces) < 40 or not others or min(map(len, others)) == 0:
        raise DataError(f"{len(faces)} faces and {len(others)} kinds of others are too few to fit")
    taps = find_taps(network, torch.from_numpy(np.array(faces[:2])).to(_device(network)))
    order = np.random.default_rng(seed).permutation(len(faces))
    first = round(_HELD_OUT * len(faces))
    held, used = order[:first], order[first:]
    x_faces = features(network, taps, faces[np.sort(used)], progress=progress)
    x_held = features(network, taps, faces[np.sort(held)], progress=progress)
    x_others = [features(network, taps, kind, progress=progress) for kind in others]
    if worn is not None and len(worn):
        x_faces = torch.cat([x_faces, features(network, taps, worn, progress=progress)])
    head = _logistic(x_faces, x_others, seed)
    module = WithNovelty(network, taps, head)
    scores = _scores(head, x_held)
    head["threshold"] = torch.quantile(scores, accepted)
    share = float((scores <= head["threshold"]).float().mean())
    module = WithNovelty(network, taps, {k: v.to(_device(network)) for k, v in head.items()})
    return Fitted(module=module, accepted=share, faces=len(used), others=sum(map(len, others)))


def _logistic(faces: Tensor, others: Sequence[Tensor], seed: int) -> dict[str, Tensor]:
    """Logistic regression on standardised features, by AdamW in float32."""
    mean = faces.float().mean(dim=0)
    scale = faces.float().std(dim=0) + 1e-3
    x = torch.cat([faces, *others])
    y = torch.cat([torch.zeros(len(faces)), torch.ones(len(x) - len(faces))])
    sizes = [len(kind) for kind in others]
    each = [torch.full((n,), 0.5 / len(sizes) / n) for n in sizes]
    share = torch.cat([torch.full((len(faces),), 0.5 / len(faces)), *each]) * len(x)
    generator = torch.Generator().manual_seed(seed)
    weight, bias = torch.zeros(x.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.AdamW([weight, bias], lr=_RATE, weight_decay=_DECAY)
    steps = _EPOCHS * -(-len(x) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps + 1)
    for _ in range(_EPOCHS):
        shuffled = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x), _BATCH):
            batch = shuffled[start : start + _BATCH]
            z = ((x[batch].float() - mean) / scale).clamp(-_LIMIT, _LIMIT) @ weight + bias
            loss = functional.binary_cross_entropy_with_logits(z, y[batch], weight=share[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return {"mean": mean, "scale": scale, "weight": weight.detach(), "bias": bias.detach()[0],
            "threshold": torch.tensor(0.0)}  # fmt: skip


def _scores(head: dict[str, Tensor], x: Tensor) -> Tensor:
    z = ((x.float() - head["mean"]) / head["scale"]).clamp(-_LIMIT, _LIMIT)
    return z @ head["weight"] + head["bias"]


def _pooled(outputs: Sequence[Tensor]) -> Tensor:
    parts = []
    for out in outputs:
        if out.ndim == 4:
            grid = GRID if min(out.shape[2:]) >= GRID else 1
            parts.append(_grid_means(out.float(), grid).flatten(1))
        else:
            parts.append(out.float())
    return torch.cat(parts, dim=1)


def _grid_means(x_NCHW: Tensor, cells: int) -> Tensor:
    """Adaptive mean pooling to cells×cells: float32 N×C×cells².

    As one product with fixed weights, since exporters write sides that ``cells`` does not divide
    as gathers and sums over all of the map: as much time as the convolutions take in eight bits.
    """
    down, across = (_shares(side, cells, x_NCHW.device) for side in x_NCHW.shape[2:])
    weights = down[:, None, :, None] * across[None, :, None, :]
    return x_NCHW.flatten(2) @ weights.reshape(cells * cells, -1).T


def _shares(side: int, cells: int, device: torch.device) -> Tensor:
    """Weight of each place in each cell's mean: float32 cells×side, rows sum to 1.

    Cells begin and end where adaptive pooling lets them, so neighbours may share a place.
    """
    cell, place = torch.arange(cells, device=device)[:, None], torch.arange(side, device=device)
    first, end = cell * side // cells, -(-(cell + 1) * side // cells)
    inside = ((place >= first) & (place < end)).float()
    return inside / (end - first)


@contextmanager
def _recording(network: nn.Module, taps: Sequence[Tap] | None) -> Any:
    """Outputs by tap while the block runs: of ``taps``, or of every leaf; hooks gone after."""
    outputs: dict[Tap, Tensor] = {}
    wanted = None if taps is None else {name for name, _ in taps}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, out: Any) -> None:
            if isinstance(out, Tensor):
                call = sum(known == name for known, _ in outputs)
                outputs[(name, call)] = out

        return hook

    handles = [
        module.register_forward_hook(keep(name))
        for name, module in network.named_modules()
        if (name in wanted if wanted is not None else not list(module.children()))
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
