"""``mien explain`` as a job: sums, examples, what is written, and taking up where it stopped."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mien.data.synthetic import generate
from mien.errors import DataError, NetworkError, OptionError
from mien.explain.attribution import attribute
from mien.explain.options import Options
from mien.jobs import explain as job
from mien.jobs.explain import explain_data
from mien.jobs.explain_pictures import explain_images
from mien.jobs.saliency import FEWEST_FACES
from mien.jobs.subject import ExplainOptions, open_subject, probabilities, read_for
from mien.labels import CLASSES
from mien.models.checkpoint import Model, save_model
from mien.models.cnn4 import CNN4, CNN4Config
from mien.runs import read_json

SOURCE = "synthetic:560:seed=4"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small network fitted for a moment, so that it answers more than one class."""
    torch.manual_seed(0)
    config = CNN4Config(widths=(4, 6, 8, 8), hidden=(16, 16), linear_dropout=0.0)
    network, faces = CNN4(config), generate(224, seed=1)
    steps = torch.optim.AdamW(network.parameters(), lr=0.01)
    x, y = torch.from_numpy(faces.images), torch.from_numpy(faces.labels)
    for _ in range(8):
        for part in torch.randperm(len(x)).split(64):
            steps.zero_grad()
            torch.nn.functional.cross_entropy(network(x[part]), y[part]).backward()
            steps.step()
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(path, Model(network=network.eval(), architecture="cnn4", config=config,
                           classes=CLASSES))  # fmt: skip
    return str(path)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "nets.py"
    path.write_text(
        "import torch\n"
        "from torch import nn\n"
        "def build():\n"
        "    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 5, 2), nn.ReLU(inplace=True), nn.Flatten(),\n"
        "                         nn.Linear(4 * 14 * 14, 7))\n"
        "def nan():\n"
        "    net = build()\n"
        "    net[3].bias.data.fill_(float('nan'))\n"
        "    return net\n"
    )
    return str(path)


GRADIENT = ExplainOptions(method="gradient")


def options(**changes):
    return ExplainOptions(**{"method": "gradient", "split": "train", "limit": 60, **changes})


def test_means_and_examples_are_those_of_all_maps(model, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "_BLOCK", {"single": 16, "many": 16})
    found = explain_data(model, SOURCE, options(), out=tmp_path / "out")
    report = read_json(tmp_path / "out/saliency.json")
    saved = np.load(tmp_path / "out/saliency.npz", allow_pickle=False)
    assert report == json.loads(json.dumps(found.report))
    assert report["n"] == 60
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "saliency.json", "saliency.npz",
    ]  # fmt: skip

    subject = open_subject(model)
    images, _ = read_for(subject, SOURCE, options().data)
    rows = np.sort(np.random.default_rng(0).choice(images.where("train"), 60, replace=False))
    all_maps = attribute(subject.opened.network, images.images[rows], method="gradient")
    labels, answers = images.labels[rows], all_maps.logits.argmax(1)
    sure = probabilities(all_maps.logits).max(1)
    assert 5 < (labels == answers).sum() < 58
    for kind, right in (("right", True), ("wrong", False)):
        for k in range(7):
            these = np.flatnonzero((labels == k) & ((labels == answers) == right))
            assert report["counts"][kind][k] == len(these)
            mean = saved[f"class_maps_{kind}"][k]
            if not len(these):
                assert np.isnan(mean).all()
                continue
            near = {"atol": 1e-5 * np.abs(all_maps.maps).max(), "rtol": 1e-4}
            np.testing.assert_allclose(mean, all_maps.maps[these].mean(0), **near)
            np.testing.assert_allclose(
                saved[f"class_sizes_{kind}"][k], np.abs(all_maps.maps[these]).mean(0), **near
            )
            best = these[sure[these].argmax()]
            number, one = next(
                (n, e) for n, e in enumerate(report["examples"])
                if e["label"] == k and e["right"] == right
            )  # fmt: skip
            assert one["row"] == rows[best]
            assert one["id"] == images.ids[rows[best]]
            assert one["predicted"] == answers[best]
            assert one["probabilities"] == pytest.approx(
                torch.softmax(torch.from_numpy(all_maps.logits[best]), 0).tolist(), abs=1e-4
            )
            kept = saved["maps"][number].astype(np.float32) * saved["scale"]
            largest = np.abs(all_maps.maps[best]).max()
            np.testing.assert_allclose(kept, all_maps.maps[best], atol=2e-3 * largest)
            np.testing.assert_array_equal(found.pictures[number], images.images[rows[best]])
    for k in range(7):
        faces = images.images[rows[labels == k], 0]
        if len(faces) < FEWEST_FACES:
            assert np.isnan(saved["mean_faces"][k]).all()
        else:
            np.testing.assert_allclose(saved["mean_faces"][k], faces.mean(0), rtol=1e-4)


def test_no_picture_of_a_person_is_written(model, tmp_path):
    found = explain_data(model, SOURCE, options(limit=14), out=tmp_path)
    saved = np.load(tmp_path / "saliency.npz", allow_pickle=False)
    assert set(saved.files) == {
        "maps", "scale", "class_maps_right", "class_maps_wrong", "class_sizes_right",
        "class_sizes_wrong", "mean_faces",
    }  # fmt: skip
    assert np.isnan(saved["mean_faces"]).all()
    assert any("would show persons" in note for note in found.notes)


