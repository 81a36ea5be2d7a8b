"""The main job from end to end on drawn faces: what the run folder holds, and that it is true."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score

from mien.data.splits import training_indices
from mien.errors import DataError, ModelFileError, OptionError, RunError
from mien.evaluate.collect import collect
from mien.evaluate.predictions import read_predictions
from mien.jobs.evaluate import EvaluateOptions, evaluate
from mien.jobs.hashes import read_training_hashes
from mien.jobs.label import label
from mien.jobs.prepare import DataOptions, read_source
from mien.jobs.recompute import recompute
from mien.jobs.train import Listeners, TrainOptions, resume, train
from mien.labels import CLASSES
from mien.models import bundled
from mien.models.checkpoint import load_model, save_model
from mien.models.cnn4 import CNN4Config
from mien.runs import Run
from mien.train.history import read_history
from mien.train.optim import OptimConfig
from mien.train.recipes import demo, recipe_from_json, recipe_to_json
from mien.train.task import Interrupted

SOURCE = "synthetic:600:seed=3"


def small(**changes):
    model = CNN4Config(widths=(8, 12, 16, 16), hidden=(24, 24), linear_dropout=0.0)
    return replace(demo(), model=model, batch_size=32, train_sample=100, **changes)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    told, seen = [], []
    finished = train(
        TrainOptions(source=SOURCE, threads=1),
        out=tmp_path_factory.mktemp("runs") / "run",
        recipe=small(epochs=4),
        listeners=Listeners(told=told.append, training=seen.append),
    )
    assert any("480 training images, 60 validation images" in sentence for sentence in told)
    assert seen[-1].rows == finished.rows
    return finished


def test_run_folder_holds_what_the_readme_says(result):
    run = result.run
    record = run.read_record()
    assert recipe_from_json(record["recipe"]) == replace(small(epochs=4), model=result.model.config)
    assert record["data"]["fingerprint"] == result.images.fingerprint
    assert record["data"]["training_images"] == 480
    assert {"python", "torch", "numpy"} <= set(record["versions"])
    assert record["options"]["source"] == SOURCE
    assert read_history(run.history)[-1].epoch == 4
    assert list((run.path / "tensorboard").glob("events*"))
    assert len(list(run.state.iterdir())) <= 2
    assert len(read_training_hashes(run.path)) == 480


def test_history_is_measured_on_the_averaged_model_without_augmentation(result):
    model = load_model(result.run.path)
    images = result.images
    chosen = images.where("validation")
    with torch.no_grad():
        logits = model.network(torch.from_numpy(images.images[chosen]))
    labels = torch.from_numpy(images.labels[chosen])
    loss = torch.nn.functional.cross_entropy(logits, labels).item()
    accuracy = (logits.argmax(1) == labels).float().mean().item()
    last = result.rows[-1]
    # Training measures in the precision that it computes in, so a bf16 tie may fall otherwise.
    assert last.validation_loss == pytest.approx(loss, abs=0.02)
    assert last.validation_accuracy == pytest.approx(accuracy, abs=1.01 / len(chosen))
    assert last.train_loss < result.rows[0].train_loss


def test_it_learns(result):
    # Of seven classes; on 100 pictures it is trained on, and on 60 others, which is coarser.
    assert result.rows[-1].train_accuracy > 2 / 7
    assert result.rows[-1].validation_accuracy > 1.5 / 7


def test_evaluate_writes_what_scikit_learn_computes(result, tmp_path):
    done = evaluate(result.run.path, SOURCE, EvaluateOptions(split="test"), out=tmp_path)
    outputs = read_predictions(tmp_path / "predictions.parquet")
    assert set(outputs.splits.tolist()) == {"test"}
    assert len(outputs) == 60
    whole = done.evaluation.whole
    assert whole.accuracy.value == pytest.approx(accuracy_score(outputs.labels, outputs.predicted))
    assert whole.macro_f1.value == pytest.approx(
        f1_score(outputs.labels, outputs.predicted, average="macro")
    )
    again = recompute(tmp_path)
    assert again.evaluation.to_json() == done.evaluation.to_json()
    assert json.loads((tmp_path / "evaluation.json").read_text()) == done.evaluation.to_json()


def test_other_pictures_than_validation_get_a_folder_of_their_own(result):
    before = (result.run.path / "model.safetensors").read_bytes()
    done = evaluate(result.run.path, SOURCE, EvaluateOptions(split="PrivateTest"))
    assert done.folder == result.run.path / f"test-{result.images.fingerprint[:8]}"
    done = evaluate(result.run.path, SOURCE, EvaluateOptions(split="PublicTest"))
    assert done.folder == result.run.path
    assert (result.run.path / "model.safetensors").read_bytes() == before


def test_the_held_out_tenth_is_found_again(result, tmp_path):
    folder = tmp_path / "faces"
    for n in range(90):
        target = folder / ["grin", "frown", "calm"][n % 3]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(result.images.images[n, 0]).save(target / f"{n}.png")
    data = DataOptions(map=("grin=happy", "frown=sad"))
    tuned = train(TrainOptions(source=str(folder), data=data), out=tmp_path / "run",
                  recipe=small(epochs=1))  # fmt: skip
    held = set(tuned.images.ids[tuned.images.where("validation")].tolist())
    done = evaluate(tuned.run.path, str(folder))
    assert done.folder == tuned.run.path
    assert set(done.outputs.ids.tolist()) == held
    assert not done.outputs.copied.any()


def test_flip_averages_with_the_mirror_image(result, tmp_path):
    with_flip = evaluate(result.run.path, SOURCE, EvaluateOptions(), out=tmp_path / "a")
    model = load_model(result.run.path).network
    images = torch.from_numpy(result.images.images[result.images.where("validation")])
    with torch.no_grad():
        mean = (model(images).softmax(1) + model(images.flip(3)).softmax(1)) / 2
    np.testing.assert_allclose(np.exp(with_flip.outputs.logits), mean.numpy(), rtol=1e-4, atol=1e-6)


def test_zooms_are_resampled_as_training_resampled(result, tmp_path):
    model, seen = load_model(result.run.path), {}
    for interpolation in ("bilinear", "bicubic", None):
        recipe = dict(model.about["recipe"])
        recipe["augment"] = {**recipe["augment"], "interpolation": interpolation}
        file = tmp_path / f"{interpolation}.safetensors"
        save_model(file, replace(model, about={**model.about, "recipe": recipe}))
        scores = evaluate(file, SOURCE, EvaluateOptions(zooms=True), out=tmp_path / "scores")
        assert scores.outputs.about["resampling"] == (interpolation or "bilinear")
        seen[interpolation] = scores.outputs.logits
        images = result.images.images[result.images.where("validation")]
        expected = collect(model.network, images, device="cpu", flip=True, zooms=(1.0, 0.92, 1.08),
                           resampling=interpolation or "bilinear")  # fmt: skip
        np.testing.assert_allclose(seen[interpolation], expected, atol=1e-5)
    assert not np.allclose(seen["bilinear"], seen["bicubic"], atol=1e-3)


def test_evaluating_training_images_marks_no_image_as_its_own_copy(result, tmp_path):
    done = evaluate(result.run.path, SOURCE, EvaluateOptions(split="train"), out=tmp_path)
    assert done.evaluation.copies_only is not None
    assert done.evaluation.copies_only.n == 480  # they are the training images


def test_unknown_split_and_missing_predictions(result, tmp_path):
    with pytest.raises(OptionError, match="train, validation, test or all"):
        evaluate(result.run.path, SOURCE, EvaluateOptions(split="dev"), out=tmp_path)
    with pytest.raises(RunError, match="no predictions here yet"):
        recompute(tmp_path)


def test_fine_tuning_starts_from_the_weights(result, tmp_path):
    options = TrainOptions(source=SOURCE, start_from=str(result.run.path), threads=1)
    recipe = small(epochs=1, optim=replace(small().optim, learning_rate=1e-6, ema=0.0))
    tuned = train(options, out=tmp_path / "tuned", recipe=recipe)
    assert tuned.model.config == result.model.config
    before = load_model(result.run.path).network.state_dict()
    after = load_model(tuned.run.path).network.state_dict()
    torch.testing.assert_close(after["head.2.weight"], before["head.2.weight"], atol=1e-3, rtol=0)
    assert tuned.rows[0].validation_accuracy >= result.rows[-1].validation_accuracy - 0.1


def test_miens_own_models_go_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = bundled.entry("tiny").weights
    before = file.read_bytes()
    assert load_model("tiny").checksum == load_model(file).checksum
    # A run folder that one stands in is not the model's own.
    (tmp_path / "run.json").write_text("{}")
    scores = evaluate("tiny", "synthetic:100", EvaluateOptions(flip=False))
    assert scores.folder.absolute() == tmp_path / "tiny-evaluation"
    learnt = train(
        TrainOptions(source="synthetic:100", start_from="tiny", teachers=("tiny",), threads=1),
        out=tmp_path / "tuned",
        recipe=replace(small(epochs=1), optim=OptimConfig(learning_rate=1e-9)),
    )
    assert load_model(learnt.run.path).about["teachers"] == [load_model(file).checksum]
    options = learnt.run.read_record()["options"]
    assert (options["start_from"], options["teachers"]) == (str(file), [str(file)])
    own, its = load_model(learnt.run.path).network, load_model(file).network
    torch.testing.assert_close(own.head.weight, its.head.weight, atol=1e-6, rtol=0)
    assert file.read_bytes() == before
    # What lies there goes first.
    (tmp_path / "tiny").mkdir()
    with pytest.raises(ModelFileError, match=r"no model\.safetensors in it"):
        load_model("tiny")
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_model("huge")


def test_fine_tuning_to_other_classes_renews_the_last_layer(result, tmp_path):
    folder = tmp_path / "faces"
    images = result.images
    for n in range(60):
        k = n % 3
        target = folder / f"mood{k}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images.images[n, 0]).save(target / f"{n}.png")
    options = TrainOptions(
        source=str(folder), data=DataOptions(classes="found"), start_from=str(result.run.path)
    )
    tuned = train(options, out=tmp_path / "tuned", recipe=small(epochs=1))
    model = load_model(tuned.run.path)
    assert model.classes == ("mood0", "mood1", "mood2")
    assert model.network.state_dict()["head.2.weight"].shape[0] == 3


def test_what_the_start_has_seen_is_not_called_unseen(tmp_path):
    folder = tmp_path / "faces"
    for n, image in enumerate(read_source(SOURCE, DataOptions()).images[:120]):
        (folder / CLASSES[n % 3]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(folder / CLASSES[n % 3] / f"{n}.png")
    first = train(TrainOptions(source=str(folder)), out=tmp_path / "a", recipe=small(epochs=1))
    held = set(first.images.ids[first.images.where("validation")].tolist())
    # The same pictures under another seed: the same tenth is held out again.
    options = TrainOptions(source=str(folder), start_from=str(first.run.path))
    again = train(options, out=tmp_path / "b", recipe=small(epochs=1, seed=9))
    assert set(again.images.ids[again.images.where("validation")].tolist()) == held
    # Fewer pictures are another source, whose own tenth the start may have trained on.
    (folder / CLASSES[0] / "0.png").unlink()
    told = []
    other = train(replace(options, hold_out_seed=9), out=tmp_path / "c", recipe=small(epochs=1),
                  listeners=Listeners(told=told.append))  # fmt: skip
    validation = other.images.ids[other.images.where("validation")].tolist()
    seen = len(set(validation) - held)
    assert seen > 0
    assert any(
        f"{seen} of the validation images are in the training split of the start" in line
        for line in told
    )
    done = evaluate(other.run.path, str(folder))
    assert int(done.outputs.copied.sum()) == seen


def test_a_diverged_run_ends_with_one_line(tmp_path):
    recipe = small(epochs=1, optim=replace(small().optim, learning_rate=1e30))
    with pytest.raises(RunError, match="no longer a finite number"):
        train(TrainOptions(source=SOURCE, threads=1), out=tmp_path / "r", recipe=recipe)
    assert not (tmp_path / "r" / "model.safetensors").exists()


def test_the_rare_class_can_be_drawn_or_weighted_more(tmp_path):
    for name, objective in (("a", {"sampling_power": 1.0}), ("b", {"class_weight_power": 1.0})):
        recipe = small(epochs=1, objective=replace(small().objective, **objective))
        done = train(TrainOptions(source=SOURCE, threads=1), out=tmp_path / name, recipe=recipe)
        assert done.rows[-1].epoch == 1


def test_copies_are_kept_when_asked(tmp_path):
    folder = tmp_path / "faces"
    images = read_source(SOURCE, DataOptions()).images
    for n in range(80):
        split = "train" if n < 60 else "validation"
        target = folder / split / CLASSES[n % 2]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[n % 60, 0]).save(target / f"{n}.png")
    for keep, number in ((False, 40), (True, 60)):
        options = TrainOptions(source=str(folder), keep_copies=keep)
        done = train(options, out=tmp_path / str(keep), recipe=small(epochs=1))
        assert done.run.read_record()["data"]["training_images"] == number
        found = evaluate(done.run.path, str(folder))
        assert found.evaluation.copies_only is not None
        assert found.evaluation.copies_only.n == 20


def test_stop_is_heard_and_resume_goes_on(tmp_path):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 5

    options = TrainOptions(source=SOURCE, threads=1)
    with pytest.raises(Interrupted, match="--resume"):
        train(options, out=tmp_path / "run", recipe=small(epochs=1), listeners=Listeners(stop=stop))
    assert not Run(tmp_path / "run").model.exists()
    assert resume(tmp_path / "run").rows[-1].epoch == 1
    assert Run(tmp_path / "run").model.exists()


def test_a_run_is_never_overwritten(result):
    with pytest.raises(RunError, match="not empty"):
        train(TrainOptions(source=SOURCE), out=result.run.path, recipe=small(epochs=1))


def test_training_leaves_the_callers_random_state(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(TrainOptions(source=SOURCE, threads=1), out=tmp_path / "r", recipe=small(epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_labels_in_the_order_of_the_ids(result, tmp_path):
    folder = tmp_path / "crops"
    folder.mkdir()
    chosen = result.images.where("test")[:12]
    for number, n in enumerate(chosen):
        Image.fromarray(result.images.images[n, 0]).save(folder / f"{number}.png")
    done = label(folder, result.run.path, tmp_path / "out.csv", flip=False)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert done.count == 12
    assert lines[0] == "id,label"
    assert [line.split(",")[0] for line in lines[1:]] == [str(k) for k in range(12)]
    with torch.no_grad():
        logits = result.model.network(torch.from_numpy(result.images.images[chosen]))
    expected = logits.argmax(1).tolist()
    assert [int(line.split(",")[1]) for line in lines[1:]] == expected
    label(folder, result.run.path, tmp_path / "names.csv", flip=False, names=True)
    lines = (tmp_path / "names.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == [CLASSES[k] for k in expected]


def test_recipes_survive_json():
    recipe = small(epochs=3)
    assert recipe_from_json(json.loads(json.dumps(recipe_to_json(recipe)))) == recipe
    with pytest.raises(OptionError, match="no such field"):
        recipe_from_json({**recipe_to_json(recipe), "epoch": 3})


def test_a_single_class_is_no_task(tmp_path):
    folder = tmp_path / "faces" / "happy"
    folder.mkdir(parents=True)
    for n, image in enumerate(read_source(SOURCE, DataOptions()).images[:30]):
        Image.fromarray(image[0]).save(folder / f"{n}.png")
    with pytest.raises(DataError, match="of one class"):
        train(TrainOptions(source=str(folder.parent)), out=tmp_path / "r", recipe=small(epochs=1))
    assert not (tmp_path / "r").exists()


def test_copies_of_validation_are_left_out_by_default():
    images = read_source(SOURCE, DataOptions())
    assert training_indices(images)[1] == 0
    first, last = images.where("train")[0], images.where("validation")[0]
    hashes = images.hashes.copy()
    hashes[first] = hashes[last]
    kept, left_out = training_indices(replace(images, hashes=hashes))
    assert left_out == 1
    assert first not in kept
