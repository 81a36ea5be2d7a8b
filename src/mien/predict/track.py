"""Faces kept apart through a clip: who is who between two detections, and what was said so far.

A detector is too slow for every frame. On the frames between, each face's box follows what is in it
(``flow``); ``bench/tracking.py`` measures this against holding still and velocity alone. A face
whose points are lost (a cut, a hand before it) goes on at its last velocity, ever slower, but is
not shown until a detector sees it again.

On a frame with detections, pairs of a track and a detection are taken greedily by overlap, the
largest first; with the few faces of a frame this differs from the best assignment only where three
boxes overlap. A new face counts once several detections in a row agree, so a blob that is found
once never shows; a face that is missed is remembered for a while and gets its old id back.

Knows nothing of files or classifiers.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.predict.boxes import moved, overlap
from mien.predict.flow import flow
from mien.types import Box, Detection

_VELOCITY_MEMORY = 0.2  # seconds over which velocity is averaged
_SLOWING = 0.5  # seconds after which a face that is lost goes on at 1/e of its velocity


@dataclass(frozen=True, kw_only=True)
class TrackOptions:
    """How faces are told apart through a clip.

    overlap: intersection over union from which a detection continues a track. births: detections
    in a row that make a face. misses: detections in a row without it after which it is no longer
    shown, unless something else than the detector still takes it for a face; then hold seconds
    after it was last detected. memory: seconds for which a face that is no longer shown keeps its
    id. pull: how far a box goes from where the points lead to where the detector sees it, 0..1;
    below 1 the box shakes less.
    """

    overlap: float = 0.25
    births: int = 2
    misses: int = 3
    hold: float = 5.0
    memory: float = 2.0
    pull: float = 0.6

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            OptionError: a value out of its range.
        """
        inside = 0 < self.overlap < 1 and 0 < self.pull <= 1
        counts = self.births >= 1 and self.misses >= 1
        if not (inside and counts and self.memory >= 0 and self.hold >= 0):
            raise OptionError(f"{self}: a value out of its range")


@dataclass(eq=False)
class Track:
    """One face in the making or made.

    id: 1, 2, … in the order in which faces are confirmed; 0 before that. box: in pixels of the
    frames that are tracked. score: the last detection's. seen, missed: detections with it, and
    without it since. visible: it is seen now, by the detector or by its points. time: of ``box``,
    seconds. velocity: of the middle, pixels a second. last_seen, last_shown: by the detector, and
    visible at all; seconds.
    """

    box: Box
    score: float
    time: float
    id: int = 0
    seen: int = 1
    missed: int = 0
    visible: bool = True
    velocity: tuple[float, float] = (0.0, 0.0)
    last_seen: float = 0.0
    last_shown: float = 0.0

    @property
    def confirmed(self) -> bool:
        """Whether it counts as a face."""
        return self.id > 0


