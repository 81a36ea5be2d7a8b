"""Attribution maps of many images in batches, by any method, for any classifier.

N images, C channels, H W height and width, K classes. A map is float32 H×W with its sign: where
brightening a pixel (gradients) or its presence (the others) speaks for the class, it is positive.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import DataError, NetworkError, OptionError
from mien.explain.aim import Aim
from mien.explain.methods.cam import choose_layer, gradcam, layer_notes, layercam
from mien.explain.methods.gradient import gradient
from mien.explain.methods.gradient_x_input import gradient_x_input
from mien.explain.methods.integrated_gradients import integrated_gradients
from mien.explain.methods.occlusion import occlusion
from mien.explain.methods.smoothgrad import smoothgrad
from mien.explain.options import Options, background
from mien.explain.ready import Answers, answering, check_separate, fast_layout, on_device, run
from mien.theory.untouched import untouched
from mien.types import Progress, silent


@dataclass(frozen=True, kw_only=True)
class Method:
    """run: network in evaluation mode, float N×C×H×W inputs, aim, options to float N×H×W maps.

    title: for figures. paper: where it comes from. passes: ``single`` where one forward and
    backward pass is enough, else ``many``. heeds: the fields of ``Options`` that it uses.
    complete: its maps sum to the score less that of the baseline.
    """

    run: Callable[[nn.Module, Tensor, Aim, Options], Tensor]
    title: str
    paper: str
    passes: str = "single"
    heeds: tuple[str, ...] = ()
    complete: bool = False


METHODS: Mapping[str, Method] = {
    "gradient": Method(run=gradient, title="gradient", paper="Simonyan et al. 2013"),
    "gradient_x_input": Method(
        run=gradient_x_input, title="gradient × input", paper="Shrikumar et al. 2016"
    ),
    "smoothgrad": Method(
        run=smoothgrad, title="SmoothGrad", paper="Smilkov et al. 2017", passes="many",
        heeds=("samples", "noise", "seed"),
    ),
    "integrated_gradients": Method(
        run=integrated_gradients, title="integrated gradients", paper="Sundararajan et al. 2017",
        passes="many", heeds=("steps", "baseline"), complete=True,
    ),
    "gradcam": Method(
        run=gradcam, title="Grad-CAM", paper="Selvaraju et al. 2016", heeds=("layer", "relu")
    ),
    "layercam": Method(
        run=layercam, title="LayerCAM", paper="Jiang et al. 2021", heeds=("layer", "relu")
    ),
    "occlusion": Method(
        run=occlusion, title="occlusion", paper="Zeiler and Fergus 2013", passes="many",
        heeds=("patch", "stride", "baseline"),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Attributions:
    """maps: float32 N×H×W, signed. targets: int64 N, the classes explained.

    rivals: int64 N or None. logits: float32 N×K. method: its name. options: as used, the layer's
    name filled in. residual: float32 N, of methods that promise completeness: the map's sum less
    (score − baseline's score), in logits; else None. notes: sentences a person should see.
    """

    maps: NDArray[np.float32]
    targets: NDArray[np.int64]
    logits: NDArray[np.float32]
    method: str
    rivals: NDArray[np.int64] | None = None
    options: Options = field(default_factory=Options)
    residual: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()


def as_float(pixels_NCHW: Tensor) -> Tensor:
    """``uint8`` pixels as floats 0..255, which mien's own networks take as they take bytes."""
    return pixels_NCHW.float()


def attribute(
    network: nn.Module,
    images: NDArray[np.uint8],
    *,
    method: str,
    targets: NDArray[np.int64] | None = None,
    rivals: NDArray[np.int64] | None = None,
    options: Options | None = None,
    as_input: Callable[[Tensor], Tensor] = as_float,
    batch_size: int = 128,
    device: str = "cpu",
    progress: Progress = silent,
) -> Attributions:
    """Maps of ``images`` (uint8 N×C×H×W) for ``targets``, by default the predicted classes.

    A picture's map does not depend on the pictures beside it. The network stays as it is, wherever
    it is, after an error too.

    Args:
        rivals: int64 N: the map is of the target's logit less the rival's.
        as_input: makes the network's input of uint8 pixels.
        progress: told (the method's title, done, N) after each batch.

    Raises:
        OptionError: no such method, layer or class, or an option that cannot be used.
        DataError: no images. NetworkError: the network fails on them, gives no N×K finite scores,
            mixes the images of a batch, answers by chance, or has no gradient.
        TypeError: the images are not uint8 N×C×H×W.
    """
    chosen, options = _method(method), options or Options()
    _check_images(images, targets, rivals, batch_size)
    with untouched(network), on_device(network, device):
        to_input = _inputs(network, as_input, device)
        x = to_input(_lively(images[:64]))
        K = check_separate(network, x)
        _check_classes(targets, K)
        _check_classes(rivals, K)
        options, notes = _prepare(network, chosen, x, options, to_input)
        with fast_layout(network, x) as layout, answering(network) as answers:
            job = _Job(network=network, method=chosen, options=options, answers=answers)
            parts = []
            for begin in range(0, len(images), batch_size):
                piece = slice(begin, begin + batch_size)
                x = to_input(images[piece]).contiguous(memory_format=layout)
                aim = Aim(_classes(targets, piece, device), _classes(rivals, piece, device))
                parts.append(_explained(job, x, aim))
                progress(chosen.title, min(begin + batch_size, len(images)), len(images))
    maps = _joined([part.maps for part in parts])
    residual = None
    if chosen.complete:
        whole = _joined([part.whole for part in parts if part.whole is not None])
        residual = np.asarray(maps.sum(axis=(1, 2)) - whole, dtype=np.float32)
        notes += (completeness_note(residual, whole),)
    return Attributions(
        maps=maps, logits=_joined([part.logits for part in parts]),
        targets=_joined([part.targets for part in parts]),
        rivals=rivals, method=method, options=options, residual=residual, notes=notes,
    )  # fmt: skip


def _lively(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One picture to try the network on: the one of most contrast, since some are blank."""
    best = int(images.reshape(len(images), -1).std(axis=1).argmax())
    return images[best : best + 1]


def _joined(parts: list[Tensor]) -> NDArray[Any]:
    return np.asarray(torch.cat(parts).cpu().numpy())


@dataclass(frozen=True, kw_only=True)
class _Job:
    network: nn.Module
    method: Method
    options: Options
    answers: Answers


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """One batch. whole: what the maps of a complete method ought to sum to."""

    maps: Tensor
    logits: Tensor
    targets: Tensor
    whole: Tensor | None


def _explained(job: _Job, x: Tensor, aim: Aim) -> _Part:
    job.answers.logits = None
    if job.method.passes == "many":
        with torch.no_grad():
            aim = aim.resolved(run(job.network, x))
    logits = job.answers.logits
    with _failures_told(job.method):
        maps = job.method.run(job.network, x, aim, job.options).detach().float()
    if not torch.isfinite(maps).all():
        raise NetworkError(
            f"{job.method.title} gives values that are not finite on this network, whose scores "
            "are; --method occlusion needs no gradient"
        )
    # A method of a single pass has just shown the logits of these very images.
    logits = job.answers.logits if logits is None else logits
    if logits is None:
        with torch.no_grad():
            logits = run(job.network, x)
    aim, whole = aim.resolved(logits), None
    if job.method.complete:
        with torch.no_grad():
            start = run(job.network, background(x, job.options).contiguous())
        whole = aim.score(logits) - aim.score(start)
    assert aim.targets is not None
    return _Part(maps=maps, logits=logits, targets=aim.targets, whole=whole)


@contextlib.contextmanager
def _failures_told(method: Method) -> Iterator[None]:
    """A failure of torch's inside the network as one line."""
    try:
        yield
    except RuntimeError as error:
        said = (str(error).strip() or "no message").splitlines()[0]
        raise NetworkError(f"{method.title} fails on this network: {said}") from error


def _method(name: str) -> Method:
    if name not in METHODS:
        raise OptionError(f"--method {name}: one of {', '.join(METHODS)}")
    return METHODS[name]


def _prepare(
    network: nn.Module,
    method: Method,
    x: Tensor,
    options: Options,
    to_input: Callable[[NDArray[np.uint8]], Tensor],
) -> tuple[Options, tuple[str, ...]]:
    """The options as the methods take them, and what to know of them."""
    notes: tuple[str, ...] = ()
    if "baseline" in method.heeds:
        pixel = options.baseline
        if isinstance(pixel, int):
            grey = np.full((1, *x.shape[1:]), pixel, np.uint8)
            options = replace(options, baseline=to_input(grey))
        shown = f"pixel {pixel}" if isinstance(pixel, int) else "each picture's own mean grey"
        notes += (f"baseline: {shown}",)
    if "layer" not in method.heeds:
        options = replace(options, layer="")
    else:
        with _failures_told(method):
            options = choose_layer(network, x, options)
            notes += layer_notes(network, x, options)
    return options, notes


def _inputs(
    network: nn.Module, as_input: Callable[[Tensor], Tensor], device: str
) -> Callable[[NDArray[np.uint8]], Tensor]:
    """Makes the network's floating-point input of pixels, on the device, in its weights' type."""
    kinds = [weight.dtype for weight in network.parameters() if weight.is_floating_point()]
    kind = kinds[0] if kinds else torch.float32

    def to_input(pixels: NDArray[np.uint8]) -> Tensor:
        # Copied, since torch warns of arrays that may not be written to.
        return as_input(torch.from_numpy(np.array(pixels)).to(device)).to(kind)

    return to_input


def _check_images(images: NDArray[np.uint8], targets: Any, rivals: Any, batch_size: int) -> None:
    if images.ndim != 4 or images.dtype != np.uint8:
        raise TypeError(f"images are {images.dtype} {images.shape}, not uint8 N×C×H×W")
    if not len(images):
        raise DataError("there are no images to explain; choose a split that has some")
    if batch_size < 1:
        raise OptionError(f"batch size {batch_size}: at least 1")
    for name, classes in (("targets", targets), ("rivals", rivals)):
        if classes is not None and len(classes) != len(images):
            raise OptionError(f"{len(classes)} {name} for {len(images)} images")


def _check_classes(classes: NDArray[np.int64] | None, K: int) -> None:
    if classes is not None and not ((classes >= 0) & (classes < K)).all():
        wrong = int(classes[(classes < 0) | (classes >= K)][0])
        raise OptionError(f"class {wrong}: the network has the classes 0 to {K - 1}")


def _classes(classes: NDArray[np.int64] | None, piece: slice, device: str) -> Tensor | None:
    if classes is None:
        return None
    return torch.from_numpy(np.array(classes[piece], dtype=np.int64)).to(device)


def completeness_note(residual: NDArray[np.float32], whole: NDArray[np.float32]) -> str:
    """How far maps' sums lie (``residual``) from what they promise (``whole``), both N."""
    share = np.abs(residual) / np.maximum(np.abs(whole), 1e-6)
    middle, most = np.percentile(share, (50, 95))
    return (
        f"completeness: the maps' sums miss the score less the baseline's by {middle:.1%} in the "
        f"median, {most:.1%} at the 95th percentile; more --steps bring it down"
    )
