"""The verb ``train``: from labelled pictures to a run folder; and going on with one."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from mien.config import from_json
from mien.data.cache import watch
from mien.data.loader import Pictures
from mien.errors import DataError, OptionError, RunError, said
from mien.jobs.faults import kept
from mien.jobs.hashes import write_training_hashes
from mien.jobs.launch import launch, on_first, read_once
from mien.jobs.network import fit_to_data, make_network
from mien.jobs.prepare import DataOptions, Selection, absolute, select, with_validation
from mien.jobs.start import Start, found_again, held_out_by, seen_before, start_model
from mien.jobs.teachers import check_unchanged, hashes_of, load_teachers
from mien.models.checkpoint import Model, save_model
from mien.models.registry import build
from mien.runs import Run, provenance, write_json
from mien.system import cores
from mien.train import ranks
from mien.train.history import Row
from mien.train.loop import Loop
from mien.train.recipes import Recipe, cnn4, recipe_from_json, recipe_to_json
from mien.train.task import Status, Task
from mien.types import ImageSet, Progress, silent


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a run is asked to do, besides its recipe; kept in ``run.json``.

    source: where the pictures are. start_from: a model whose weights are the start, or empty.
    teachers: models whose mean probabilities are learnt besides the labels.
    keep_copies: keep training images that have an identical copy in the validation split.
    hold_out_seed: which tenth validates where the source has no validation split; -1 for that of
    the start, or else 0. It is not the recipe's seed, so that runs of several seeds can be compared
    on the same pictures.
    accelerator: ``auto``, ``cpu`` or ``cuda``. precision: ``auto``, ``fp32`` or ``bf16``.
    threads: 0 for this process's share of the cores.
    """

    source: str
    data: DataOptions = field(default_factory=DataOptions)
    start_from: str = ""
    teachers: tuple[str, ...] = ()
    keep_copies: bool = False
    hold_out_seed: int = -1
    accelerator: str = "auto"
    precision: str = "auto"
    threads: int = 0


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """Who hears of progress. reading: of pictures; told: sentences; training: of the loop.

    stop: asked after each step whether to save and end.
    """

    reading: Progress = silent
    told: Callable[[str], None] = lambda sentence: None
    training: Callable[[Status], None] = lambda status: None
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A finished run. main: whether this process is the first of its ranks."""

    run: Run
    model: Model
    images: ImageSet
    rows: tuple[Row, ...]
    main: bool


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What ``train`` and ``resume`` both come down to."""

    fabric: Fabric
    options: TrainOptions
    recipe: Recipe
    images: ImageSet
    selection: Selection
    start: Start | None
    teachers: tuple[Start, ...]
    save_seconds: float
    ears: Listeners


def train(
    options: TrainOptions,
    *,
    out: Path | str,
    recipe: Recipe | None = None,
    save_seconds: float = 60.0,
    listeners: Listeners | None = None,
) -> TrainResult:
    """Train a network on ``options.source`` and write the run to the folder ``out``.

    Raises:
        MienError: bad data, options, model or folder. Interrupted: ``listeners.stop`` said so.
    """
    recipe, ears = recipe or cnn4(), listeners or Listeners()
    fabric, hardware = launch(options.accelerator, options.precision, options.threads)
    on_first(fabric, Run(Path(out)).check_free)
    options = replace(
        options,
        source=absolute(options.source),
        start_from=found_again(options.start_from) if options.start_from else "",
        teachers=tuple(map(found_again, options.teachers)),
        precision=hardware.precision,
        threads=hardware.threads,
    )
    start = start_model(options.start_from)
    if start is not None:
        recipe, options = _from_start(recipe, options, start)
    images = read_once(fabric, options.source, options.data, ears.reading)
    recipe = fit_to_data(recipe, images)
    teachers = load_teachers(options.teachers, recipe, images.classes)
    seed = _hold_out_seed(options, images, (start, *teachers))
    options = replace(options, hold_out_seed=seed)
    images = with_validation(images, options.hold_out_seed)
    job = _Job(
        fabric=fabric,
        options=options,
        recipe=recipe,
        images=images,
        selection=select(images, keep_copies=options.keep_copies),
        start=start,
        teachers=teachers,
        save_seconds=save_seconds,
        ears=ears,
    )
    notes = [*job.selection.notes, *_seen_before(job)]
    for sentence in (*images.notes, *notes):
        ears.told(sentence)
    ears.told(f"{hardware.precision} on {hardware.accelerator}, {hardware.threads} threads "
              f"({hardware.reason})")  # fmt: skip
    on_first(fabric, lambda: Run.create(out))
    return _run(job, Run(Path(out)), notes)


