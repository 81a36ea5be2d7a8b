"""The stages of the verb ``filters``, each saved when it is done."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.explain.filters import classes, evidence, layer, needed, patterns, responses, shapes
from mien.jobs.filter_findings import Measured
from mien.jobs.filter_source import FilterOptions
from mien.jobs.foreign import Opened
from mien.jobs.partial import Partial
from mien.types import ImageSet, Interval, Progress

WEIGHED = 512  # images on which all filters are weighed
ABLATED = 1024  # images among which the drawn ones are silenced where they fire
UNCOVERED = 3  # real images of each filter that are uncovered bit by bit
CHUNK = 16  # filters whose patterns are drawn at once, and saved


class Work:
    """One call's stages, in their order."""

    def __init__(
        self, opened: Opened, chosen: layer.FilterLayer, images: NDArray[np.uint8],
        how: FilterOptions, device: str, partial: Partial, progress: Progress,
    ) -> None:  # fmt: skip
        self.opened, self.layer, self.images, self.how = opened, chosen, images, how
        self.partial, self.progress = partial, progress
        self.common: Any = {"as_input": opened.as_input, "device": device, "progress": progress}
        self.network = opened.network

    def run(self, asked: NDArray[np.int64] | int) -> Measured:
        """Everything that is measured."""
        keep = max(self.how.patches, min(evidence.KEPT, len(self.images) // 20))
        seen = evidence.collect(self.network, self.layer, self.images, keep=keep,
                                seed=self.how.seed, **self.common)  # fmt: skip
        self.evidence = seen
        rng = np.random.default_rng(self.how.seed)
        self.sample = np.sort(rng.permutation(len(seen.sample))[:ABLATED])  # rows of seen.peaks
        weighed = classes.screen(
            self.network, self.layer, self.images[seen.sample[self.sample[:WEIGHED]]],
            seen.mean_map, seed=self.how.seed, **self.common,
        )  # fmt: skip
        dead = np.where(seen.constant, "constant", np.where(weighed.heard, "", "unheard"))
        silent = (dead == "unheard") & (seen.active_images == 0)
        dead = np.where(silent, "never active", dead)
        numbers = asked if isinstance(asked, np.ndarray) else _strongest(
            weighed.influence, dead, asked)  # fmt: skip
        effects, intervals = self._effects(numbers)
        order = np.argsort(-effects, kind="stable")
        numbers, intervals = numbers[order], [intervals[k] for k in order]
        made = self._patterns(numbers)
        explained = self._explained(made, numbers)
        return Measured(
            layer=self.layer.name, numbers=numbers, influence=effects[order], dead=dead,
            effects=intervals, reached=made["reached"], pictures=made["pictures"],
            evidence=seen, **explained, **self._lines(numbers), **self._needed(numbers),
        )  # fmt: skip

    def _effects(self, numbers: NDArray[np.int64]) -> tuple[NDArray[Any], list[list[Interval]]]:
        """Root mean square effect of each filter where it fires, and its mean on each class."""
        firing = classes.firing(self.evidence.peaks[self.sample][:, numbers])
        done = self.partial.get("effects")
        if done is None:
            done = self.partial.put("effects", effects=classes.effects(
                self.network, self.layer, self.images[self.evidence.sample[self.sample]],
                numbers, firing, self.evidence.mean_map, **self.common))  # fmt: skip
        values = done["effects"]
        rows = [values[firing[:, d], d] for d in range(len(numbers))]
        size = [float(np.sqrt(np.mean(np.sum(np.square(v, dtype=np.float64), axis=1))))
                for v in rows]  # fmt: skip
        return np.array(size), [classes.speaks(v, seed=self.how.seed) for v in rows]

    def _patterns(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        how = patterns.PatternOptions(
            seeds=self.how.seeds, steps=self.how.steps, seed=self.how.seed
        )
        chunks = [numbers[k : k + CHUNK] for k in range(0, len(numbers), CHUNK)]
        parts = []
        for k, chunk in enumerate(chunks):
            done = self.partial.get(f"patterns-{k}")
            if done is None:

                def told(stage: str, step: int, steps: int, k: int = k) -> None:
                    self.progress(stage, k * steps + step, len(chunks) * steps)

                found = patterns.synthesise(
                    self.network, self.layer, chunk, self.evidence, options=how,
                    **(self.common | {"progress": told}),
                )  # fmt: skip
                done = self.partial.put(
                    f"patterns-{k}", pictures=found.pictures, reached=found.reached
                )
            parts.append(done)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _explained(
        self, made: dict[str, NDArray[Any]], numbers: NDArray[np.int64]
    ) -> dict[str, Any]:
        """R² of each family for each filter's best pattern, its surrogate, and its mean patch."""
        done = self.partial.get("fits")
        if done is None:
            best = made["reached"].argmax(axis=1)
            own = made["pictures"][np.arange(len(best)), best].mean(axis=1)
            mean = self._mean_patches(numbers)
            sets = {
                "own": own,
                "own_null": shapes.surrogates(own, seed=self.how.seed),
                "mean": mean,
                "mean_null": shapes.surrogates(mean, seed=self.how.seed + 1),
            }
            # One call a family for all of them: the bank of starts is the larger part of the work.
            everything, D = np.concatenate(list(sets.values())), len(numbers)
            fits = []
            for step, family in enumerate(shapes.FAMILIES):
                self.progress("fitting lines", step, len(shapes.FAMILIES))
                fits.append(shapes.fit(everything, family))
            r2 = np.stack([f.r2 for f in fits], axis=1)
            done = {f"{name}_r2": r2[k * D : (k + 1) * D] for k, name in enumerate(sets)}
            done |= {"best": best, **_best_fit(fits, D)}
            self.progress("fitting lines", len(fits), len(fits))
            self.partial.put("fits", **done)
        return {"fits": done}

    def _mean_patches(self, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean of the strongest patches of each filter, over what lies inside the pictures."""
        seen, means = self.evidence, []
        for f in numbers.tolist():
            places = zip(seen.top_y[f].tolist(), seen.top_x[f].tolist(), strict=True)
            windows = [self.layer.window(y, x) for y, x in places]
            patches, inside = evidence.fields_of(self.images, seen.top_index[f], windows)
            grey = float(seen.mean_picture.mean())
            total = (patches.mean(axis=1) * inside).sum(axis=0)
            count = inside.sum(axis=0)
            means.append(np.where(count > 0, total / np.maximum(count, 1), grey))
        return np.stack(means)

    def _lines(self, numbers: NDArray[np.int64]) -> dict[str, Any]:
        done = self.partial.get("lines")
        if done is None:
            quiet = self.common | {}
            quiet.pop("progress")
            silence = responses.silence(self.network, self.layer, self.evidence, **quiet)
            y, x = self.layer.unit
            line = responses.best_line(self.network, self.layer, self.evidence, **self.common)
            done = self.partial.put("lines", line=line[numbers], grey=silence[numbers, y, x])
        return {"line": done["line"], "grey": done["grey"]}

    def _needed(self, numbers: NDArray[np.int64]) -> dict[str, Any]:
        done = self.partial.get("needed")
        if done is None:
            count = min(UNCOVERED, self.evidence.top_index.shape[1])
            index, ys, xs = (
                array[numbers, :count].ravel()
                for array in (self.evidence.top_index, self.evidence.top_y, self.evidence.top_x)
            )
            found = needed.needed(
                self.network, self.layer, self.images, index, np.repeat(numbers, count), ys, xs,
                grey=float(self.evidence.mean_picture.mean()), **self.common,
            )  # fmt: skip
            shape = (len(numbers), count)
            boxes = np.array([[w.top, w.left, w.height, w.width] for w in found.windows])
            done = self.partial.put(
                "needed", picture=found.of_picture.reshape(shape),
                field=found.of_field.reshape(shape), boxes=boxes.reshape(*shape, 4),
            )  # fmt: skip
        return {"needed": done}

    def real_patches(
        self, pictures: ImageSet, data: dict[str, Any], numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The patches, and their names and places into ``data``."""
        cut, seen = [], self.evidence
        for one, f in zip(data["filters"], numbers.tolist(), strict=True):
            count = min(self.how.patches, seen.top_index.shape[1])
            index = seen.top_index[f, :count]
            places = zip(seen.top_y[f].tolist(), seen.top_x[f].tolist(), strict=True)
            windows = [self.layer.window(y, x) for y, x in places][:count]
            cut.append(evidence.fields_of(pictures.images, index, windows))
            one["patches"] = [
                {"id": str(pictures.ids[i]), "y": w.top, "x": w.left, "height": w.height,
                 "width": w.width, "activation": float(value)}
                for i, w, value in zip(index, windows, seen.top_value[f], strict=False)
            ]  # fmt: skip
        return np.stack([c[0] for c in cut]), np.stack([c[1] for c in cut])


def _best_fit(fits: list[shapes.Fits], count: int) -> dict[str, NDArray[Any]]:
    """Of the three families the one that explains each of the first ``count`` patterns best."""
    r2 = np.nan_to_num(np.stack([f.r2[:count] for f in fits]), nan=-1.0)
    family, rows = r2.argmax(axis=0), np.arange(count)

    def pick(name: str) -> NDArray[Any]:
        return np.asarray(np.stack([getattr(f, name)[:count] for f in fits])[family, rows])

    return {"family": family, "angle": pick("angle"), "wavelength": pick("wavelength"),
            "across": pick("across"), "along": pick("along"), "x": pick("x"), "y": pick("y"),
            "shape": pick("shapes")}  # fmt: skip


def _strongest(influence: NDArray[np.float64], dead: NDArray[Any], count: int) -> NDArray[np.int64]:
    """The living filters of the largest influence; ascending. All dead: the first ones."""
    order = np.lexsort((-influence, dead != ""))[:count]
    living = order[dead[order] == ""]
    return np.sort(living if len(living) else order)
