"""The verb ``tune``: trials of a recipe with other settings, by Optuna, resumable and shared.

A study lies in a database: SQLite in the folder of results, or any that SQLAlchemy reaches, so that
several processes or machines work on one study. Each trial is a run folder of its own. A trial that
was interrupted goes on where it stopped; one whose machine is gone is left to whoever has its run.
"""

import contextlib
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.config import to_json
from mien.errors import DataError, MienError, OptionError, RunError
from mien.jobs.train import Listeners, TrainOptions, resume, train
from mien.runs import Run, write_json
from mien.train.history import Row
from mien.train.recipes import Recipe, cnn4
from mien.train.search import DEFAULT, Choice, Dimension, as_text, draw, parse
from mien.train.task import Interrupted, Status
from mien.types import Progress, silent

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

NAME = "mien"
# Before so many trials are through, nothing is known to prune by; nor in a trial's first epochs.
_STARTED, _WARM = 4, 2


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """train: the data and the machine. recipe: what is varied. search: as ``train.search`` reads.

    trials: finished ones to end with, over all processes. storage: a database's URL, empty for
    SQLite in the folder of results. prune: give up a trial that lies below the median of the others
    at the same epoch. seed: of the search; each trial trains with the recipe's own.
    """

    train: TrainOptions
    recipe: Recipe = field(default_factory=cnn4)
    search: tuple[str, ...] = DEFAULT
    trials: int = 20
    storage: str = ""
    name: str = NAME
    prune: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            OptionError: no trials, or a field that is searched twice.
        """
        if self.trials < 1:
            raise OptionError(f"--trials {self.trials}: at least 1")
        fields = [text.partition("=")[0].strip() for text in self.search]
        twice = sorted({name for name in fields if fields.count(name) > 1})
        if twice:
            raise OptionError(f"--search {twice[0]}: given twice")


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One trial. state: ``complete``, ``pruned`` or ``failed``. accuracy: 0..1 of validation."""

    number: int
    state: str
    settings: dict[str, str]
    accuracy: float | None
    epochs: int
    run: str


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """trials: all that ended. best: the complete one of the highest accuracy, None without any.

    importance: share 0..1 of the accuracy's variance over the complete trials that each field
    accounts for (functional analysis of variance, Hutter et al. 2014); empty below 4 trials.
    """

    folder: Path
    trials: tuple[Tried, ...]
    best: Tried | None
    importance: dict[str, float]
    images: int

    def to_json(self) -> dict[str, Any]:
        """Plain scalars, lists and dicts."""
        return {
            "folder": str(self.folder),
            "best": to_json(self.best) if self.best else None,
            "importance": self.importance,
            "validation_images": self.images,
            "trials": [to_json(trial) for trial in self.trials],
        }


@dataclass(frozen=True, kw_only=True)
class TuneListeners:
    """Who hears. progress: of a trial's epochs. ended: of each trial. told: sentences.

    stop: asked after each training step whether to save and end.
    """

    progress: Progress = silent
    ended: Callable[[Tried], None] = lambda trial: None
    told: Callable[[str], None] = lambda sentence: None
    stop: Callable[[], bool] = lambda: False


def tune(options: TuneOptions, *, out: Path | str, listeners: TuneListeners | None = None) -> Tuned:
    """Try settings until the study has ``options.trials`` finished trials.

    Writes ``tuning.json``, the study's database (unless it lies elsewhere) and a run folder for
    each trial into ``out``. The same call goes on with a study that is there.

    Raises:
        OptionError: a dimension cannot be searched. RunError: the study is one of other settings.
        Interrupted: ``listeners.stop`` said so; the trial in hand goes on with the next call.
    """
    ears, folder = listeners or TuneListeners(), Path(out)
    dimensions = tuple(parse(text, options.recipe) for text in options.search)
    try:
        (folder / "trials").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be made ({error.strerror}); name another folder with --out"
        ) from error
    study = _open(options, folder)
    work = _Work(options, dimensions, folder, ears)
    while len(_finished(study)) < options.trials:
        trial = _abandoned(study)
        if trial is None:
            if _claimed(study) >= options.trials:
                ears.told("the last trials are other processes'; they are not waited for")
                break
            trial = study.ask()
        work.run(study, trial)
    tuned = _result(study, folder, options.seed, work.images)
    write_json(folder / "tuning.json", tuned.to_json())
    return tuned