def _from_start(recipe: Recipe, options: TrainOptions, start: Start) -> tuple[Recipe, TrainOptions]:
    """The network, and with it the pictures' size and colour, are those of the start."""
    config = start.model.config
    data = replace(options.data, size=config.size, colour=config.channels == 3)
    recipe = replace(recipe, architecture=start.model.architecture, model=config)
    return recipe, replace(options, data=data)


def _hold_out_seed(options: TrainOptions, images: ImageSet, before: Sequence[Start | None]) -> int:
    """On the pictures that trained the start or a teacher, what it held out is held out again."""
    if options.hold_out_seed >= 0:
        return options.hold_out_seed
    for start in before:
        if start is not None and (seed := held_out_by(start.model, images)) is not None:
            return seed
    return 0


def _seen_before(job: _Job) -> list[str]:
    named = [(job.start, "the start")] if job.start else []
    named += zip(job.teachers, job.options.teachers, strict=True)
    return [
        sentence
        for model, name in named
        for sentence in seen_before(model, job.images, job.selection, name)
    ]


def recorded(run: Run) -> tuple[TrainOptions, Recipe, dict[str, Any]]:
    """What a run was asked to do, its recipe, and its whole record.

    Raises:
        RunError: ``run.json`` is missing, damaged or of another version.
    """
    record = run.read_record()
    try:
        options = from_json(TrainOptions, record["options"])
        recipe = recipe_from_json(record["recipe"])
        str(record["data"]["fingerprint"])
    except (KeyError, TypeError, ValueError, AttributeError, OptionError) as error:
        raise RunError(
            f"{run.record}: not a run of this version of mien ({said(error)})"
        ) from error
    return options, recipe, record


def resume(
    path: Path | str, *, save_seconds: float = 60.0, listeners: Listeners | None = None
) -> TrainResult:
    """Go on with an interrupted run; of a finished one only the model is written again.

    Raises:
        RunError: no run there, or its data are no longer what they were.
    """
    run = Run.open(path)
    options, recipe, record = recorded(run)
    ears = listeners or Listeners()
    # On a smaller machine it goes on with what is there, though no longer to the same bits.
    threads = min(options.threads, cores())
    fabric, _ = launch(options.accelerator, options.precision, threads)
    try:
        images = read_once(fabric, options.source, options.data, ears.reading)
    except DataError as error:
        raise RunError(
            f"{error}; the run {path} began with these pictures and needs them to go on"
        ) from error
    if images.fingerprint != record["data"]["fingerprint"]:
        raise RunError(
            f"{options.source}: its pictures are not those that the run began with; "
            "put the old ones back, or train anew"
        )
    images = with_validation(images, options.hold_out_seed)
    teachers = load_teachers(options.teachers, recipe, images.classes)
    check_unchanged(teachers, record.get("teacher_checksums", []))
    if record.get("ranks") != fabric.world_size or threads != options.threads:
        ears.told("other ranks or threads than it began with: the result will differ in its bits")
    # What was saved holds the weights; the start is needed only where nothing was saved.
    begun = any(run.state.glob("step-*.safetensors"))
    job = _Job(
        fabric=fabric,
        options=options,
        recipe=recipe,
        images=images,
        selection=select(images, keep_copies=options.keep_copies),
        start=None if begun else start_model(options.start_from),
        teachers=teachers,
        save_seconds=save_seconds,
        ears=ears,
    )
    return _run(job, run)


