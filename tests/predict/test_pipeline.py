"""Pictures to faces: order, batches, who is unsure, who is no face, one face without a detector."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from mien.errors import DataError, OptionError
from mien.models import bundled
from mien.models.confidence import Confidence
from mien.predict import looks, pipeline
from mien.predict.faces import open_detector
from mien.predict.pipeline import Predictor
from mien.types import Box, Face, Scores
from predict_fakes import FakeClassifier, FakeDetector, detection

# Three squares: 230 of 255 is bright, 166 medium, 20 dark.
PICTURE = np.full((100, 300, 3), 0, np.uint8)
PICTURE[:, :100], PICTURE[:, 100:200], PICTURE[:, 200:] = 230, 166, 20
PLACES = (detection(10, 10, 80, 10), detection(120, 20, 60, 10), detection(230, 30, 40, 10))


def predictor(**options: object) -> Predictor:
    return Predictor(FakeClassifier(), FakeDetector(*PLACES), **options)  # type: ignore[arg-type]


def test_a_face_carries_what_was_said_of_it() -> None:
    bright, medium, dark = predictor(keep_others=True).predict(PICTURE)
    assert (bright.label, bright.answer) == ("happy", "happy")
    assert bright.confidence == pytest.approx(230 / 255)
    assert list(bright.probabilities) == list(mien.CLASSES)
    assert sum(bright.probabilities.values()) == pytest.approx(1)
    assert bright.box == PLACES[0].box
    assert bright.score == 10
    assert bright.novelty == pytest.approx(0.5 - 230 / 255, abs=1e-6)
    assert medium.box == PLACES[1].box
    assert medium.confidence == pytest.approx(166 / 255)
    assert (dark.not_a_face, dark.answer) == (True, "not a face")


def test_what_is_no_face_is_dropped_unless_wanted() -> None:
    assert len(predictor().predict(PICTURE)) == 2
    assert len(predictor().predict(PICTURE, keep_others=True)) == 3
    assert len(predictor(keep_others=True).predict(PICTURE, keep_others=False)) == 2
    blind = Predictor(FakeClassifier(novelty=None), FakeDetector(*PLACES))
    assert [face.not_a_face for face in blind.predict(PICTURE)] == [False] * 3
    assert blind.predict(PICTURE)[0].novelty is None


def test_unsure_follows_the_wanted_error_rate() -> None:
    """The fake promises 20 % of errors from 0.6 on and 10 % from 0.8 on."""
    for error, unsure in ((0.2, [False, False]), (0.1, [False, True]), (0.05, [True, True]),
                          (1.0, [False, False])):  # fmt: skip
        faces = predictor(unsure_error=error).predict(PICTURE)
        assert [face.unsure for face in faces] == unsure
    assert predictor(unsure_error=0.05).predict(PICTURE)[0].answer == "unsure"
    never = predictor(unsure_error=0.01)
    never.classifier.confidence = Confidence()
    assert not any(face.unsure for face in never.predict(PICTURE))
    for wrong in (0, 1.5, -1):
        with pytest.raises(OptionError, match="unsure_error"):
            predictor(unsure_error=wrong)


def test_a_weak_detection_is_looked_at_more_and_a_strong_one_is_believed_more() -> None:
    """The novelty of a dark square is 0.42: over 0 + (13/10 - 1), under 0 + (16/10 - 1)."""
    classifier = FakeClassifier()
    strong, weak = detection(120, 20, 60, 10.0), detection(120, 20, 60, 2.0)
    seen = Predictor(classifier, FakeDetector(strong, weak), keep_others=True).predict(PICTURE)
    assert [face.not_a_face for face in seen] == [False, False]
    assert classifier.batches == [9]
    for score, refused in ((13.0, True), (16.0, False)):
        dark = FakeDetector(detection(230, 30, 40, score))
        (face,) = Predictor(classifier, dark, keep_others=True).predict(PICTURE)
        assert face.not_a_face == refused
    # Eight looks at a place that is bright only where the first look is: their mean decides.
    edge = detection(110, 5, 80, 9.5)
    picture = np.zeros_like(PICTURE)
    picture[5:85, 110:190] = 140
    looked = Predictor(FakeClassifier(), FakeDetector(edge), keep_others=True).predict(picture)[0]
    assert looked.confidence == pytest.approx(140 / 255, abs=5e-3)
    assert looked.novelty is not None
    assert looked.novelty > 0.5 - 140 / 255 + 0.01


def test_several_pictures_make_one_batch_and_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PICTURE).save(path)
    dark = np.zeros_like(PICTURE)
    model = predictor()
    faces = model.predict([str(path), dark, path.read_bytes(), Image.fromarray(PICTURE)])
    assert [len(some) for some in faces] == [2, 0, 2, 2]
    assert model.classifier.batches == [12]  # type: ignore[attr-defined]
    assert faces[0][0] == faces[2][0] or faces[0][0].to_json() == faces[2][0].to_json()
    assert [len(some) for some in model.predict(np.stack([PICTURE, dark]))] == [2, 0]
    assert [len(some) for some in model.predict(p for p in [PICTURE])] == [2]
    assert model.predict([]) == []


def test_many_pictures_are_held_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = predictor()
    monkeypatch.setattr(pipeline, "_PICTURES", 2)
    assert len(model.predict([PICTURE] * 5)) == 5
    assert model.classifier.batches == [6, 6, 3]  # type: ignore[attr-defined]
    monkeypatch.setattr(pipeline, "_PIXELS", 1)
    model.classifier.batches.clear()  # type: ignore[attr-defined]
    assert len(model.predict([PICTURE] * 2)) == 2
    assert model.classifier.batches == [3, 3]  # type: ignore[attr-defined]


def test_without_a_detector_every_picture_is_one_face() -> None:
    model = Predictor(FakeClassifier(), open_detector("none"))
    for picture in (PICTURE, np.zeros((1, 1), np.uint8), np.full((48, 48), 255, np.uint8)):
        (face,) = model.predict(picture)
        assert face.box is None
        assert face.score is None
    assert model.predict(np.zeros((5, 5), np.uint8))[0].not_a_face
    assert [len(some) for some in model.predict([PICTURE, PICTURE])] == [1, 1]


def test_faces_at_given_places_drops_none() -> None:
    boxes = [[Box(left=200, top=0, width=90, height=90), None], []]
    at, nothing = predictor().faces_at([PICTURE, PICTURE], boxes)
    assert [face.not_a_face for face in at] == [True, False]
    assert at[1].box is None
    assert nothing == []
    colour = Predictor(FakeClassifier(channels=3, size=32), FakeDetector(*PLACES))
    assert len(colour.predict(PICTURE)) == 2


def test_the_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="picture 1: no picture"):
        predictor().predict([PICTURE, b"nothing"])
    with pytest.raises(DataError, match=r"gone.jpg: cannot be read"):
        predictor().predict([PICTURE, tmp_path / "gone.jpg"])
    with pytest.raises(OptionError, match="the picture: int; give a path"):
        predictor().predict(3)  # type: ignore[call-overload]


def test_threads_share_a_predictor() -> None:
    model, seen = predictor(), []
    threads = [threading.Thread(target=lambda: seen.append(len(model.predict(PICTURE))))
               for _ in range(8)]  # fmt: skip
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert seen == [2] * 8


def test_load_names_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no detector is called"):
        mien.load(detector="dlib")
    with pytest.raises(OptionError, match="detector None: give 'haar'"):
        mien.load(detector=None)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="detector_model and detector_size go with the name"):
        mien.load(detector=FakeDetector(), detector_model="x")
    with pytest.raises(OptionError, match="detector_size go with the name"):
        mien.load(detector=FakeDetector(), detector_size=640)
    with pytest.raises(mien.MienError, match="No such file"):
        mien.load(tmp_path / "none.onnx")


def test_what_a_detector_depends_on_is_part_of_an_answers_identity() -> None:
    said = {}
    for size in (None, 640, 960):
        model = mien.load("tiny", backend="onnx", threads=1, detector_size=size)
        said[size] = json.dumps(model.identity, sort_keys=True)
        assert model.detector.settings["working"] == (size or 640)
    assert said[None] == said[640] != said[960]
    fake = FakeDetector()
    assert mien.load("tiny", detector=fake).identity["detector_settings"] == {}
    for wrong in ({"file": Path("x")}, [1], "quick"):
        fake.settings = wrong
        with pytest.raises(OptionError, match="'settings' is no dict of strings"):
            mien.load("tiny", detector=fake)


def test_neither_mien_nor_the_pipeline_imports_torch() -> None:
    code = ("import sys, mien; mien.load; from mien.predict.faces import open_detector; "
            "open_detector('haar'); heavy = {'torch', 'scipy', 'sklearn', 'matplotlib', 'onnx', "
            "'safetensors'} & set(sys.modules); assert not heavy, heavy")  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)


class LeftIsHappy(FakeClassifier):
    """Says ``happy`` with the brightness of a crop's left half, and remembers what it saw."""

    def classify(self, crops: np.ndarray) -> Scores:
        self.seen = crops.copy()
        half = np.repeat(crops[..., :24], 2, axis=-1)
        return super().classify(half)


