"""Several models together: as teachers of another, and averaged."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax

from mien.app.commands.evaluate import _split
from mien.errors import OptionError, RunError
from mien.jobs.ensemble import average_saved, evaluate_together
from mien.jobs.evaluate import EvaluateOptions, evaluate
from mien.jobs.hashes import read_training_hashes
from mien.jobs.prepare import DataOptions
from mien.jobs.train import Listeners, TrainOptions, resume, train
from mien.models.cnn4 import CNN4Config
from mien.models.residual import ResidualConfig
from mien.train.recipes import cnn4, residual
from mien.train.task import Interrupted

SOURCE = "synthetic:240:seed=3"
OPTIONS = TrainOptions(source=SOURCE, threads=1)


def strong(**changes):
    model = ResidualConfig(stem=4, widths=(6, 8, 12, 12), blocks=(1, 1, 1, 1))
    return replace(residual(), model=model, batch_size=32, train_sample=50, epochs=1, **changes)


def student(**changes):
    model = CNN4Config(widths=(4, 8, 8, 8), hidden=(12, 12), linear_dropout=0.0)
    return replace(cnn4(), **{"model": model, "batch_size": 32, "train_sample": 50, "epochs": 2,
                              **changes})  # fmt: skip


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    out = tmp_path_factory.mktemp("teachers")
    return [
        str(train(OPTIONS, out=out / str(seed), recipe=strong(seed=seed)).run.path)
        for seed in (0, 1)
    ]


@pytest.fixture(scope="module")
def taught(teachers, tmp_path_factory):
    out = tmp_path_factory.mktemp("taught") / "run"
    return train(replace(OPTIONS, teachers=tuple(teachers)), out=out, recipe=student())


def test_a_run_keeps_who_taught_it(teachers, taught):
    record = taught.run.read_record()
    assert record["options"]["teachers"] == teachers
    assert len(record["teacher_checksums"]) == 2
    assert taught.model.about["teachers"] == record["teacher_checksums"]


def test_teachers_alone_pull_the_student_towards_their_mean(teachers, tmp_path):
    """With no label in the loss, the student's first steps are those down the teachers' loss."""
    alone = replace(student().objective, teacher_share=1.0)
    plain = train(OPTIONS, out=tmp_path / "plain", recipe=student())
    pulled = train(
        replace(OPTIONS, teachers=tuple(teachers)), out=tmp_path / "pulled",
        recipe=student(objective=alone, epochs=4),
    )  # fmt: skip
    mean = average_of(teachers, tmp_path / "teachers")
    assert divergence(mean, pulled, tmp_path / "b") < 0.7 * divergence(mean, plain, tmp_path / "a")


def average_of(models, out):
    found = evaluate_together(models, SOURCE, EvaluateOptions(precision="fp32"), out=out)
    return softmax(found.together.outputs.logits.astype(float), axis=1)


def divergence(target, result, out):
    found = evaluate(result.run.path, SOURCE, EvaluateOptions(), out=out).outputs
    ours = np.log(softmax(found.logits.astype(float), axis=1))
    return float((target * (np.log(target) - ours)).sum(axis=1).mean())


def test_an_interrupted_run_with_teachers_ends_the_same(teachers, taught, tmp_path):
    steps = []

    def stop():
        steps.append(1)
        return len(steps) == 5

    options = replace(OPTIONS, teachers=tuple(teachers))
    with pytest.raises(Interrupted):
        train(options, out=tmp_path / "run", recipe=student(), listeners=Listeners(stop=stop))
    again = resume(tmp_path / "run")
    own, other = taught.model.network.state_dict(), again.model.network.state_dict()
    assert all(torch.equal(value, other[key]) for key, value in own.items())


def test_going_on_with_another_teacher_is_refused(teachers, tmp_path):
    out = tmp_path / "run"
    train(replace(OPTIONS, teachers=(teachers[0],)), out=out, recipe=student(epochs=1))
    record = json.loads((out / "run.json").read_text())
    record["teacher_checksums"] = ["0" * 64]
    (out / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="a teacher is no longer"):
        resume(out)


def test_teachers_that_cannot_teach_are_refused(teachers, taught, tmp_path):
    def attempt(teacher, recipe, **data):
        options = replace(OPTIONS, teachers=(str(teacher),), data=DataOptions(**data))
        train(options, out=tmp_path / "run", recipe=recipe)

    with pytest.raises(OptionError, match="takes no crops"):
        attempt(taught.run.path, strong())
    with pytest.raises(OptionError, match="this run's are 1×32×32"):
        attempt(teachers[0], student(), size=32)
    assert not (tmp_path / "run").exists()


def test_what_teachers_saw_counts_as_seen(teachers, tmp_path):
    """A teacher's training images that validate here are copies, as its student may know them."""
    told = []
    options = TrainOptions(source="synthetic:240:seed=3", threads=1, teachers=(teachers[0],))
    done = train(replace(options, source="synthetic:120:seed=9"), out=tmp_path / "run",
                 recipe=student(epochs=1), listeners=Listeners(told=told.append))  # fmt: skip
    known = read_training_hashes(done.run.path)
    assert set(read_training_hashes(done.run.path.__class__(teachers[0]))) <= set(known)
    assert not any("trained" in sentence and "as copied" in sentence for sentence in told)


def test_evaluated_together_is_the_mean_of_each(teachers, taught, tmp_path):
    models = [*teachers, str(taught.run.path)]
    found = evaluate_together(models, SOURCE, out=tmp_path / "out")
    each = [evaluate(model, SOURCE, out=tmp_path / str(k)).outputs
            for k, model in enumerate(models)]  # fmt: skip
    mean = np.mean([softmax(one.logits.astype(float), axis=1) for one in each], axis=0)
    np.testing.assert_allclose(np.exp(found.together.outputs.logits), mean, rtol=1e-4)
    right = mean.argmax(1) == each[0].labels
    assert found.together.evaluation.whole.accuracy.value == pytest.approx(right.mean())
    for one, comparison in zip(each, found.comparisons, strict=True):
        gain = right.mean() - (one.predicted == one.labels).mean()
        assert comparison.whole.difference.value == pytest.approx(gain)
    saved = json.loads((tmp_path / "out" / "members.json").read_text())
    assert [member["model"] for member in saved["members"]] == models


def test_saved_predictions_are_averaged_without_running_a_model(teachers, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for teacher, folder in zip(teachers, folders, strict=True):
        evaluate(teacher, SOURCE, out=folder)
    names = [str(folder) for folder in folders]
    saved = average_saved(names, out=tmp_path / "saved")
    run = evaluate_together(teachers, SOURCE, out=tmp_path / "run")
    np.testing.assert_array_equal(saved.together.outputs.logits, run.together.outputs.logits)
    with pytest.raises(OptionError, match="named twice"):
        average_saved([names[0], names[0]])
    with pytest.raises(OptionError, match="two models or more"):
        average_saved(names[:1])


def test_the_last_argument_is_data_unless_it_is_a_model(teachers):
    run, other = teachers
    assert _split([run]) == ([run], None)
    assert _split(["nothing"]) == (["nothing"], None)
    assert _split([run, "faces.zip"]) == ([run], "faces.zip")
    assert _split([run, other]) == ([run, other], None)
    assert _split([run, other, "synthetic:20"]) == ([run, other], "synthetic:20")
    assert _split([run, "gone.safetensors"]) == ([run, "gone.safetensors"], None)
