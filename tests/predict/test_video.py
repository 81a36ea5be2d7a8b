"""Frames through detection, tracking and a running answer, held against what a fake said."""

import math
import weakref

import numpy as np
import pytest
from fake_reader import FakeClip, FakeReader, box, texture

from mien.errors import OptionError, RecordError
from mien.predict.haar import HaarDetector
from mien.predict.track import TrackOptions
from mien.predict.video import VideoOptions, _detectors, watch

PICTURE = texture()


def clip(n, rate=25.0, picture=PICTURE):
    return FakeClip([(k / rate, picture) for k in range(n)])


def frames(n, reader, **options):
    return list(watch(clip(n), reader, VideoOptions(**options)))


def test_every_frame_comes_once_and_in_order_with_the_face_from_its_first_sight_on():
    reader = FakeReader(lambda picture: [box(100, 60)])
    got = frames(23, reader, every=0.2)
    assert [f.number for f in got] == list(range(23))
    assert [f.time for f in got] == pytest.approx([k / 25 for k in range(23)])
    assert all([face.id for face in f.faces] == [1] for f in got)
    assert reader.detections == 5  # frames 0, 5, 10, 15, 20
    assert reader.classified == 23
    assert got[0].faces[0].box.left == pytest.approx(100, abs=0.5)


def test_a_blob_that_one_detection_saw_is_on_no_frame():
    calls = iter(range(100))
    reader = FakeReader(lambda picture: [box(100, 60)] if next(calls) == 1 else [])
    assert not any(f.faces for f in frames(25, reader, every=0.2))


def test_a_clip_of_one_frame_has_its_face():
    (frame,) = frames(1, FakeReader(lambda picture: [box(100, 60)]))
    assert frame.faces[0].id == 1


def test_answers_run_on_in_real_time_and_are_judged_on_the_mean():
    said = iter([0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    reader = FakeReader(lambda p: [box(100, 60)], lambda p, b: (next(said), None), unsure=0.7)
    got = [f.faces[0] for f in frames(6, reader, every=0.0, smooth=0.1)]
    weights = [math.exp(-(5 - k) * 0.04 / 0.1) for k in range(6)]
    want = np.average([0.9, 0.9, 0.1, 0.1, 0.1, 0.1], weights=weights)
    assert got[5].probabilities["happy"] == pytest.approx(want)
    assert got[5].label == "sad"
    assert got[5].confidence == pytest.approx(1 - want)
    assert [f.unsure for f in got] == [max(f.probabilities.values()) < 0.7 for f in got]
    assert {f.unsure for f in got} == {True, False}


def test_classification_of_every_third_frame_holds_between():
    reader = FakeReader(
        lambda p: [box(100, 60)], lambda p, b: (0.5 + reader.classified / 100, None)
    )
    got = frames(9, reader, every=0.2, classify=3, smooth=0.0)
    assert reader.classified == 3
    assert [f.faces[0].confidence for f in got] == pytest.approx(
        [0.51] * 3 + [0.52] * 3 + [0.53] * 3
    )


def test_novelty_is_a_mean_too_and_what_is_no_face_is_left_out():
    reader = FakeReader(lambda p: [box(100, 60)], lambda p, b: (0.9, 3.0), novel=2.0)
    assert not any(f.faces for f in frames(6, reader))
    kept = frames(6, reader, keep=True)
    assert kept[5].faces[0].answer == "not a face"
    assert kept[5].faces[0].novelty == pytest.approx(3.0)


def test_a_face_that_the_detector_loses_stays_while_the_network_sees_one():
    def shown(novelty):
        calls = iter(range(100))
        reader = FakeReader(
            lambda p: [box(100, 60)] if next(calls) < 2 else [],
            lambda p, b: (0.9, novelty),
            novel=2.0,
        )
        track = TrackOptions(misses=2, hold=1.6, memory=0.2)
        got = frames(60, reader, every=0.2, track=track)
        return max(f.time for f in got if f.faces)

    # Last detected at 0.2 s: held to 1.8 s and the frames before the next detection. Without a
    # score it is hidden by the second miss, at 0.6 s.
    assert shown(1.0) == pytest.approx(1.96)
    assert shown(None) == pytest.approx(0.56)


def test_boxes_of_a_large_picture_are_in_its_own_pixels():
    large = texture(height=480, width=640)
    seen = []

    def detect(picture):
        seen.append(picture.shape)
        return [box(50, 30, 50)]

    reader = FakeReader(detect)
    got = list(watch(clip(3, picture=large), reader, VideoOptions(side=320)))
    assert seen[0] == (240, 320, 3)
    assert got[0].faces[0].box.left == pytest.approx(100, abs=1)
    assert got[0].faces[0].box.width == pytest.approx(100, abs=1)
    assert got[0].picture.shape == (480, 640, 3)


def test_a_clip_is_sought_through_at_the_detectors_size():
    large, seen = texture(height=480, width=1200), []
    reader = FakeReader(lambda picture: seen.append(picture.shape) or [])
    for settings, side, width in (({}, None, 640), ({"working": 1000}, None, 1000),
                                  ({"working": 1000}, 320, 320),
                                  ({"working": 2000}, None, 1200)):  # fmt: skip
        reader.detector.settings = settings
        seen.clear()
        list(watch(clip(1, picture=large), reader, VideoOptions(side=side)))
        assert seen == [(round(480 * width / 1200), width, 3)]


def test_haar_keeps_up_with_a_clip_by_a_quicker_search_at_five_eighths():
    reader = FakeReader(lambda picture: [])
    for working, quick in ((640, 400), (1280, 800), (64, 64)):
        reader.detector = HaarDetector(working=working)
        search, again = _detectors(reader, VideoOptions())
        assert search.settings == {"working": quick, "smallest": 24, "quick": True, "least": 6.0}
        assert again is not None
        assert _detectors(reader, VideoOptions(thorough=True)) == (reader.detector, None)


def test_no_more_than_a_few_pieces_are_held():
    class Picture(np.ndarray):
        """One that can be watched."""

    alive, most = 0, 0

    def gone():
        nonlocal alive
        alive -= 1

    def made():
        nonlocal alive, most
        for k in range(200):
            picture = PICTURE.copy().view(Picture)
            weakref.finalize(picture, gone)
            alive += 1
            most = max(most, alive)
            yield k / 25, picture
            del picture

    class Endless(FakeClip):
        def frames(self):
            return made()

    for frame in watch(Endless([]), FakeReader(lambda p: [box(100, 60)]), VideoOptions(every=0.2)):
        del frame
    assert 5 < most <= 2 * 5 + 3  # two pieces of five, and what is just being handed over


def test_without_a_detector_the_frame_is_one_face():
    reader = FakeReader(lambda picture: [])
    reader.detector.name = "none"
    got = frames(7, reader, every=0.2)
    assert [[(f.id, f.box) for f in frame.faces] for frame in got] == [[(1, None)]] * 7


def test_an_error_of_the_detector_ends_the_clip():
    def broken(picture):
        raise RecordError("broken")

    with pytest.raises(RecordError, match="broken"):
        frames(10, FakeReader(broken))


def test_options_out_of_range():
    for wrong in ({"every": -1}, {"classify": 0}, {"smooth": -1}, {"side": 8}):
        with pytest.raises(OptionError):
            VideoOptions(**wrong)
