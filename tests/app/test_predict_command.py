"""``mien predict`` as a person meets it; annotated pictures, the timeline, the live table."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from predictors import predictor, square
from rich.console import Console
from typer.testing import CliRunner

from mien.app import annotate as drawing
from mien.app import console
from mien.app.annotate import annotate, colour_of, language_here
from mien.app.cli import app
from mien.app.figures.timeline import draw_timeline
from mien.app.live import table_of
from mien.app.predicted import Table
from mien.data.synthetic import generate
from mien.labels import CLASSES
from mien.models import bundled
from mien.models.checkpoint import Model, save_model
from mien.models.cnn4 import CNN4, CNN4Config
from mien.predict import pipeline
from mien.predict.faces import Finer
from mien.predict.video import Frame
from mien.types import Box, Face


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "load", lambda *a, **k: predictor())
    for n, value in enumerate([150, 0, 200]):
        Image.fromarray(square(value)).save(tmp_path / f"{n}.png")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def test_a_table_for_people(place):
    done = run(place / "0.png", place / "1.png", place / "2.png")
    assert done.exit_code == 0, done.output
    assert "unsure (happy)" in done.output
    assert "no face" in done.output
    assert "3 files read; 2 faces" in done.output
    assert not [p for p in place.iterdir() if p.suffix != ".png"]


def test_a_narrow_terminal_shows_whole_answers(place, monkeypatch):
    monkeypatch.setattr(console, "out", Console(width=70, highlight=False, soft_wrap=True))
    name = "a rather long name of a picture " + "x" * 40 + ".png"
    (place / "0.png").rename(place / name)
    done = run(place / name)
    assert "unsure (happy)" in done.output
    assert "59 %" in done.output
    assert "x.png" in done.output


def test_answers_are_in_the_language_asked_for(place):
    done = run(place / "0.png", place / "1.png", "--lang", "zh-Hant")
    assert "不確定 (快樂)" in done.output
    assert "沒有臉" in done.output


def test_json_is_one_array_and_a_bad_file_exits_1(place):
    (place / "3.jpg").write_bytes(b"none")
    done = run(place, "--json")
    assert done.exit_code == 1
    data = json.loads(done.stdout)
    assert [len(one.get("faces", [])) for one in data] == [1, 0, 1, 0]
    assert set(data[0]) == {"file", "width", "height", "faces"}
    assert "3.jpg" in data[3]["file"]
    assert data[3]["problem"]
    assert "left out:" in done.stderr


def test_who_finds_no_face_is_told_what_to_try_where_it_would_help(capfd):
    def asked(height, width):
        return Finer(2 * 640, 640 / width) if width > 960 else None

    for sizes, says in (
        ([3200], "no face in one file, searched at 20 % of full size; --detector-size 1280 "),
        ([1280, 600, 6400], "no face in 2 files, searched at 10 to 50 % of full size;"),
        ([900], None),
        ([], None),
    ):
        for kind in ("picture", "clip"):
            table = Table("en", asked)
            for width in sizes:
                read = {"height": 9, "width": width, "faces": []}
                table.tell({"file": "a", **(read if kind == "picture" else {"clip": read})})
            table.end()
            stderr = capfd.readouterr().err
            assert stderr.count("\n") == bool(says)
            assert (says or "") in stderr
    table = Table("en")
    table.tell({"file": "a.png", "height": 9, "width": 9000, "faces": []})
    table.end()
    assert capfd.readouterr().err == ""


def test_the_detectors_size_is_asked_for_as_given(place, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        pipeline, "load", lambda *a, **k: sizes.append(k["detector_size"]) or predictor()
    )
    for size in ((), ("--detector-size", 1280)):
        done = run(place, *size, "--json")
        assert done.exit_code == 0, done.output
    assert sizes == [None, 1280]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name pictures"),
        (["x.jpg", "--camera", "0"], "name pictures"),
        (["x.jpg", "--explain"], "--annotate"),
        (["x.jpg", "--clips", "gif"], "mp4 or webm"),
        (["x.jpg", "--lang", "fr"], "--lang fr"),
        (["--camera", "97"], "no camera"),
        (["--camera", "97", "--csv", "x.csv"], "--csv: a camera's faces are shown and not kept"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(place, arguments, says):
    done = run(*arguments)
    assert done.exit_code != 0
    assert says in str(done.exception)


def test_marked_pictures_show_boxes_in_the_colour_of_the_answer():
    picture = np.full((240, 320, 3), 90, np.uint8)
    face = Face(box=Box(left=100, top=60, width=100, height=100), label="happy", confidence=0.9,
                probabilities={"happy": 0.9, "sad": 0.1})  # fmt: skip
    marked = annotate(picture, [face], seconds=61.5)
    assert marked.shape == picture.shape
    orange = tuple(int(colour_of("happy", CLASSES)[n : n + 2], 16) for n in (1, 3, 5))
    assert tuple(marked[110, 100]) == orange  # the left edge
    assert (marked[80:140, 120:180] == 90).all()  # the face itself stays as it is
    assert (picture == 90).all()
    assert not (marked[205:, :60] == 90).all()  # the clock


def test_in_a_group_each_face_has_its_inset_and_none_is_covered():
    picture = np.full((667, 1000, 3), 90, np.uint8)
    places = [(667, 285, 136), (198, 58, 133), (303, 230, 128), (513, 306, 126), (427, 209, 102)]
    faces = [Face(box=Box(left=x, top=y, width=side, height=side), label="happy", confidence=0.9,
                  probabilities={"happy": 0.9, "sad": 0.06, "neutral": 0.04})
             for x, y, side in places]  # fmt: skip
    maps = np.linspace(-1, 1, 5 * 48 * 48, dtype=np.float32).reshape(5, 48, 48)
    crops = np.full((5, 1, 48, 48), 200, np.uint8)
    marked = annotate(picture, faces, maps=maps, crops=crops)
    for x, y, side in places:
        if (x, y) != (427, 209):  # two boxes reach into this one
            inside = marked[y + 8 : y + side - 8, x + 8 : x + side - 8]
            assert (inside == 90).all(), (x, y)
    light = (marked.min(axis=2) > 150).sum()  # the crops below the maps
    alone = annotate(picture, faces[:1], maps=maps[:1], crops=crops[:1])
    assert light > 4 * (alone.min(axis=2) > 150).sum()


def test_marked_pictures_of_any_size_and_face():
    tilted = Box(left=-20, top=-10, width=50, height=50, angle=20)
    faces = [
        Face(
            box=box,
            label="odd",
            confidence=0.5,
            probabilities={"odd": 0.5, "b": 0.5},
            not_a_face=n == 1,
            unsure=n == 2,
            id=n,
        )
        for n, box in enumerate([tilted, tilted, None])
    ]
    for size in ((20, 30), (1000, 700)):
        assert annotate(np.zeros((*size, 3), np.uint8), faces).shape == (*size, 3)


def test_an_inset_shows_the_map():
    picture = np.full((300, 300, 3), 90, np.uint8)
    face = Face(box=Box(left=20, top=20, width=80, height=80), label="happy", confidence=0.9,
                probabilities={"happy": 0.9, "sad": 0.1})  # fmt: skip
    maps = np.ones((1, 8, 8), np.float32)
    marked = annotate(picture, [face], maps=maps, crops=np.full((1, 1, 8, 8), 120, np.uint8))
    red = (marked[..., 0].astype(int) - marked[..., 2] > 90).sum()
    plain = annotate(picture, [face])
    assert red > 300 + (plain[..., 0].astype(int) - plain[..., 2] > 90).sum()


def test_chinese_needs_a_font(monkeypatch):
    monkeypatch.setattr(drawing, "_cjk_file", lambda: None)
    assert language_here("zh-Hant") == "en"
    assert language_here("en") == "en"


def test_explained_faces_come_from_the_network_itself(tmp_path, monkeypatch):
    torch.manual_seed(0)
    config = CNN4Config(widths=(4, 4, 4, 4), hidden=(8, 8))
    save_model(tmp_path / "net.safetensors", Model(network=CNN4(config).eval(),
               architecture="cnn4", config=config, classes=CLASSES))  # fmt: skip
    Image.fromarray(generate(1, seed=1, size=96).images[0, 0]).save(tmp_path / "face.png")
    monkeypatch.setattr(bundled, "names", lambda: ())
    done = run(tmp_path / "face.png", "--model", tmp_path / "net.safetensors", "--detector",
               "none", "--annotate", tmp_path / "marked", "--explain")  # fmt: skip
    assert done.exit_code == 0, done.output
    marked = np.asarray(Image.open(tmp_path / "marked" / "face.png"))
    assert marked.shape == (96, 96, 3)
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(marked[..., 0], marked[..., 2])


def test_the_timeline_has_a_panel_a_face_and_says_what_it_left_out(tmp_path):
    frames = []
    for n in range(60):
        happy = n / 59
        shown = range(1, 15) if n < 10 else [1, 2]
        frames.append({"time": n / 25, "faces": [
            {"id": k, "unsure": n % 2 == 0, "probabilities": {"happy": happy, "sad": 1 - happy}}
            for k in shown]})  # fmt: skip
    svg, png = draw_timeline(frames, tmp_path / "clip.mp4.timeline", seconds=2.4, count=60,
                             name="clip.mp4")  # fmt: skip
    text = svg.read_text()
    assert png.exists()
    assert "face 12" in text
    assert "face 13" not in text
    assert "and 2 more faces" in text
    assert "happy 50 %" in text
    assert "grey below: unsure" in text
    sure = [{"time": 0.0, "faces": [{"id": 1, "unsure": False, "probabilities": {"happy": 1.0}}]}]
    svg, _ = draw_timeline(sure, tmp_path / "sure", seconds=0.0, count=1, name="clip.mp4")
    assert "unsure" not in svg.read_text()


def test_the_live_table():
    face = Face(label="happy", confidence=0.9, probabilities={"happy": 0.9, "sad": 0.1}, id=3)
    frame = Frame(number=0, time=1.0, picture=np.zeros((2, 2, 3), np.uint8), faces=[face])
    text = "".join(str(part) for part in table_of(frame, 24.0, "en").renderables)
    assert "face 3  happy  90 %" in text
    assert "24.0 frames/s" in text
    assert "█" * 22 in text
