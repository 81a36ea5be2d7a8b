"""A network's own numbers for the derivations: a layer's size, a feature's batch, some logits.

The closed forms compute the rest (``theory.examples.worked_numbers``); here only their inputs are
taken, in float64, from one pass forward and back over a few pictures.
"""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.models.checkpoint import Model
from mien.theory.formulas import conv_windows
from mien.types import Outputs

BATCH = 4
_RATE = 0.1


def worked(
    model: Model,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    outputs: Outputs,
) -> dict[str, Any]:
    """The inputs of each derivation that this network has a place for, JSON-able.

    images, labels: of at least 4 labelled pictures, of which the first 4 are the batch.
    outputs: saved predictions, of which one image gives the logits: the labelled one whose
    loss is the median.
    """
    found: dict[str, Any] = {"model_checksum": model.checksum}
    network = copy.deepcopy(model.network).double().requires_grad_(True)
    size = _shape(network, images.shape)
    if size:
        found["shape"] = size
    batch = _batchnorm(network, images[:BATCH], labels[:BATCH])
    if batch:
        found["batchnorm"] = batch
    logits, target, name = _median_image(outputs)
    given = {"z": logits.tolist(), "y": np.eye(len(logits))[target].tolist()}
    about = {"id": name, "label": outputs.classes[target], "classes": list(outputs.classes)}
    found["softmax"] = {**given, "about": about}
    found["course"] = {**given, "about": about}
    return found


def _shape(network: nn.Module, shape: tuple[int, ...]) -> dict[str, Any] | None:
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            window = conv_windows(layer)[1]
            if window.dilation != 1 or window.before != window.after:
                return None
            return {"width": shape[3], "kernel": window.kernel, "stride": window.stride,
                    "padding": window.before, "about": {"layer": name}}  # fmt: skip
    return None


def _batchnorm(
    network: nn.Module, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> dict[str, Any] | None:
    """The last one-dimensional batch normalisation: the feature whose gradient is largest."""
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.BatchNorm1d)]
    if not layers or len(images) < BATCH:
        return None
    name, layer = layers[-1]
    met: dict[str, Tensor] = {}

    def keep(_module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        out.retain_grad()
        met["x"], met["y"] = given[0].detach(), out

    handle = layer.register_forward_hook(keep)
    try:
        # Batch statistics in every layer, as in training, but nothing dropped.
        network.train()
        for module in network.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.eval()
        with torch.random.fork_rng(), torch.enable_grad():
            logits = network(torch.from_numpy(np.array(images)))
            loss = nn.functional.cross_entropy(logits.double(), torch.from_numpy(labels.copy()))
            loss.backward()  # type: ignore[no-untyped-call]
    finally:
        handle.remove()
    upstream = met["y"].grad
    if upstream is None or layer.weight is None:
        return None
    spread = met["x"].var(dim=0, unbiased=False)
    k = int((upstream.abs().amax(dim=0) * (spread > 0)).argmax())
    return {
        "x": met["x"][:, k].tolist(),
        "gamma": float(layer.weight.detach()[k]),
        "beta": float(layer.bias.detach()[k]),
        "eps": layer.eps,
        "dy": upstream[:, k].tolist(),
        "rate": _RATE,
        "about": {"layer": name, "feature": k, "batch": len(images)},
    }


def _median_image(outputs: Outputs) -> tuple[NDArray[np.float64], int, str]:
    rows = np.flatnonzero(outputs.labels >= 0)
    z = outputs.logits[rows].astype(np.float64)
    shifted = z - z.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(z)), outputs.labels[rows]]
    row = int(np.argsort(losses, kind="stable")[len(losses) // 2])
    return z[row], int(outputs.labels[rows[row]]), str(outputs.ids[rows[row]])