def test_more_views_are_averaged_by_hand() -> None:
    """A 48×48 picture is its own crop; three pixels are a sixteenth of its side."""
    chance = np.random.default_rng(0)
    picture = chance.integers(0, 256, (48, 48), dtype=np.uint8)
    padded = np.pad(picture.astype(float), 3, mode="edge")
    places = [padded[3:51, 3:51]]
    places += [padded[y : y + 48, x : x + 48] for y in (0, 6) for x in (0, 6)]
    own, mirrored = (
        [half(p) for p in places] for half in (lambda p: p[:, :24], lambda p: p[:, 24:])
    )
    for views, expected in ((1, own[:1]), (2, own[:1] + mirrored[:1]), (10, own + mirrored)):
        classifier = LeftIsHappy(novelty=None)
        model = Predictor(classifier, open_detector("none"), views=views)
        (face,) = model.predict(picture)
        assert len(classifier.seen) == views
        said = np.array([half.mean() / 255 for half in expected])
        happy, other = said.prod() ** (1 / views), ((1 - said) / 6).prod() ** (1 / views)
        assert face.probabilities["happy"] == pytest.approx(happy / (happy + 6 * other), abs=2e-3)
        assert face.probabilities["sad"] == pytest.approx(other / (happy + 6 * other), abs=2e-3)
    with pytest.raises(OptionError, match="views is 3; give 1, 2 or 10"):
        predictor(views=3)