class Tracker:
    """Boxes with ids, from frames and now and then detections; one for each clip."""

    def __init__(self, options: TrackOptions | None = None) -> None:
        self.options = options or TrackOptions()
        self.tracks: list[Track] = []
        self._grey: NDArray[np.uint8] | None = None
        self._count = 0
        self._detections = 0

    def follow(self, grey: NDArray[np.uint8], time: float) -> None:
        """Take the boxes along to the next frame.

        Args:
            grey: uint8 H×W, of one size through the clip.
            time: seconds, later than the frame before.
        """
        before, self._grey = self._grey, grey
        if before is None or not self.tracks:
            return
        moves = flow(before, grey, [t.box if t.visible else None for t in self.tracks])
        for track, move in zip(self.tracks, moves, strict=True):
            passed = time - track.time
            if move is None:
                track.visible = False
                dx, dy = (v * passed for v in track.velocity)
                shifted = moved(track.box, dx, dy, 1.0)
                vx, vy = (v * math.exp(-passed / _SLOWING) for v in track.velocity)
                track.velocity = (vx, vy)
            else:
                shifted = moved(track.box, *move)
                _accelerate(track, shifted, passed)
            track.box, track.time = shifted, time

    def detect(
        self, detections: Sequence[Detection], time: float, *, still: Collection[Track] = ()
    ) -> None:
        """Join what a detector saw on the frame that ``follow`` was last called with.

        Args:
            still: tracks that are faces to somebody else, should the detector miss them.
        """
        self._detections += 1
        pairs = _pairs([t.box for t in self.tracks], [d.box for d in detections],
                       self.options.overlap)  # fmt: skip
        for t, d in pairs.items():
            self._see(self.tracks[t], detections[d], time)
        for t, track in enumerate(self.tracks):
            if t not in pairs:
                track.missed += 1
                held = track in still and time - track.last_seen <= self.options.hold
                track.visible &= held or track.missed < self.options.misses
            if track.visible:
                track.last_shown = time
        self.tracks = [t for t in self.tracks if self._kept(t, time)]
        for d, found in enumerate(detections):
            if d not in pairs.values():
                track = Track(box=found.box, score=found.score, time=time, last_seen=time,
                              last_shown=time)  # fmt: skip
                self._confirm(track)
                self.tracks.append(track)

    def finish(self) -> None:
        """The clip is over: where there was but one detection, what it saw are faces."""
        if self._detections < self.options.births:
            for track in self.tracks:
                track.seen = self.options.births
                self._confirm(track)

    def _see(self, track: Track, found: Detection, time: float) -> None:
        box = found.box if not track.visible else _between(track.box, found.box, self.options.pull)
        track.box, track.score, track.time, track.last_seen = box, found.score, time, time
        track.seen, track.missed, track.visible = track.seen + 1, 0, True
        self._confirm(track)

    def _confirm(self, track: Track) -> None:
        if not track.confirmed and track.seen >= self.options.births:
            self._count += 1
            track.id = self._count

    def _kept(self, track: Track, time: float) -> bool:
        if not track.confirmed:
            return track.missed == 0
        return track.visible or time - track.last_shown <= self.options.memory


class Decaying:
    """A mean in which each value weighs exp(-age / constant): old ones fade in real time.

    Frames may come at any rate; values of one shape. At the start it is the plain mean of what
    there is, so nothing is drawn towards the first value. A mean of distributions is one.
    """

    def __init__(self, constant: float) -> None:
        self._constant, self._time, self._weight = constant, 0.0, 0.0
        self.mean: NDArray[np.float64] | None = None

    def add(self, value: NDArray[np.floating] | float, time: float) -> NDArray[np.float64]:
        """The mean with ``value`` of ``time`` (seconds) in it; a constant of 0 gives it alone."""
        new = np.asarray(value, dtype=np.float64)
        passed = max(0.0, time - self._time)
        old = math.exp(-passed / self._constant) if self._constant > 0 else 0.0
        self._weight, self._time = self._weight * old + 1, time
        mean = new if self.mean is None else self.mean + (new - self.mean) / self._weight
        self.mean = np.asarray(mean, dtype=np.float64)
        return self.mean


def _pairs(tracks: list[Box], found: list[Box], least: float) -> dict[int, int]:
    """Track to detection, greedily by overlap."""
    overlaps = sorted(
        ((overlap(a, b), -t, -d) for t, a in enumerate(tracks) for d, b in enumerate(found)),
        reverse=True,
    )
    pairs: dict[int, int] = {}
    for value, t, d in overlaps:
        if value >= least and -t not in pairs and -d not in pairs.values():
            pairs[-t] = -d
    return pairs


def _between(a: Box, b: Box, share: float) -> Box:
    """``share`` of the way from a to b; the angle is b's."""
    numbers = {
        name: (1 - share) * getattr(a, name) + share * getattr(b, name)
        for name in ("left", "top", "width", "height")
    }
    return Box(**numbers, angle=b.angle)


def _accelerate(track: Track, moved: Box, passed: float) -> None:
    if passed <= 0:
        return
    share = 1 - math.exp(-passed / _VELOCITY_MEMORY)
    old = track.box
    now = (
        (moved.left - old.left + (moved.width - old.width) / 2) / passed,
        (moved.top - old.top + (moved.height - old.height) / 2) / passed,
    )
    x, y = ((1 - share) * v + share * n for v, n in zip(track.velocity, now, strict=True))
    track.velocity = (x, y)