def _run(job: _Job, run: Run, notes: list[str] | None = None) -> TrainResult:
    """Train, under the folder's lock. notes: what the record of a run that begins here tells."""
    images, device = job.images, job.fabric.device
    main = job.fabric.is_global_zero
    locked = contextlib.ExitStack()
    on_first(job.fabric, lambda: locked.enter_context(run.lock()))
    go_on = f"go on with: mien train --resume {run.path}, on any number of ranks"
    with (
        ranks.together(job.fabric, go_on),
        locked,
        _own_randomness(device),
        kept(run),
        watch(images) as sound,
    ):
        if notes is not None:
            on_first(job.fabric, lambda: _begin(run, job, notes))
        ranks.on_first(job.fabric, run.tidy)
        network = make_network(
            job.recipe, images, job.selection.training, job.start.model if job.start else None
        )
        task = Task(
            network=network,
            training=Pictures.of(images.images, images.labels, job.selection.training, device),
            validation=Pictures.of(images.images, images.labels, job.selection.validation, device),
            recipe=job.recipe,
            run=run,
            teachers=tuple(teacher.model.network for teacher in job.teachers),
            save_seconds=job.save_seconds,
            report=job.ears.training,
            stop=job.ears.stop,
            told=job.ears.told,
            sound=sound,
        )
        for sentence in ranks.small_parts(job.fabric, network, job.recipe.batch_size):
            job.ears.told(sentence)
        loop = Loop(job.fabric, task)
        trained = loop.run()
        model = Model(
            network=_plain(job, trained),
            architecture=job.recipe.architecture,
            config=job.recipe.model,
            classes=images.classes,
            about=_about(job, loop.at.pieces),
        )
        ranks.on_first(job.fabric, lambda: save_model(run.model, model))
    return TrainResult(run=run, model=model, images=images, rows=loop.at.rows, main=main)


def _plain(job: _Job, trained: nn.Module) -> nn.Module:
    """The network as its architecture builds it: no rank is there to normalise with any more."""
    if not ranks.is_synchronised(trained):
        return trained
    network = build(job.recipe.architecture, job.recipe.model).to(job.fabric.device)
    network.load_state_dict(trained.state_dict())
    return network.eval()


def _begin(run: Run, job: _Job, notes: list[str]) -> None:
    with kept(run):  # here too, so that every rank hears of it
        run.check_free()  # another process may have begun, and ended, before this one got the lock
        _write_record(run, job, notes)


def _write_record(run: Run, job: _Job, notes: list[str]) -> None:
    images, start = job.images, job.start
    write_training_hashes(run, images, hashes_of((start, *job.teachers)))
    record = {
        "format": 1,
        "options": asdict(job.options),
        "recipe": recipe_to_json(job.recipe),
        "data": {
            "layout": images.layout,
            "fingerprint": images.fingerprint,
            "classes": list(images.classes),
            "training_images": len(job.selection.training),
            "validation_images": len(job.selection.validation),
            "copies_left_out": job.selection.left_out,
            "validation_from": "the source" if images.has_validation else "a tenth of training",
            "notes": [*images.notes, *notes],
            "problems": [str(problem) for problem in images.problems],
        },
        "start_checksum": start.model.checksum if start else "",
        "teacher_checksums": [teacher.model.checksum for teacher in job.teachers],
        "ranks": job.fabric.world_size,
        **provenance(),
    }
    write_json(run.record, record)


def _about(job: _Job, pieces: int) -> dict[str, object]:
    # No times, so that a resumed run's file is the same to the bit.
    return {
        **({"batches_in_pieces": pieces} if pieces > 1 else {}),
        "recipe": recipe_to_json(job.recipe),
        "data_fingerprint": job.images.fingerprint,
        "hold_out_seed": job.options.hold_out_seed,
        "training_images": len(job.selection.training),
        "copies_left_out": job.selection.left_out,
        "teachers": [teacher.model.checksum for teacher in job.teachers],
        "precision": job.options.precision,
        "versions": provenance()["versions"],
    }


@contextlib.contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Training reseeds torch's global generators; a caller finds them as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
