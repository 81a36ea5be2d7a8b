"""Attribution maps a second: mien's ``attribute`` against Captum called one image at a time.

Same network, same images, same settings (mien's defaults), both in one process, taking turns, so
that a noisy machine slows both; the ratio of medians is what counts. Captum has no LayerCAM: its
Grad-CAM, which takes the same passes, stands in. Captum itself runs a picture's 16 noisy copies or
steps in one pass, and one covered square at a time.

``bare`` is what the network's own passes allow: the rate of plain forward (and backward) passes
over batches of 128, in torch's default layout, measured in the same rounds and divided by the
passes that a map takes. A method near or above 100 % of it is bound by the convolutions.

    python bench/explain_throughput.py [--model RUN] [--data fer2013.zip] [--rounds 5]
    python bench/explain_throughput.py --model RUN --data fer2013.zip --full    # all of the split
"""

import argparse
import statistics
import time
import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
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

from mien.data.synthetic import generate
from mien.explain.attribution import METHODS, attribute
from mien.explain.methods.occlusion import squares
from mien.explain.methods.smoothgrad import gaussian_noise
from mien.explain.options import Options
from mien.jobs.prepare import DataOptions, read_source
from mien.models.checkpoint import load_model
from mien.models.cnn4 import CNN4, CNN4Config
from mien.system import cores

OPTIONS = Options()
BATCH = 128


@dataclass(frozen=True)
class Rival:
    """one: the map of a single picture through Captum. passes: a map takes, backward or not."""

    one: object
    passes: int
    backward: bool = True


def rivals(network, side):
    """Captum's counterparts, at the same settings."""
    layer = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)][-1]
    saliency, times, path = Saliency(network), InputXGradient(network), IntegratedGradients(network)
    cam, tunnel, cover = LayerGradCam(network, layer), NoiseTunnel(saliency), Occlusion(network)
    patch, stride = OPTIONS.patch, OPTIONS.stride

    def grey(x):
        return x.mean((2, 3), keepdim=True).expand_as(x).contiguous()

    def noisy(x, k):
        deviation = float(OPTIONS.noise * (x.amax() - x.amin()))
        return tunnel.attribute(x, nt_samples=OPTIONS.samples, stdevs=deviation, target=k,
                                abs=False)  # fmt: skip

    def grad_cam(x, k):
        return LayerAttribution.interpolate(cam.attribute(x, k), (side, side), "bilinear")

    return {
        "gradient": Rival(lambda x, k: saliency.attribute(x, k, abs=False), 1),
        "gradient_x_input": Rival(times.attribute, 1),
        "smoothgrad": Rival(noisy, OPTIONS.samples),
        "integrated_gradients": Rival(
            lambda x, k: path.attribute(
                x, grey(x), k, n_steps=OPTIONS.steps, method="gausslegendre"
            ),
            OPTIONS.steps,
        ),
        "gradcam": Rival(grad_cam, 1),
        "layercam": Rival(grad_cam, 1),
        "occlusion": Rival(
            lambda x, k: cover.attribute(
                x, (1, patch, patch), (1, stride, stride), grey(x), target=k
            ),
            len(squares(side, side, patch, stride)),
            backward=False,
        ),
    }


def seconds(work):
    """How long ``work()`` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def bare(network, x, *, backward):
    """One plain pass over a batch."""
    if not backward:
        with torch.no_grad():
            network(x)
        return
    x = x.clone().requires_grad_(True)
    torch.autograd.grad(network(x).amax(1).sum(), x)


def parity(network, images, method, rival):
    """Largest difference from Captum, as a share of Captum's largest value, in float32."""
    if method == "layercam":
        return float("nan")  # Captum has none; tests hold it against paper
    x = torch.from_numpy(images[:1]).float()
    ours = attribute(network, images[:1], method=method)
    usual = torch.normal
    noise = gaussian_noise(x, OPTIONS)[:, 0]
    torch.normal = lambda *_: noise  # the same noise for both
    try:
        theirs = rival.one(x.clone(), int(ours.targets[0])).detach().numpy()[0, 0]
    finally:
        torch.normal = usual
    return float(np.abs(ours.maps[0] - theirs).max() / np.abs(theirs).max())


def compare(network, images, rounds, methods):
    """A row for each method."""
    x, found = torch.from_numpy(images[:BATCH]).float(), rivals(network, images.shape[-1])
    print(f"{'method':22}{'Captum':>9}{'mien':>9}{'ratio':>7}{'bare':>8}{'of it':>7}"
          f"{'difference':>12}")  # fmt: skip
    for method in methods:
        rival = found[method]
        many = METHODS[method].passes == "many"
        few, batch = (1, BATCH) if many else (16, 2 * BATCH)
        pictures = images[np.arange(batch) % len(images)]
        targets = attribute(network, images[:few], method="gradient").targets.tolist()

        def theirs(rival=rival, few=few, targets=targets):
            for n in range(few):
                rival.one(torch.from_numpy(images[n : n + 1]).float(), targets[n])

        mine = partial(attribute, network, pictures, method=method)
        plain = partial(bare, network, x, backward=rival.backward)
        theirs(), plain()
        rows = []
        for _ in range(rounds):
            network.requires_grad_(True)  # as Captum meets a model as it was loaded
            slow = few / seconds(theirs)
            fast = batch / seconds(mine)
            network.requires_grad_(False)
            rows.append((slow, fast, BATCH / seconds(plain) / rival.passes))
        slow, fast, most = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{method:22}{slow:>9.1f}{fast:>9.1f}{fast / slow:>7.1f}{most:>8.1f}"
              f"{fast / most:>7.0%}{parity(network, images, method, rival):>12.1e}",
              flush=True)  # fmt: skip


def full(network, images, methods):
    """All pictures, method by method; CPU seconds are of all threads, whoever else computes."""
    print(f"\n{'method':22}{'seconds':>9}{'maps/s':>9}{'CPU s':>9}   all {len(images):,} images")
    for method in methods:
        before = time.process_time()
        taken = seconds(partial(attribute, network, images, method=method))
        used = time.process_time() - before
        print(f"{method:22}{taken:>9.1f}{len(images) / taken:>9.1f}{used:>9.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a run; without it cnn4 with random weights")
    parser.add_argument("--data", help="a data set's validation split; without it drawn faces")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="time the whole split")
    parser.add_argument("--methods", default=",".join(METHODS), help="which, with commas between")
    args = parser.parse_args()
    # Captum tells of hooks and of gradients that it switches on.
    warnings.filterwarnings("ignore", module="captum")
    torch.manual_seed(0)
    torch.set_num_threads(cores())
    network = load_model(args.model).network if args.model else CNN4(CNN4Config()).eval()
    if args.data:
        found = read_source(args.data, DataOptions())
        images = np.array(found.images[found.where("validation")])
    else:
        images = generate(2 * BATCH, seed=0).images
    print(f"maps a second, medians of {args.rounds} rounds, {cores()} cores; patch "
          f"{OPTIONS.patch}, stride {OPTIONS.stride}, {OPTIONS.samples} samples, "
          f"{OPTIONS.steps} steps")  # fmt: skip
    if args.rounds:
        compare(network, images, args.rounds, args.methods.split(","))
    if args.full:
        full(network, images, args.methods.split(","))


if __name__ == "__main__":
    main()
