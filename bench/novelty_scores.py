"""Scores of novelty side by side: novelty_scores.py RUN FER2013.zip; RUN was taught already.

Share of each kind refused where 95 % of the validation faces are accepted: mien's score, and those
that need faces alone, on the penultimate features (Mahalanobis, relative Mahalanobis, both after
scaling each feature vector to length 1) and on the logits (energy).
"""

import sys

import numpy as np

from mien.data import nonfaces
from mien.evaluate.distances import energy, fit_mahalanobis
from mien.evaluate.novelty import features
from mien.jobs.novelty import score_pictures, with_novelty
from mien.jobs.prepare import DataOptions, read_source, select
from mien.models.checkpoint import load_model

KINDS = ("white noise", "pink noise", "checks", "blobs", "bricks", "text")
_FACES, _COUNT = 6000, 300


def main() -> None:
    model = load_model(sys.argv[1])
    module = with_novelty(model)
    assert module is not None
    images = read_source(sys.argv[2], DataOptions(size=model.config.size))
    chosen = select(images, keep_copies=False)
    training = np.sort(np.random.default_rng(0).permutation(chosen.training)[:_FACES])
    faces = np.array(images.images[chosen.validation])
    sets = {kind: nonfaces.generate(kind, _COUNT, seed=2) for kind in KINDS}
    sets |= {"scrambled": nonfaces.scrambled(faces[:_COUNT], seed=2),
             "upside-down": nonfaces.upside_down(faces[:_COUNT])}  # fmt: skip
    vectors = [tap for tap in module.taps if "head" in tap[0]][-1:] or module.taps[-1:]
    known = features(model.network, vectors, np.array(images.images[training])).float().numpy()
    labels = images.labels[training]
    plain, scaled = fit_mahalanobis(known, labels), fit_mahalanobis(_unit(known), labels)

    def scores(pictures: np.ndarray) -> dict[str, np.ndarray]:
        x = features(model.network, vectors, pictures).float().numpy()
        last = dict(model.network.named_modules())[_last(model.network)]
        logits = x @ last.weight.detach().numpy().T + last.bias.detach().numpy()
        return {
            "mien's": score_pictures(module, pictures),
            "Mahalanobis": plain.score(x),
            "relative": plain.score(x, relative=True),
            "Mahalanobis, length 1": scaled.score(_unit(x)),
            "relative, length 1": scaled.score(_unit(x), relative=True),
            "energy": energy(logits),
        }

    limits = {name: np.quantile(s, 0.95) for name, s in scores(faces).items()}
    print("| score | " + " | ".join(sets) + " |\n|---|" + "---|" * len(sets))
    found = {kind: scores(made) for kind, made in sets.items()}
    for name, limit in limits.items():
        shares = (f"{100 * (found[kind][name] > limit).mean():.0f}" for kind in sets)
        print(f"| {name} | " + " | ".join(shares) + " |")


def _unit(x: np.ndarray) -> np.ndarray:
    return x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-9)


def _last(network: object) -> str:
    import torch

    assert isinstance(network, torch.nn.Module)
    return [n for n, m in network.named_modules() if isinstance(m, torch.nn.Linear)][-1]


if __name__ == "__main__":
    main()
