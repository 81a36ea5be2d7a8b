"""Tracking against places that are known, and the running mean against its formula."""

import math

import cv2
import numpy as np
import pytest
from fake_reader import box, texture

from mien.errors import OptionError
from mien.jobs.drawn_clip import drawn_frames
from mien.predict.boxes import overlap, scale_box
from mien.predict.track import Decaying, Tracker, TrackOptions
from mien.types import Detection


def found(*boxes):
    return [Detection(box=b, score=1.0) for b in boxes]


def blank():
    return np.full((240, 320), 128, np.uint8)


def test_overlap_by_hand():
    assert overlap(box(0, 0), box(50, 0)) == pytest.approx(50 / 150)
    assert overlap(box(0, 0), box(0, 0)) == 1
    assert overlap(box(0, 0), box(100, 0)) == 0
    assert scale_box(box(10, 20), 2) == box(20, 40, 200)


def test_points_follow_a_shift_and_a_growth_between_detections():
    picture = texture()[..., 0]
    tracker = Tracker(TrackOptions(births=1))
    tracker.follow(picture, 0.0)
    tracker.detect(found(box(100, 60)), 0.0)
    for n in range(1, 6):  # 3 right, 2 down a frame, and 2 % larger about the box's middle
        scale = 1.02**n
        turn = np.float32([[scale, 0, 150 - scale * 150 + 3 * n],
                           [0, scale, 110 - scale * 110 + 2 * n]])  # fmt: skip
        tracker.follow(cv2.warpAffine(picture, turn, (320, 240)), n / 25)
    (track,) = tracker.tracks
    assert track.visible
    side = 100 * 1.02**5
    assert track.box.width == pytest.approx(side, rel=0.02)
    assert track.box.left == pytest.approx(150 + 15 - side / 2, abs=2)
    assert track.box.top == pytest.approx(110 + 10 - side / 2, abs=2)
    assert track.velocity[0] == pytest.approx(75, rel=0.4)


def test_drawn_people_are_followed_from_one_detection_a_second():
    tracker, worst = Tracker(TrackOptions(births=1)), 1.0
    for n, frame in enumerate(drawn_frames(1.4, people=2, seed=1)):
        tracker.follow(cv2.cvtColor(frame.picture, cv2.COLOR_RGB2GRAY), frame.time)
        if n % 25 == 0:
            tracker.detect(found(*frame.boxes), frame.time)
        for track, truth in zip(tracker.tracks, frame.boxes, strict=True):
            worst = min(worst, overlap(track.box, truth))
    assert [t.id for t in tracker.tracks] == [1, 2]
    assert worst > 0.75


def test_a_cut_hides_a_face_until_it_is_seen_again():
    tracker = Tracker(TrackOptions(births=1))
    tracker.follow(texture(1)[..., 0], 0.0)
    tracker.detect(found(box(100, 60)), 0.0)
    tracker.follow(blank(), 0.04)
    assert not tracker.tracks[0].visible
    tracker.detect(found(box(104, 60)), 0.04)
    assert tracker.tracks[0].visible
    assert tracker.tracks[0].id == 1
    assert tracker.tracks[0].box == box(104, 60)  # no averaging with a guess


def test_what_is_found_once_is_no_face_and_ids_have_no_gaps():
    tracker = Tracker()
    for n, boxes in enumerate([[box(0, 0), box(180, 100)], [box(4, 0)], [box(8, 0), box(180, 0)],
                               [box(12, 0), box(180, 4)]]):  # fmt: skip
        tracker.follow(blank(), n * 0.2)
        tracker.detect(found(*boxes), n * 0.2)
        if n == 0:
            assert not any(t.confirmed for t in tracker.tracks)
    assert sorted((t.id, t.seen) for t in tracker.tracks) == [(1, 4), (2, 2)]


def test_a_face_keeps_its_id_over_misses_and_loses_it_after_the_memory():
    options = TrackOptions(births=1, misses=2, memory=1.0)
    tracker = Tracker(options)
    ids = []
    for n, seen in enumerate([1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]):
        tracker.follow(blank(), n * 0.2)
        tracker.detect(found(box(50, 50)) if seen else [], n * 0.2)
        ids.append([t.id for t in tracker.tracks if t.visible])
    assert ids[0] == ids[1] == ids[5] == [1]
    assert ids[4] == []
    assert ids[12] == [2]