def _open(options: TuneOptions, folder: Path) -> "Study":
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = options.storage or f"sqlite:///{folder.absolute() / 'study.db'}"
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if options.prune:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTED, n_warmup_steps=_WARM)
    try:
        with _quiet():
            study = optuna.create_study(
                storage=url,
                study_name=options.name,
                direction="maximize",
                sampler=optuna.samplers.TPESampler(seed=options.seed),
                pruner=pruner,
                load_if_exists=True,
            )
    except (SQLAlchemyError, ImportError, ValueError, OSError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunError(f"the study's database cannot be used ({said}); see --storage") from error
    asked = {"recipe": to_json(options.recipe), "search": sorted(options.search),
             "keep_copies": options.train.keep_copies}  # fmt: skip
    known = study.user_attrs.get("asked")
    if known is None:
        study.set_user_attr("asked", asked)
    elif known != asked:
        raise RunError(
            f"the study '{options.name}' was begun with another recipe or search; "
            "name another with --name, or another folder with --out"
        )
    return study


@dataclass
class _Work:
    """What trials are made with. images: how many validated the last one."""

    options: TuneOptions
    dimensions: tuple[Dimension, ...]
    folder: Path
    ears: TuneListeners
    images: int = 0

    def run(self, study: "Study", trial: "Trial") -> None:
        """Train, report, and tell the study how it ended."""
        from optuna.trial import TrialState

        run = Run(self.folder / "trials" / f"{trial.number:04d}")
        for key, value in {"run": str(run.path.absolute()), "host": socket.gethostname(),
                           "pid": os.getpid()}.items():  # fmt: skip
            trial.set_user_attr(key, value)
        watch = _Watch(trial, self.options.prune, self.ears)
        try:
            recipe = draw(self.dimensions, self.options.recipe, lambda one: _suggest(trial, one))
            rows = self._train(run, recipe, watch)
        except Interrupted:
            if not watch.pruned:
                raise
            study.tell(trial, state=TrialState.PRUNED)
        except (DataError, OptionError):
            study.tell(trial, state=TrialState.FAIL)
            raise
        except MienError as error:
            trial.set_user_attr("said", str(error))
            self.ears.told(f"trial {trial.number}: {error}")
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, rows[-1].validation_accuracy)
        self.ears.ended(_tried(study.trials[trial.number]))

    def _train(self, run: Run, recipe: Recipe, watch: "_Watch") -> tuple[Row, ...]:
        listeners = Listeners(training=watch.heard, stop=watch.stop)
        if run.record.is_file():
            result = resume(run.path, listeners=listeners)
        else:
            result = train(self.options.train, out=run.path, recipe=recipe, listeners=listeners)
        self.images = len(result.images.where("validation"))
        return result.rows


@dataclass
class _Watch:
    """Hands a run's epochs to the study, and its wish to prune back to the run."""

    trial: "Trial"
    prune: bool
    ears: TuneListeners
    pruned: bool = False

    def __post_init__(self) -> None:
        # An epoch that was reported before an interruption is not reported again.
        frozen = self.trial.storage.get_trial(self.trial._trial_id)
        self.told = max(frozen.intermediate_values, default=0)

    def heard(self, status: Status) -> None:
        """Report the epochs that are new."""
        stage = f"trial {self.trial.number}"
        self.ears.progress(stage, len(status.rows) * status.steps + status.step,
                           status.epochs * status.steps)  # fmt: skip
        for row in status.rows:
            if row.epoch > self.told:
                self.trial.report(row.validation_accuracy, row.epoch)
                self.told = row.epoch
        last = self.told == status.epochs
        self.pruned = self.pruned or (self.prune and not last and self.trial.should_prune())

    def stop(self) -> bool:
        """Whether to end: it was pruned, or a person wants it."""
        return self.pruned or self.ears.stop()


def _suggest(trial: "Trial", one: Dimension) -> Any:
    if isinstance(one, Choice):
        return trial.suggest_categorical(one.field, one.values)
    if one.whole:
        return trial.suggest_int(one.field, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(one.field, one.low, one.high, log=one.log)


def _finished(study: "Study") -> list["FrozenTrial"]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


def _claimed(study: "Study") -> int:
    """Trials that have ended or are some process's; not those that wait to be taken."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False)
    return sum(trial.state != TrialState.WAITING for trial in trials)


def _abandoned(study: "Study") -> "Trial | None":
    """A trial that was begun on this machine by a process that is gone; it is to go on."""
    from optuna.trial import Trial, TrialState

    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        here = frozen.user_attrs.get("host") == socket.gethostname()
        if here and not _alive(int(frozen.user_attrs.get("pid", 0))):
            return Trial(study, frozen._trial_id)
    return None


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False  # an earlier call in this very process, which has ended
    with contextlib.suppress(ProcessLookupError):
        with contextlib.suppress(PermissionError):
            os.kill(pid, 0)
        return pid > 0
    return False


def _tried(frozen: "FrozenTrial") -> Tried:
    states = {"COMPLETE": "complete", "PRUNED": "pruned"}
    accuracy = frozen.value
    if accuracy is None and frozen.intermediate_values:
        accuracy = frozen.intermediate_values[max(frozen.intermediate_values)]
    return Tried(
        number=frozen.number,
        state=states.get(frozen.state.name, "failed"),
        settings={name: as_text(value) for name, value in frozen.params.items()},
        accuracy=accuracy,
        epochs=max(frozen.intermediate_values, default=0),
        run=str(frozen.user_attrs.get("run", "")),
    )


def _result(study: "Study", folder: Path, seed: int, images: int) -> Tuned:
    trials = tuple(_tried(frozen) for frozen in _finished(study))
    complete = [trial for trial in trials if trial.state == "complete"]
    best = max(complete, key=lambda trial: trial.accuracy or 0.0, default=None)
    importance = _importance(study, seed) if len(complete) >= _STARTED else {}
    if not images and best and (Path(best.run) / "run.json").is_file():
        images = int(Run.open(best.run).read_record()["data"]["validation_images"])
    return Tuned(folder=folder, trials=trials, best=best, importance=importance, images=images)


def _importance(study: "Study", seed: int) -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    with _quiet():
        try:
            return dict(
                get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
            )
        except (RuntimeError, ValueError):  # all trials came out alike: nothing mattered
            return {}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