def test_views_change_no_novelty_and_go_with_the_looks_at_a_weak_detection() -> None:
    weak, strong = detection(110, 5, 80, 9.5), detection(5, 5, 80, 30)
    chance = np.random.default_rng(1)
    picture = chance.integers(0, 256, PICTURE.shape, dtype=np.uint8)

    def read(views: int) -> tuple[FakeClassifier, list[Face]]:
        classifier = LeftIsHappy()
        model = Predictor(classifier, FakeDetector(weak, strong), views=views, keep_others=True)
        return classifier, model.predict_pictures([picture, picture])[1]

    one, single = read(1)
    ten, several = read(10)
    assert one.batches == [2 * (8 + 1)]
    assert ten.batches == [2 * (8 + 4 + 5 + 1 + 4 + 5)]
    for a, b in zip(single, several, strict=True):
        assert a.novelty == b.novelty
        assert a.box == b.box
        assert a.confidence != b.confidence
    # A strong detection alone: five crops, then their mirror images.
    classifier = LeftIsHappy()
    Predictor(classifier, FakeDetector(strong), views=10).predict(picture)
    assert (classifier.seen[5:] == classifier.seen[:5, ..., ::-1]).all()


def test_a_view_that_excludes_a_class_does_not_decide_alone() -> None:
    sure, other = [1, 0, 0], [0.1, 0.8, 0.1]
    found = looks.mean_answer(np.array([sure, *[other] * 9], np.float32))
    assert found.argmax() == 1
    assert found.sum() == pytest.approx(1)
    alone = looks.mean_answer(np.array([other], np.float32))
    np.testing.assert_allclose(alone, other, rtol=1e-6)


def test_ten_views_where_faces_are_searched_and_one_where_not() -> None:
    if not (bundled.FOLDER / bundled.INDEX).is_file():
        pytest.skip("no model is bundled yet")
    assert [mien.load("tiny", detector=name).views for name in ("haar", "none")] == [10, 1]
    assert mien.load("tiny", views=2).views == 2


def test_a_detector_of_ones_own_needs_what_the_protocol_says() -> None:
    class Nameless:
        def detect(self, picture: object) -> list[object]:
            return []

    class Own(Nameless):
        name = "own"

    with pytest.raises(OptionError, match="'detect' and 'name'"):
        mien.load("tiny", detector=Nameless())  # type: ignore[arg-type]
    predictor = mien.load("tiny", detector=Own())  # type: ignore[arg-type]
    assert predictor.predict(np.zeros((60, 60, 3), np.uint8)) == []


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(DataError, match="0×0 pixels show nothing"):
        mien.load("tiny", detector="none").predict(Image.new("RGB", (0, 0)))
