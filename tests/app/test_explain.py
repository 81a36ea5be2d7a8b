"""``mien explain`` as a person meets it: two modes, refusals, exit codes."""

import json

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from mien.app.cli import app
from mien.data.synthetic import generate
from mien.errors import OptionError
from mien.labels import CLASSES
from mien.models.checkpoint import Model, save_model
from mien.models.cnn4 import CNN4, CNN4Config


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    torch.manual_seed(0)
    config = CNN4Config(widths=(4, 4, 4, 4), hidden=(8, 8))
    save_model(folder / "net.safetensors", Model(network=CNN4(config).eval(), architecture="cnn4",
               config=config, classes=CLASSES))  # fmt: skip
    for n, image in enumerate(generate(2, seed=1).images):
        Image.fromarray(image[0]).save(folder / f"face{n}.png")
    (folder / "bad.png").write_bytes(b"none")
    return folder


def explain(place, *arguments):
    named = [str(place / a) if (place / str(a)).exists() else str(a) for a in arguments]
    return CliRunner().invoke(app, ["explain", str(place / "net.safetensors"), *named])


def test_pictures(place, tmp_path):
    done = explain(place, "face0.png", "face1.png", "--out", tmp_path, "--method", "occlusion")
    assert done.exit_code == 0, done.output
    assert {"face0-occlusion.png", "face1-occlusion.png", "maps.npz", "maps.json",
            "explained.png", "explained.svg"} == {p.name for p in tmp_path.iterdir()}  # fmt: skip
    assert "occlusion, cnn4 of" in done.output


def test_a_bad_picture_is_one_line_and_exit_code_1(place, tmp_path):
    done = explain(place, "face0.png", "bad.png", "--out", tmp_path, "--json")
    assert done.exit_code == 1
    assert len(json.loads(done.stdout)["pictures"]) == 1
    assert "left out:" in done.stderr


def test_data(place, tmp_path):
    done = explain(place, "synthetic:140", "--split", "train", "--limit", "30", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert {"saliency.npz", "saliency.json", "saliency.png", "saliency.svg"} == {
        p.name for p in tmp_path.iterdir()
    }
    assert "surest wrong" in done.output
    assert "the gallery shows means" not in done.output  # drawn faces may be shown
    assert "most confident answers" in (tmp_path / "saliency.svg").read_text()


def test_faces_of_persons_are_shown_only_when_asked(place, tmp_path):
    for n, image in enumerate(generate(30, seed=1).images):
        path = tmp_path / "data/test" / CLASSES[n % 7] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(path)
    asked = (tmp_path / "data", "--split", "test", "--out", tmp_path / "out")
    done = explain(place, *asked)
    assert done.exit_code == 0, done.output
    assert "the gallery shows means, no single person" in done.output
    assert "mean maps over mean faces" in (tmp_path / "out/saliency.svg").read_text()
    done = explain(place, *asked, "--include-images")
    assert "most confident answers" in (tmp_path / "out/saliency.svg").read_text()
    assert "the gallery shows means" not in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["face0.png", "--split", "test"], "--split: is for a data set"),
        (["face0.png", "--include-images"], "--include-images: is for a data set"),
        (["synthetic:100", "--steps", "4"], "--steps: has no effect on --method smoothgrad"),
        (["face0.png", "--method", "gradcam", "--patch", "4"], "--patch: has no effect"),
        (["face0.png", "--method", "gradient", "--seed", "1"], "--seed: nothing is drawn"),
        (["synthetic:100", "face0.png"], "synthetic:100: no picture"),
        (["face0.png", "--method", "magic"], "--method magic: one of"),
        (["face0.png", "--method", "occlusion", "--patch", "99"], "--patch 99: larger"),
        (["face0.png", "--method", "occlusion", "--stride", "20"], "--stride 20"),
        (["face0.png", "--method", "gradcam", "--layer", "x"], "--layer x: there is no such"),
        (["face0.png", "--target", "calmness"], "--target calmness: one of"),
    ],
)
def test_what_has_no_effect_is_refused(place, tmp_path, arguments, told):
    done = explain(place, *arguments, "--out", tmp_path / "out")
    assert isinstance(done.exception, OptionError)
    assert told in str(done.exception)
    assert not (tmp_path / "out").exists()
