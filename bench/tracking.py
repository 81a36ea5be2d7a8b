"""How boxes are carried from one detection to the next: by points, by velocity, or not at all.

Drawn people whose place is known on every frame (``jobs.drawn_clip``); a detector that sees them
with an error of 3 pixels every n-th frame. Prints the mean and least overlap (intersection over
union) of followed boxes with the truth, ids per person, and milliseconds a frame.

    python bench/tracking.py [--seconds 6] [--people 2]
"""

import argparse
import statistics
import time

import cv2
import numpy as np

from mien.jobs.drawn_clip import drawn_frames
from mien.predict import track
from mien.predict.boxes import overlap
from mien.types import Box, Detection


class Velocity:
    """Boxes go on as between the last two detections; pairs by overlap, as in ``Tracker``."""

    def __init__(self, hold):
        self.hold, self.boxes, self.moves, self.ids, self.last, self.count = hold, [], [], [], 0, 0

    def follow(self, _, seconds):
        """Go on."""
        passed = seconds - self.last
        self.last = seconds
        if not self.hold:
            self.boxes = [moved(b, dx * passed, dy * passed)
                          for b, (dx, dy) in zip(self.boxes, self.moves, strict=True)]  # fmt: skip

    def detect(self, found, seconds):
        """Start again from what is found."""
        pairs = track._pairs(self.boxes, [d.box for d in found], 0.25)
        old = {d: t for t, d in pairs.items()}
        boxes, moves, ids = [], [], []
        for n, one in enumerate(found):
            move = (0.0, 0.0)
            if n in old:
                before, when = self.seen[old[n]], seconds - self.when
                move = ((one.box.left - before.left) / when, (one.box.top - before.top) / when)
                ids.append(self.ids[old[n]])
            else:
                self.count += 1
                ids.append(self.count)
            boxes.append(one.box)
            moves.append(move)
        self.boxes, self.moves, self.ids, self.seen, self.when = boxes, moves, ids, boxes, seconds

    def shown(self):
        """Ids and boxes."""
        return zip(self.ids, self.boxes, strict=True)


class Points(track.Tracker):
    """mien's own."""

    def shown(self):
        """Ids and boxes."""
        return [(t.id, t.box) for t in self.tracks if t.visible and t.confirmed]


def moved(box, dx, dy):
    return Box(left=box.left + dx, top=box.top + dy, width=box.width, height=box.height)


def measure(tracker, frames, every, people):
    chance, overlaps, ids, cost = np.random.default_rng(0), [], set(), []
    for number, frame in enumerate(frames):
        grey = cv2.cvtColor(frame.picture, cv2.COLOR_RGB2GRAY)
        start = time.process_time()
        tracker.follow(grey, frame.time)
        cost.append(time.process_time() - start)
        if number % every == 0:
            found = [Detection(box=moved(b, *chance.normal(0, 3, 2)), score=1.0)
                     for b in frame.boxes]  # fmt: skip
            tracker.detect(found, frame.time)
        for number_of, box in tracker.shown():
            ids.add(number_of)
            overlaps.append(max(overlap(box, truth) for truth in frame.boxes))
    return (statistics.mean(overlaps), min(overlaps), len(ids) / people,
            1000 * statistics.mean(cost))  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--people", type=int, default=2)
    given = parser.parse_args()
    frames = list(drawn_frames(given.seconds, people=given.people, seed=1))
    print("every   by         mean overlap   least   ids a person   ms a frame")
    for every in (5, 10, 25):
        options = track.TrackOptions(births=1)
        for name, tracker in (("points", Points(options)), ("velocity", Velocity(hold=False)),
                              ("nothing", Velocity(hold=True))):  # fmt: skip
            mean, least, ids, cost = measure(tracker, frames, every, given.people)
            print(f"{every:5}   {name:9} {mean:12.3f} {least:8.3f} {ids:12.1f} {cost:12.2f}")


if __name__ == "__main__":
    main()