def test_the_memory_begins_when_a_face_is_no_longer_shown():
    tracker = Tracker(TrackOptions(births=1, misses=4, memory=0.5))
    picture = texture(1)[..., 0]
    shown = []
    for n in range(6):  # missed at 0.2, 0.4, 0.6; hidden at 0.8, and remembered from 0.6 to 1.1
        tracker.follow(picture, n * 0.2)
        tracker.detect(found(box(100, 60)) if n == 0 else [], n * 0.2)
        shown.append([t.id for t in tracker.tracks if t.visible])
    assert shown == [[1]] * 4 + [[]] * 2
    tracker.follow(picture, 1.05)
    tracker.detect(found(box(100, 60)), 1.05)
    assert [t.id for t in tracker.tracks] == [1]


def test_what_still_looks_like_a_face_is_shown_for_as_long_as_it_may_be_held():
    tracker = Tracker(TrackOptions(births=1, misses=2, hold=1.0, memory=0.3))
    picture = texture(1)[..., 0]
    shown = []
    for n in range(9):
        tracker.follow(picture, n * 0.2)
        tracker.detect(found(box(100, 60)) if n == 0 else [], n * 0.2, still=tracker.tracks)
        shown.append([t.id for t in tracker.tracks if t.visible])
    assert shown == [[1]] * 6 + [[]] * 3  # up to 1.0 s
    assert tracker.tracks == []


def test_a_lost_face_goes_on_ever_slower():
    tracker = Tracker(TrackOptions(births=1, memory=60.0))
    tracker.follow(texture(1)[..., 0], 0.0)
    tracker.detect(found(box(100, 60)), 0.0)
    tracker.tracks[0].velocity = (80.0, 0.0)
    places = []
    for n in range(1, 201):
        tracker.follow(blank(), n * 0.02)
        places.append(tracker.tracks[0].box.left)
    # The sum of 80 × 0.02 × exp(-0.02 k / 0.5), a geometric series, about 80 × 0.5 = 40 pixels.
    ratio = math.exp(-0.02 / 0.5)
    assert places[-1] == pytest.approx(100 + 80 * 0.02 * (1 - ratio**200) / (1 - ratio))
    assert places[0] == pytest.approx(101.6)


def test_the_largest_overlap_wins():
    tracker = Tracker(TrackOptions(births=1, pull=1.0))
    tracker.follow(blank(), 0.0)
    tracker.detect(found(box(0, 0), box(60, 0)), 0.0)
    for track in tracker.tracks:
        track.visible = True
    tracker.detect(found(box(50, 0), box(110, 0)), 0.1)
    # 1 overlaps (50) a third; 2 overlaps (50) 9/11 and (110) a third.
    assert {t.id: t.box.left for t in tracker.tracks if t.missed == 0} == {2: 50, 3: 110}


def test_one_detection_in_all_is_enough_at_the_end():
    tracker = Tracker()
    tracker.follow(blank(), 0.0)
    tracker.detect(found(box(0, 0)), 0.0)
    tracker.finish()
    assert tracker.tracks[0].id == 1


def test_the_running_mean_is_the_weighted_mean_of_all():
    mean, constant = Decaying(0.4), 0.4
    times, values = [0.0, 0.04, 0.3, 1.1], np.array([[1, 0], [0.2, 0.8], [0.5, 0.5], [0, 1.0]])
    for time, value in zip(times, values, strict=True):
        out = mean.add(value, time)
    weights = [math.exp(-(times[-1] - t) / constant) for t in times]
    assert out == pytest.approx(np.average(values, axis=0, weights=weights))
    assert out.sum() == pytest.approx(1)
    assert Decaying(0).add(0.3, 5.0) == pytest.approx(0.3)


def test_options_out_of_range():
    for wrong in ({"overlap": 0}, {"births": 0}, {"pull": 2}, {"memory": -1}, {"hold": -1}):
        with pytest.raises(OptionError):
            TrackOptions(**wrong)