@pytest.mark.parametrize("method", ["gradient", "smoothgrad", "integrated_gradients"])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bits(
    model, tmp_path, monkeypatch, method
):
    monkeypatch.setattr(job, "_BLOCK", {"single": 16, "many": 16})
    asked = options(method=method, options=Options(samples=2, steps=2))
    whole = explain_data(model, SOURCE, asked, out=tmp_path / "whole")

    def stop(stage: str, done: int, total: int) -> None:
        if total == 60 and done > 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain_data(model, SOURCE, asked, out=tmp_path / "parts", progress=stop)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["saliency.partial.npz"]

    told = []
    again = explain_data(
        model, SOURCE, asked, out=tmp_path / "parts",
        progress=lambda stage, done, total: told.append(done) if total == 60 else None,
    )  # fmt: skip
    assert min(told) > 32
    assert "32 of 60 images were done before" in again.notes
    for name, array in whole.arrays.items():
        assert array.tobytes() == again.arrays[name].tobytes(), name
    assert [n for n in again.notes if "before" not in n] == list(whole.notes)
    assert not (tmp_path / "parts/saliency.partial.npz").exists()


def test_a_part_of_something_else_is_not_taken_up(model, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "_BLOCK", {"single": 16, "many": 16})

    def stop(stage: str, done: int, total: int) -> None:
        if total == 60 and done > 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain_data(model, SOURCE, options(), out=tmp_path, progress=stop)
    partial = tmp_path / "saliency.partial.npz"
    content = partial.read_bytes()
    for other in (options(method="gradient_x_input"), options(limit=59)):
        partial.write_bytes(content)
        assert "before" not in " ".join(explain_data(model, SOURCE, other, out=tmp_path).notes)
    for damaged in (content[: len(content) // 2],):
        partial.write_bytes(damaged)
        assert "before" not in " ".join(explain_data(model, SOURCE, options(), out=tmp_path).notes)


def test_a_pair_of_classes_is_the_difference(model, tmp_path):
    found, happy, sad = (
        explain_data(model, SOURCE, options(limit=20, target=t, against=a), out=tmp_path)
        for t, a in (("happy", "sad"), ("happiness", ""), ("4", ""))
    )
    assert (found.report["target"], found.report["against"]) == ("happy", "sad")
    for kind in ("class_maps_right", "class_maps_wrong"):
        wanted = happy.arrays[kind] - sad.arrays[kind]
        np.testing.assert_allclose(
            found.arrays[kind], wanted, atol=1e-4 * np.nanmax(np.abs(wanted)), equal_nan=True
        )


def test_a_strangers_network(foreign, tmp_path):
    asked = options(input_shape="1,32,32", method="gradcam", limit=20)
    found = explain_data(f"{foreign}:build", SOURCE, asked, out=tmp_path)
    assert found.report["layer"] == "0"
    assert found.report["classes"] == list(CLASSES)
    assert found.arrays["mean_faces"].shape == (7, 32, 32)
    assert any("14×14 cells" in note for note in found.notes)
    subject = open_subject(f"{foreign}:build", "1,32,32")
    images, _ = read_for(subject, SOURCE, asked.data)
    x = torch.from_numpy(images.images[[e["row"] for e in found.report["examples"]]]).float() / 255
    with torch.no_grad():
        wanted = subject.opened.network(x).softmax(1).numpy()
    got = np.array([e["probabilities"] for e in found.report["examples"]])
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    with pytest.raises(NetworkError, match="not finite"):
        explain_data(f"{foreign}:nan", SOURCE, options(input_shape="1,32,32"), out=tmp_path)


def test_pictures_are_explained_and_bad_ones_left_out(model, tmp_path):
    faces = generate(3, seed=9)
    for n, name in enumerate(("a.png", "b.png", "sub/a.png")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(faces.images[n, 0]).save(path)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = ["a.png", "bad.png", "b.png", "sub/a.png", "missing.jpg"]
    paths = [tmp_path / name for name in names]
    found = explain_images(model, paths, GRADIENT, out=tmp_path / "out")
    assert [str(p).split("/")[-1].split(":")[0] for p in found.problems] == [
        "bad.png", "missing.jpg",
    ]  # fmt: skip
    assert [path.name for path in found.overlays] == [
        "a-gradient.png", "b-gradient.png", "a-gradient-2.png",
    ]  # fmt: skip
    with np.load(tmp_path / "out/maps.npz", allow_pickle=False) as saved:
        wanted = attribute(open_subject(model).opened.network, faces.images, method="gradient")
        np.testing.assert_allclose(saved["maps"], wanted.maps, rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(saved["targets"], wanted.targets)
    for path in found.overlays:
        with Image.open(path) as shown:
            assert shown.size == (384, 384)
    report = read_json(tmp_path / "out/maps.json")
    assert len(report["pictures"]) == 3
    assert len(report["problems"]) == 2


def test_a_users_picture_is_never_written_over(model, tmp_path):
    face = Image.fromarray(generate(1, seed=2).images[0, 0])
    for name in ("me.png", "me-gradient.png"):
        face.save(tmp_path / name)
    before = (tmp_path / "me-gradient.png").read_bytes()
    paths = [tmp_path / "me.png", tmp_path / "me-gradient.png"]
    explain_images(model, paths, GRADIENT, out=tmp_path)
    assert (tmp_path / "me-gradient.png").read_bytes() == before
    assert (tmp_path / "me-gradient-2.png").is_file()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "joyless"}, "--target joyless: one of angry"),
        ({"target": "sad", "against": "sad"}, "--against sad: the same class"),
        ({"against": "sad"}, "--against sad: name --target"),
        ({"method": "magic"}, "--method magic: one of"),
        ({"limit": -1}, "--limit -1"),
        ({"split": "half"}, "--split half"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_made(model, tmp_path, changes, words):
    with pytest.raises(OptionError, match=words):
        explain_data(model, SOURCE, options(**changes), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_picture_that_can_be_read_is_an_error(model, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"bad\.png"):
        explain_images(model, [tmp_path / "bad.png"], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
