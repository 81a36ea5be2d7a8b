"""A study is what its trials say, goes on after an interruption, and prunes by the median."""

from dataclasses import replace
from pathlib import Path

import pytest

from mien.errors import OptionError, RunError
from mien.jobs.prepare import DataOptions
from mien.jobs.train import TrainOptions
from mien.jobs.tune import TuneListeners, TuneOptions, tune
from mien.runs import Run, read_json
from mien.train.history import read_history
from mien.train.recipes import Recipe, demo
from mien.train.task import Interrupted

pytest.importorskip("optuna")


def small(epochs: int = 2) -> Recipe:
    base = demo()
    model = replace(base.model, widths=(4, 4, 8, 8), hidden=(16, 16))
    return replace(base, model=model, epochs=epochs, train_sample=50)


def options(**changes: object) -> TuneOptions:
    source = TrainOptions(source="synthetic:120", data=DataOptions(size=32), threads=1,
                          precision="fp32", accelerator="cpu")  # fmt: skip
    given = {"train": source, "recipe": small(), "trials": 2, "prune": False,
             "search": ("optim.learning_rate=0.01..0.2:log",)}  # fmt: skip
    return TuneOptions(**{**given, **changes})  # type: ignore[arg-type]


def test_trials_are_runs_and_the_best_is_the_best(tmp_path: Path):
    heard: list[int] = []
    found = tune(options(), out=tmp_path, listeners=TuneListeners(
        ended=lambda trial: heard.append(trial.number)))  # fmt: skip
    assert heard == [0, 1] == [trial.number for trial in found.trials]
    for trial in found.trials:
        rows = read_history(Run.open(trial.run).history)
        assert trial.accuracy == pytest.approx(rows[-1].validation_accuracy, abs=1e-6)
        recipe = Run.open(trial.run).read_record()["recipe"]
        assert recipe["optim"]["learning_rate"] == float(trial.settings["optim.learning_rate"])
    assert found.best is not None
    assert found.best.accuracy == max(trial.accuracy or 0 for trial in found.trials)
    assert read_json(tmp_path / "tuning.json")["best"]["number"] == found.best.number
    # The same call finds all done, one with more trials makes only those.
    assert tune(options(), out=tmp_path).trials == found.trials
    more = tune(options(trials=3), out=tmp_path)
    assert more.trials[:2] == found.trials
    assert len(more.trials) == 3
    with pytest.raises(RunError, match="another recipe or search"):
        tune(options(recipe=small(epochs=3)), out=tmp_path)


def test_an_interrupted_trial_goes_on_to_what_it_would_have_been(tmp_path: Path):
    whole = tune(options(trials=1), out=tmp_path / "whole")
    asked = 0

    def first() -> bool:
        nonlocal asked
        asked += 1
        return asked == 1

    with pytest.raises(Interrupted):
        tune(options(trials=1), out=tmp_path / "cut", listeners=TuneListeners(stop=first))
    again = tune(options(trials=1), out=tmp_path / "cut")
    assert len(again.trials) == 1
    model = "trials/0000/model.safetensors"
    assert (tmp_path / "cut" / model).read_bytes() == (tmp_path / "whole" / model).read_bytes()
    assert again.trials[0].accuracy == whole.trials[0].accuracy


def test_what_lies_below_the_median_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import mien.jobs.tune as job

    monkeypatch.setattr(job, "_STARTED", 1)
    monkeypatch.setattr(job, "_WARM", 1)
    rates = ("0.1", "0.0000001")
    study = options(search=(f"optim.learning_rate={','.join(rates)}",), trials=2, prune=True,
                    recipe=small(epochs=4))  # fmt: skip
    for rate in rates:  # the first trial learns, the second cannot
        job._open(study, tmp_path).enqueue_trial({"optim.learning_rate": rate})
    first, slow = tune(study, out=tmp_path).trials
    assert (first.state, first.settings["optim.learning_rate"]) == ("complete", "0.1")
    assert (slow.state, slow.settings["optim.learning_rate"]) == ("pruned", "0.0000001")
    assert slow.epochs < 4
    assert not (Path(slow.run) / "model.safetensors").exists()


def test_wrong_options_name_the_option(tmp_path: Path):
    with pytest.raises(OptionError, match="--trials 0"):
        options(trials=0)
    with pytest.raises(OptionError, match="given twice"):
        options(search=("epochs=1..2", "epochs=3..4"))
    with pytest.raises(RunError, match="database"):
        tune(options(storage="nothing://x"), out=tmp_path)
