"""A release from a run that exists: the files, the index, the card, and that it can be repeated."""

import json
from dataclasses import replace

import numpy as np
import pytest

from exported import small
from mien.errors import RunError
from mien.jobs import release as job
from mien.jobs.model_card import find_card, sections
from mien.jobs.release import Release, release
from mien.models import bundled
from mien.models.card import read_card
from mien.models.checkpoint import load_model, save_model
from mien.predict.classifier import OnnxClassifier
from mien.words import LANGUAGES

_TAUGHT = {
    "threshold": 1.25, "accepted": {"value": 0.95, "low": 0.94, "high": 0.96},
    "refused": {"text": {"value": 0.9, "low": 0.8, "high": 1.0}},
    "all_refused": {"value": 0.9, "low": 0.8, "high": 1.0}, "kept_out": ["text"],
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of an untrained network that was taught already, and what was released of it."""
    place = tmp_path_factory.mktemp("release")
    run = place / "runs" / "small"
    run.mkdir(parents=True)
    save_model(run / "model.safetensors", small())
    (run / "novelty.json").write_text(json.dumps(_TAUGHT))
    listed = (Release(name="small", recipe="cnn4", flip=False, default=True),)
    out = place / "bundled"
    out.mkdir()
    (out / "old.onnx").touch()
    graphs, real = [], job.to_onnx
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "to_onnx", lambda *a, **k: graphs.append(real(*a, **k)) or graphs[-1])
        found = release("synthetic:1200", place / "runs", releases=listed, folder=out, limit=30)
    assert len(graphs) == 1
    # Exporting takes seconds, and the same weights give the same graph.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "to_onnx", lambda *_, **__: graphs[0])
        yield place, listed, out, found


def test_files_and_index(made):
    _, _, out, (one,) = made
    assert {path.name for path in out.iterdir()} == {
        "small.onnx", "small.safetensors", "index.json",
    }  # fmt: skip
    assert bundled.names(out) == ("small",)
    entry = bundled.entry("default", out)
    assert entry.facts == one.facts
    assert entry.facts["images"] == 120
    assert entry.facts["bytes"] == sum(path.stat().st_size for path in (entry.onnx, entry.weights))
    assert one.parity.worst < 0.01


def test_the_card_is_measured_on_the_released_file(made):
    place, _, out, _ = made
    meta = read_card(out / "small.safetensors")
    card = meta["about"]["card"]
    assert meta["stored"] == "float16"
    assert meta["about"]["calibration"]["flip"] is False  # as the list says, not as it was before
    from mien.jobs.release import _images, _outputs
    from mien.types import silent

    model = load_model(place / "runs" / "small")
    images = _images(model, "synthetic:1200", silent)
    chosen = images.take(images.where("validation"))
    said = OnnxClassifier(out / "small.onnx").classify(chosen.images).probabilities
    right = said.argmax(axis=1) == chosen.labels
    assert card["results"]["whole"]["accuracy"]["value"] == pytest.approx(right.mean())
    happy = chosen.labels == 3
    assert card["results"]["whole"]["classes"][3]["recall"]["value"] == pytest.approx(
        right[happy].mean()
    )
    assert card["robustness"]["n"] == 30
    assert card["data"]["name"] == ""  # drawn faces are not FER2013
    outputs = _outputs(OnnxClassifier(out / "small.onnx"), chosen, model, place / "runs" / "small")
    np.testing.assert_allclose(np.exp(outputs.logits), said, rtol=1e-4)


def test_the_card_says_what_ten_looks_give(made):
    place, _, out, _ = made
    card = read_card(out / "small.safetensors")["about"]["card"]
    from mien.jobs.release import _images
    from mien.types import silent

    images = _images(load_model(place / "runs" / "small"), "synthetic:1200", silent)
    chosen = images.take(images.where("validation"))
    classifier = OnnxClassifier(out / "small.onnx")
    # By hand: five places, the edge repeated, and their mirror images; the mean of logarithms.
    padded = np.pad(chosen.images, ((0, 0), (0, 0), (3, 3), (3, 3)), mode="edge")
    places = [(3, 3), (0, 0), (0, 6), (6, 0), (6, 6)]
    seen = [padded[..., top : top + 48, left : left + 48] for top, left in places]
    logs = [np.log(np.maximum(classifier.classify(np.ascontiguousarray(view)).probabilities, 1e-6))
            for one in seen for view in (one, one[..., ::-1])]  # fmt: skip
    mean = np.exp(np.mean(logs, axis=0, dtype=np.float64))
    mean /= mean.sum(axis=1, keepdims=True)
    right = mean.argmax(axis=1) == chosen.labels
    found = card["looks"]
    assert found["views"] == 10
    assert found["whole"]["n"] == len(chosen)
    assert found["whole"]["accuracy"]["value"] == pytest.approx(right.mean(), abs=0.011)
    surest = np.argsort(-mean.max(axis=1), kind="stable")[: round(0.8 * len(right))]
    assert found["at_80"]["accuracy"]["value"] == pytest.approx(right[surest].mean(), abs=0.02)
    bins = np.clip(np.ceil(mean.max(axis=1) * 15).astype(int) - 1, 0, 14)
    gaps = [abs((mean.max(axis=1) - right)[bins == b].sum()) for b in range(15)]
    assert found["ece"]["value"] == pytest.approx(sum(gaps) / len(right), abs=0.02)


def test_the_card_reads_in_every_language(made):
    _, _, out, _ = made
    for file in ("small.onnx", "small.safetensors"):
        name, meta = find_card(out / file)
        texts = []
        for language in LANGUAGES:
            found = sections(name, meta, language)
            texts.append(" ".join(s for one in found for s in (one.title, *one.sentences)))
            assert "{" not in texts[-1]
            assert len(found) == 12
            for section in found:
                for table in section.tables:
                    assert {len(row) for row in table.rows} <= {len(table.columns)}
        assert "5(1)(f)" in texts[0]
        assert "With 10 looks at each" in texts[0]
        assert "50(3)" in texts[0]
        assert "PrivateTest" not in texts[0]
        assert texts[0] != texts[1]
    save_model(out.parent / "bare.safetensors", replace(small(), about={}))
    name, meta = find_card(out.parent / "bare.safetensors")
    text = " ".join(s for one in sections(name, meta) for s in one.sentences)
    assert "says nothing of its results" in text
    assert "5(1)(f)" in text


def test_a_second_release_keeps_what_is_slow(made, monkeypatch):
    place, listed, out, _ = made

    def refused(*_, **__):
        raise AssertionError("this was done before")

    monkeypatch.setattr(job, "teach", refused)
    monkeypatch.setattr(job, "robustness", refused)
    monkeypatch.setattr(job, "evaluate_images", refused)
    monkeypatch.setattr(job, "train", refused)
    before = json.loads((out / "index.json").read_text())["models"]["small"]["accuracy"]
    (again,) = release("synthetic:1200", place / "runs", releases=listed, folder=out, limit=30)
    assert again.facts["accuracy"] == before
    monkeypatch.setattr(job, "LARGEST", 1000)
    index = (out / "index.json").read_bytes()
    with pytest.raises(RunError, match="more than 0"):
        release("synthetic:1200", place / "runs", releases=listed, folder=out, limit=30)
    assert (out / "index.json").read_bytes() == index
    with pytest.raises(RunError, match="must be the default"):
        release("synthetic:1200", place / "runs", releases=listed * 2, folder=out)


def test_a_student_is_trained_by_its_teachers_before_any_file_is_sealed_anew(tmp_path, monkeypatch):
    told = []

    def trained(options, *, out, recipe, listeners):
        told.append((out.name, options.teachers, recipe.objective.teachers_see, recipe.seed))

    def made(one, *_):
        told.append(one.name)
        raise RunError("far enough")

    monkeypatch.setattr(job, "train", trained)
    monkeypatch.setattr(job, "_make", made)
    listed = (
        Release(name="big", recipe="wide", default=True),
        Release(name="little", recipe="tiny", seed=3, teachers=("big",),
                settings={"objective.teachers_see": "once"}),
    )  # fmt: skip
    with pytest.raises(RunError, match="far enough"):
        release("somewhere", tmp_path, releases=listed, folder=tmp_path / "out")
    big = str(tmp_path / "big")
    assert told == [("big", (), "batch", 0), ("little", (big,), "once", 3), "big"]
