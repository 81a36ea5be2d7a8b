"""What accuracy costs: every recipe's accuracy against training minutes, size and speed.

    python bench/accuracy_cost.py --out docs/results/accuracy-cost docs/results/accuracy/runs.json
    python bench/accuracy_cost.py --save docs/results/accuracy/runs.json \
        docs/results/accuracy/runs.json runs/mine

Of each run its run.json and evaluation.json are enough; runs.json keeps what is used of both, so
that the table and the figure can be made again without the runs. Accuracies are the mean over the
seeds of one recipe and its standard deviation; runs with other settings than the first of their
name count as a recipe of their own. Costs are measured here and now, with fresh weights, for
all recipes in turn, so that a noisy machine slows all: images a second of the training step on
drawn pictures, which with the recipe's epochs gives minutes on this machine undisturbed (the time
that teachers take to look at the pictures comes on top), and milliseconds for one face (fp32, one
thread, batch of one, without the mirror image). Prints a Markdown table; --out writes the figure.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.ticker import LogLocator
from matplotlib.transforms import Bbox

from mien.app.figures import style
from mien.data.loader import Pictures
from mien.data.synthetic import generate
from mien.jobs.launch import launch
from mien.models.registry import build
from mien.runs import Run
from mien.theory.walk import walk
from mien.train.loop import Loop
from mien.train.recipes import recipe as from_name
from mien.train.recipes import recipe_from_json
from mien.train.task import Task


def records(path):
    """What is used of a run folder, or of each run that a saved file keeps."""
    if path.suffix == ".json":
        return [{"epochs_before": 0, **one} for one in json.loads(path.read_text())]
    run, scores = (
        json.loads((path / name).read_text()) for name in ("run.json", "evaluation.json")
    )
    parts = {
        part: {"n": scores[part]["n"], "accuracy": scores[part]["accuracy"]["value"]}
        for part in ("without_copies", "whole")
    }
    teachers = [Path(teacher).name for teacher in run["options"].get("teachers", [])]
    images = run["data"]["training_images"]
    return [{"run": path.name, "recipe": run["recipe"], "training_images": images,
             "epochs_before": epochs_before(run), "teachers": teachers,
             "evaluation": parts}]  # fmt: skip


def epochs_before(run):
    """Of the runs that a run began with (--from), which cost time as well."""
    if not run["options"].get("start_from"):
        return 0
    start = Path(run["options"]["start_from"])
    record = (start if start.is_dir() else start.parent) / "run.json"
    earlier = json.loads(record.read_text())
    return earlier["recipe"]["epochs"] + epochs_before(earlier)


NO_COPIES = 28_358  # FER2013's Training without what PublicTest holds too


class Entry:
    """The runs of one recipe."""

    def __init__(self, record):
        self.recipe = recipe_from_json(record["recipe"])
        self.images, self.teachers = record["training_images"], record["teachers"]
        self.before = record["epochs_before"]
        usual = from_name(self.recipe.name).model
        wider = sum(self.recipe.model.widths) > sum(usual.widths)
        self.name = self.recipe.name + ("-wider" if wider else "")
        self.short = self.name + (", again" if self.before else "")  # taught ones have a colour
        self.name += ", taught" if self.teachers else ""
        self.name += " again" if self.before else ""
        if self.images > NO_COPIES:
            self.name += ", with copies"
        self.runs, self.paces, self.faces = [record], [], []

    def like(self, record):
        """Whether a run differs from these by its seed alone."""
        own = replace(recipe_from_json(record["recipe"]), seed=self.recipe.seed)
        same = (own, record["teachers"], record["training_images"], record["epochs_before"])
        return same == (self.recipe, self.teachers, self.images, self.before)

    def accuracies(self, part):
        """In %, of each run over 'whole' or 'without_copies'."""
        return [100 * record["evaluation"][part]["accuracy"] for record in self.runs]

    @property
    def minutes(self):
        """Of training on this machine undisturbed, without teachers."""
        epochs = self.before + self.recipe.epochs
        return epochs * self.images / statistics.median(self.paces) / 60

    @property
    def milliseconds(self):
        """For one face."""
        return 1000 * statistics.median(self.faces)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write OUT.svg and OUT.png")
    parser.add_argument("--save", type=Path, help="write what is used of the runs, and end")
    given = parser.parse_args()
    kept = {}
    for record in (record for path in given.runs for record in records(path)):
        if record["run"] in kept:
            parser.error(f"two runs are called {record['run']}; rename a folder")
        kept[record["run"]] = record
    if given.save:
        given.save.write_text(json.dumps(list(kept.values()), indent=1) + "\n")
        return
    entries = []
    for record in kept.values():
        known = next((entry for entry in entries if entry.like(record)), None)
        if known:
            known.runs.append(record)
        else:
            entries.append(Entry(record))
    measure(entries, given)
    entries.sort(key=lambda entry: entry.minutes)
    table(entries)
    if given.out:
        # What has seen copies of the images that it is scored on is no point beside the others.
        draw([one for one in entries if one.images <= NO_COPIES], given.out, given.threads)


def measure(entries, given):
    fabric, hardware = launch("cpu", "auto", given.threads)
    print(f"{hardware.precision}, {hardware.threads} threads ({hardware.reason})\n")
    faces = generate(1024, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        loops = [step_by_step(entry, faces, fabric, Path(folder)) for entry in entries]
        for one in range(given.rounds + 1):
            for entry, loop in zip(entries, loops, strict=True):
                start = time.perf_counter()
                done = sum(next(loop) for _ in range(given.batches if one else 1))
                if one:  # the first round only warms up
                    entry.paces.append(done / (time.perf_counter() - start))
    torch.set_num_threads(1)
    networks = [network_of(entry) for entry in entries]
    face = torch.from_numpy(faces.images[:1].copy())
    with torch.no_grad():
        for one in range(60):
            for entry, network in zip(entries, networks, strict=True):
                start = time.perf_counter()
                network(face)
                if one >= 10:
                    entry.faces.append(time.perf_counter() - start)


def step_by_step(entry, faces, fabric, folder):
    """A generator that trains one batch each time it is asked, and gives its size."""
    pictures = Pictures.of(
        faces.images, faces.labels, torch.arange(len(faces)).numpy(), torch.device("cpu")
    )
    task = Task(
        network=build(entry.recipe.architecture, entry.recipe.model),
        training=pictures,
        validation=pictures.subset(torch.arange(64)),
        recipe=entry.recipe,
        run=Run.create(folder / f"{id(entry)}"),
    )
    loop, epoch = Loop(fabric, task), 0
    loop.model.train()
    while True:
        for batch in loop.sampler.batches(epoch):
            loop._step(batch)
            yield len(batch)
        epoch += 1


def network_of(entry):
    """Fresh weights cost what trained ones do, so a run's record is enough."""
    return build(entry.recipe.architecture, entry.recipe.model).eval()


