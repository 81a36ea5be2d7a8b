"""Faces through a clip: found now and then, followed between, each with an id and a running answer.

Frames go through in pieces, from one detection to the next, and no more than two pieces are held
at a time, however long the clip is. While one piece is followed and classified, a thread of its
own detects on the frame after it. A piece is handed out once the next detection has agreed with
it, so that a face is there from the first frame on which it was seen, and a blob is on none.

A face's probabilities are the mean of what the classifier said of it, a saying of t seconds ago
weighing exp(-t / smooth); "unsure" and "not a face" are judged on such means.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.predict.boxes import SIZES, overlap, scale_box
from mien.predict.clips import Clip
from mien.predict.faces import Detector, size_of
from mien.predict.haar import HaarDetector
from mien.predict.pipeline import Predictor
from mien.predict.track import Decaying, Track, Tracker, TrackOptions
from mien.types import Box, Detection, Face

_SIDE = 640
_PIECE = 16  # frames between detections, at most: what is held of a clip


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """How a clip is read.

    every: seconds between detections; 0 detects on each frame. thorough: search with the
    predictor's own detector; else Haar cascades are used in a form that keeps up with a clip
    (upright frontal faces, and all the cascades only where a known face is no longer seen).
    classify: each face is classified on every so-manieth frame. smooth: seconds after which a
    saying weighs 1/e; 0 for none. side: the longer side, in pixels, of the picture in which faces
    are sought and followed, None for the size of the predictor's detector (640 where it has none);
    crops are cut from the whole one. keep: give out what is not a face as well.
    """

    every: float = 0.4
    thorough: bool = False
    classify: int = 1
    smooth: float = 0.5
    side: int | None = None
    keep: bool = False
    track: TrackOptions = field(default_factory=TrackOptions)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            OptionError: a value out of its range.
        """
        small = self.side is not None and self.side < 64
        if self.every < 0 or self.classify < 1 or self.smooth < 0 or small:
            raise OptionError(
                "a clip is read with 'every' and 'smooth' of at least 0 seconds, 'classify' of at "
                "least 1 frame and 'side' of at least 64 pixels"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """number: from 0. time: seconds. picture: uint8 H×W×3 RGB. faces: by id."""

    number: int
    time: float
    picture: NDArray[np.uint8]
    faces: list[Face]


@dataclass(eq=False)
class _Shot:
    """A frame on its way; small, grey: what is searched and followed; boxes: in ``small``."""

    number: int
    time: float
    picture: NDArray[np.uint8]
    small: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    boxes: list[tuple[Track, Box | None, float]] = field(default_factory=list)
    faces: list[tuple[Track, Face]] = field(default_factory=list)


_Piece = tuple[list[_Shot], "Future[list[Detection]]"]


@dataclass(eq=False)
class _Opinion:
    """What was said of one track so far."""

    probabilities: Decaying
    novelty: Decaying
    face: Face | None = None


def watch(clip: Clip, predictor: Predictor, options: VideoOptions | None = None) -> Iterator[Frame]:
    """Every frame of a clip with its faces, in order; runs at constant memory.

    Faces of a frame are those seen on it, by id. The first frames of a face that a later
    detection confirms have it too. Frames come up to two detections after they were read.

    Raises:
        RecordError: the clip has not one frame.
    """
    options = options or VideoOptions()
    side = options.side or size_of(predictor.detector) or _SIDE
    watching = _Watching(predictor, options)
    waiting: list[_Shot] = []
    with ThreadPoolExecutor(1, "mien-detect") as aside:
        search = watching.search
        for shots, detection in _pieces(clip, search, options.every, side, aside):
            watching.open(shots[0], list(detection.result()))
            yield from watching.given(waiting)
            for shot in shots[1:]:
                watching.follow(shot)
            watching.classify(shots)
            waiting = shots
        watching.tracker.finish()
        yield from watching.given(waiting)


class _Watching:
    """The state of one clip."""

    def __init__(self, predictor: Predictor, options: VideoOptions) -> None:
        self.predictor, self.options = predictor, options
        self.tracker = Tracker(options.track)
        self._opinions: dict[Track, _Opinion] = {}
        self.search, self._near = _detectors(predictor, options)
        self._unsure = predictor.unsure_below
        # With the detector "none" a clip shows one face, as large as the frame.
        whole = Track(box=Box(left=0, top=0, width=0, height=0), score=0.0, time=0.0, id=1)
        self._whole = whole if predictor.detector.name == "none" else None
        self._novel = predictor.classifier.novelty_threshold

    def open(self, shot: _Shot, found: list[Detection]) -> None:
        """Begin a piece with the detections of its first frame."""
        if not self._whole:
            self.tracker.follow(shot.grey, shot.time)
            again = self._again(shot, found)
            self.tracker.detect([*found, *again], shot.time, still=self._still())
        self._note(shot)
        if self._whole:
            return
        tracks = set(self.tracker.tracks)
        self._opinions = {t: o for t, o in self._opinions.items() if t in tracks}

    def _again(self, shot: _Shot, found: list[Detection]) -> list[Detection]:
        """Known faces that the quick search did not see, looked for thoroughly where they are."""
        least, again = self.options.track.overlap, []
        if self._near is None:
            return []
        for track in self.tracker.tracks:
            if track.visible and all(overlap(track.box, one.box) < least for one in found):
                left, top, part = _around(shot.small, track.box)
                for one in self._near.detect(part):
                    box = replace(one.box, left=one.box.left + left, top=one.box.top + top)
                    if overlap(track.box, box) >= least:
                        again.append(replace(one, box=box))
                        break
        return again

    def _still(self) -> list[Track]:
        """Tracks whose boxes hold a face by the network's own score."""
        said = ((track, opinion.face) for track, opinion in self._opinions.items())
        return [t for t, f in said if f and f.novelty is not None and not f.not_a_face]

    def follow(self, shot: _Shot) -> None:
        """Take the boxes along to the next frame."""
        if not self._whole:
            self.tracker.follow(shot.grey, shot.time)
        self._note(shot)

    def classify(self, shots: list[_Shot]) -> None:
        """Classify a piece's boxes, all in one go, and let the answers run on."""
        known = set(self._opinions)
        asked: list[list[tuple[Track, Box | None, float]]] = []
        for shot in shots:
            due = shot.number % self.options.classify == 0
            asked.append([b for b in shot.boxes if due or b[0] not in known])
            known.update(track for track, _, _ in shot.boxes)
        factors = [_factor(shot) for shot in shots]
        boxes = [[_scaled(box, f) for _, box, _ in one]
                 for one, f in zip(asked, factors, strict=True)]  # fmt: skip
        told = self.predictor.faces_at([shot.picture for shot in shots], boxes, views=1)
        for shot, one, faces, factor in zip(shots, asked, told, factors, strict=True):
            for (track, _, _), face in zip(one, faces, strict=True):
                self._hear(track, face, shot.time)
            for track, box, score in shot.boxes:
                said = self._opinions[track].face
                assert said is not None
                placed = replace(said, box=_scaled(box, factor), score=score if box else None)
                shot.faces.append((track, placed))

    def given(self, shots: list[_Shot]) -> Iterator[Frame]:
        """The frames of a piece, with those of its faces that count."""
        for shot in shots:
            faces = [replace(face, id=track.id) for track, face in shot.faces if track.confirmed
                     and (self.options.keep or self._whole or not face.not_a_face)]  # fmt: skip
            yield Frame(number=shot.number, time=shot.time, picture=shot.picture,
                        faces=sorted(faces, key=lambda face: face.id or 0))  # fmt: skip

    def _note(self, shot: _Shot) -> None:
        if self._whole:
            shot.boxes = [(self._whole, None, 0.0)]
            return
        shot.boxes = [(t, t.box, t.score) for t in self.tracker.tracks if t.visible]

    def _hear(self, track: Track, face: Face, time: float) -> None:
        smooth = self.options.smooth
        if track not in self._opinions:
            self._opinions[track] = _Opinion(Decaying(smooth), Decaying(smooth))
        opinion = self._opinions[track]
        mean = opinion.probabilities.add(np.array(list(face.probabilities.values())), time)
        novelty = None
        if face.novelty is not None:
            novelty = float(opinion.novelty.add(face.novelty, time))
        opinion.face = self._judged(face, dict(zip(face.probabilities, mean.tolist(), strict=True)),
                                    novelty)  # fmt: skip

    def _judged(
        self, face: Face, probabilities: Mapping[str, float], novelty: float | None
    ) -> Face:
        label = max(probabilities, key=lambda name: probabilities[name])
        confidence = probabilities[label]
        novel = face.not_a_face
        if novelty is not None and self._novel is not None:
            novel = novelty > self._novel
        return replace(face, probabilities=probabilities, label=label, confidence=confidence,
                       unsure=confidence < self._unsure, novelty=novelty,
                       not_a_face=novel)  # fmt: skip


def _detectors(predictor: Predictor, options: VideoOptions) -> tuple[Detector, HaarDetector | None]:
    """What searches whole frames, and what searches again about a known face."""
    if options.thorough or not isinstance(predictor.detector, HaarDetector):
        return predictor.detector, None
    # At 400 pixels, where pictures are searched at 640, a face is found from 1/17 of the frame's
    # width on, in an eighth of the time.
    # A clip's faces are seen often, so a blob need not be let in on a low score.
    working = max(SIZES[0], predictor.detector.working * 5 // 8)
    again = HaarDetector(working=144, smallest=40)
    return HaarDetector(working=working, quick=True, least=6.0), again


def _around(picture: NDArray[np.uint8], box: Box) -> tuple[int, int, NDArray[np.uint8]]:
    """The part of a picture that holds a box and 0.4 of its size on each side; its left and top."""
    height, width = picture.shape[:2]
    left = min(max(0, round(box.left - 0.4 * box.width)), width - 1)
    top = min(max(0, round(box.top - 0.4 * box.height)), height - 1)
    right = max(left + 1, round(box.left + 1.4 * box.width))
    bottom = max(top + 1, round(box.top + 1.4 * box.height))
    return left, top, np.ascontiguousarray(picture[top:bottom, left:right])


def _pieces(
    clip: Clip, search: Detector, every: float, side: int, aside: ThreadPoolExecutor
) -> Iterator[_Piece]:
    """Frames from one detection to the next; the next one runs while a piece is worked on."""
    piece: list[_Shot] = []
    detection: Future[list[Detection]] | None = None
    for number, (seconds, picture) in enumerate(clip.frames()):
        shot = _shot(number, seconds, picture, side)
        # Half a millisecond: times are rounded in most containers.
        due = not piece or seconds - piece[0].time >= every - 5e-4 or len(piece) >= _PIECE
        if due:
            found = aside.submit(search.detect, shot.small)
            if detection is not None:
                yield piece, detection
            piece, detection = [], found
        piece.append(shot)
    if detection is not None:
        yield piece, detection


def _shot(number: int, seconds: float, picture: NDArray[np.uint8], side: int) -> _Shot:
    height, width = picture.shape[:2]
    factor = min(1.0, side / max(height, width))
    small = picture
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    return _Shot(number=number, time=seconds, picture=picture, small=small, grey=grey)


def _factor(shot: _Shot) -> float:
    return float(shot.picture.shape[1] / shot.small.shape[1])


def _scaled(box: Box | None, factor: float) -> Box | None:
    return None if box is None else scale_box(box, factor)