def table(entries):
    print(
        "| recipe | seeds | accuracy %, no copy | whole split | parameters | MACs a face | "
        "ms a face | training images/s | epochs | minutes |"
    )
    print("|---" * 10 + "|")
    face = torch.zeros((1, 1, 48, 48), dtype=torch.uint8)
    for entry in entries:
        walked = walk(network_of(entry), face)
        cells = [
            entry.name,
            str(len(entry.runs)),
            spread(entry.accuracies("without_copies")),
            spread(entry.accuracies("whole")),
            f"{walked.parameters:,}",
            f"{walked.macs / 1e6:.1f} M",
            f"{entry.milliseconds:.2f}",
            f"{statistics.median(entry.paces):,.0f}",
            f"{entry.before} + {entry.recipe.epochs}" if entry.before else str(entry.recipe.epochs),
            f"{entry.minutes:.0f}",
        ]
        print("| " + " | ".join(cells) + " |")


def spread(values):
    text = f"{statistics.mean(values):.2f}"
    return text + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


def draw(entries, stem, threads):
    with style.style():
        figure = style.new_figure(7.6, 3.9)
        style.headline(
            figure,
            "What accuracy costs",
            "FER2013's PublicTest without copies; whiskers are 95 % intervals; orange: taught",
        )
        panels = (
            ("minutes", f"minutes of training, {threads} threads", 0.65, 3.95),
            ("milliseconds", "milliseconds for a face, 1 thread", 4.15, 0.45),
        )
        for name, label, left, right in panels:
            axes = style.place(figure, left, 0.62, right, 0.95)
            for entry in entries:
                point(axes, entry, getattr(entry, name))
            axes.set_xscale("log")
            axes.margins(0.22, 0.12)
            axes.grid(axis="y")
            axes.set_xlabel(label)
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(lambda value, _: "")
            if name == "minutes":
                axes.set_ylabel("accuracy, %")
            name_points(axes, entries, name)
        style.save(figure, stem)


def point(axes, entry, cost):
    values = entry.accuracies("without_copies")
    mean = statistics.mean(values)
    n = entry.runs[0]["evaluation"]["without_copies"]["n"]
    half = 196 * math.sqrt(mean / 100 * (1 - mean / 100) / n)
    color = style.VERMILLION if entry.teachers else style.BLUE
    axes.plot([cost, cost], [mean - half, mean + half], color=color, alpha=0.35)
    axes.plot([cost], [mean], "o", color=color, markersize=6, markeredgecolor=style.PAPER)


def name_points(axes, entries, cost):
    """Each point's name beside it, where no other name is."""
    sides = [(x, y, "left" if x > 0 else "right") for y in (4, -11, 15, -22, 26) for x in (6, -6)]
    axes.figure.canvas.draw()  # the limits of the axes are not final before
    renderer = axes.figure.canvas.get_renderer()
    places = [
        (getattr(entry, cost), statistics.mean(entry.accuracies("without_copies")))
        for entry in entries
    ]
    points = axes.transData.transform(places)
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in points]
    for entry, at in zip(entries, places, strict=True):
        text = axes.annotate(entry.short, at, (0, 0), textcoords="offset points", size=style.SMALL)
        for x, y, aligned in sides:
            text.set(position=(x, y), ha=aligned)
            room = text.get_window_extent(renderer)
            inside = axes.bbox.x0 <= room.x0 and room.x1 <= axes.bbox.x1
            if inside and not any(room.overlaps(other) for other in taken):
                break
        taken.append(room)


if __name__ == "__main__":
    main()
