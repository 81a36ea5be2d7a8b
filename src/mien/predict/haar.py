"""Faces by OpenCV's Haar cascades, several of which must agree.

Every cascade says where its windows fit, without the grouping that OpenCV does by default; a tilted
head is looked for in the picture turned both ways, a profile in the picture and its mirror image.
Each window is brought to one geometry, the square that FER2013 would have cut, by what was measured
for its cascade; windows that agree are merged, and their weighted number is the score. The
threshold is low: what is left of false alarms is for the classifier's not-a-face score.

Viola and Jones 2001, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR;
cascades by Lienhart and Maydt 2002 as OpenCV ships them. Measured in docs/results/detection.md,
where ``alt_tree`` was found to add nothing.
"""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.predict.boxes import apart, check_size, turned
from mien.types import Box, Detection

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """One look at the picture.

    cascade: the end of its file's name. step: between sizes. smallest: side of the smallest
    window, as a multiple of the detector's. turn: degrees by which a head is tilted clockwise that
    stands upright in it. mirrored: look at the mirror image. weight: of one window in the score.
    scale, right, down: from the window to the face, as parts of the window's side.
    """

    cascade: str
    step: float
    smallest: float = 1.0
    turn: float = 0.0
    mirrored: bool = False
    weight: float = 1.0
    scale: float = 1.05
    right: float = 0.0
    down: float = 0.012


_MAIN = _Pass(cascade="frontalface_alt2", step=1.1)
_SECOND = _Pass(cascade="frontalface_default", step=1.2, smallest=1.5)
_TURN = 22.0
_QUICK = (_MAIN, _SECOND)
_THOROUGH = (
    *_QUICK,
    _Pass(cascade="frontalface_alt", step=1.2, smallest=1.5),
    _Pass(cascade="frontalface_alt2", step=1.2, smallest=1.5, turn=_TURN),
    _Pass(cascade="frontalface_alt2", step=1.2, smallest=1.5, turn=-_TURN),
    _Pass(cascade="profileface", step=1.2, smallest=1.5, scale=1.1, right=-0.17, down=0.03),
    _Pass(cascade="profileface", step=1.2, smallest=1.5, scale=1.1, right=-0.17, down=0.03,
          mirrored=True),
)  # fmt: skip
_PAD = 0.08  # of the shorter side; a face at the edge of the picture needs surroundings
_ENLARGED_TO, _MOST_ENLARGED = 200, 3.0
_LEFT_TILTED = 10.0
_LONGEST = 16_000
_ALONE = 1280  # above, one search at a time: each takes hundreds of megabytes, and all cores
_NEAR, _LIKE = 0.3, 1.5  # windows agree whose middles and whose sides differ by less


class HaarDetector:
    """Frontal, tilted and half-turned faces by agreement of cascades.

    Args:
        working: the picture is brought to the area of ``working`` × 3/4 ``working`` pixels before
            it is searched, its border with it, if it is larger; this bounds the time. Above 1280
            threads search one after the other, since each search takes hundreds of megabytes.
        smallest: side in pixels, then, of the smallest face.
        quick: look for upright frontal faces only, in about a third of the time.
        least: the lowest score that counts as a face.

    Raises:
        OptionError: a value out of its range.
    """

    name = "haar"
    sure = 10.0

    def __init__(
        self, *, working: int = 640, smallest: int = 24, quick: bool = False, least: float = 4.0
    ) -> None:
        check_size(working)
        if smallest < 20 or least < 0:
            raise OptionError(f"haar: smallest from 20 and least from 0 on, not {smallest} and "
                              f"{least:g}")  # fmt: skip
        self.working, self.smallest, self.least = working, smallest, least
        self._passes = _QUICK if quick else _THOROUGH
        self.settings = {"working": working, "smallest": smallest, "quick": quick, "least": least}
        self._room = threading.Semaphore(1) if working > _ALONE else contextlib.nullcontext()
        self._idle: list[dict[str, cv2.CascadeClassifier]] = []
        self._lock = threading.Lock()
        # Parsing them takes 60 ms, in which a model may be opened beside.
        beside = ThreadPoolExecutor(1)
        self._first: Future[dict[str, cv2.CascadeClassifier]] | None = beside.submit(self._load)
        beside.shutdown(wait=False)

    def detect(self, picture: NDArray[np.uint8]) -> list[Detection]:
        """See ``Detector.detect``. The score is the weighted number of windows that agree."""
        grey, factor, pad = self._prepared(picture)
        if min(grey.shape) < self.smallest:
            return []
        with self._room, self._cascades() as cascades:
            found = [self._windows(grey, one, cascades[one.cascade]) for one in self._passes]
        windows = np.concatenate(found)
        # OpenCV's threads hand windows back in any order; sorted, the same sums come out.
        windows = windows[np.lexsort(windows.T)]
        merged = _merged(windows, self.least)
        return [_detection(row, factor, pad) for row in sorted(merged, key=lambda r: -r[2])]

    def factor(self, height: int, width: int, working: int) -> float:
        """By how much a picture would be enlarged, or reduced (below 1), to be searched."""
        around = 1 + 2 * _PAD * min(height, width) / np.array([height, width])
        area = height * width * around.prod()
        most = (working * working * 0.75 / area) ** 0.5
        wanted = min(_MOST_ENLARGED, max(1.0, _ENLARGED_TO / max(height, width)))
        return float(min(most, wanted, _LONGEST / max(height, width)))

    def _prepared(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float, int]:
        """The grey picture to search, the factor by which it was resized, and its added border."""
        height, width = picture.shape[:2]
        factor = self.factor(height, width, self.working)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        if factor != 1:
            size = (max(1, round(width * factor)), max(1, round(height * factor)))
            how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
            grey = cv2.resize(grey, size, interpolation=how)
        pad = round(_PAD * min(grey.shape))
        grey = cv2.copyMakeBorder(grey, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        # One object for each call, since it keeps buffers.
        flat = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(grey)
        return np.asarray(flat, dtype=np.uint8), factor, pad

    def _windows(
        self, grey: NDArray[np.uint8], one: _Pass, cascade: cv2.CascadeClassifier
    ) -> _Floats:
        """Rows of middle x, y, side, angle and weight, in the geometry of faces."""
        width = grey.shape[1]
        seen: NDArray[Any] = grey
        back: NDArray[Any] = np.eye(2, 3)
        if one.mirrored:
            seen = np.ascontiguousarray(grey[:, ::-1])
            back = np.array([[-1.0, 0, width - 1], [0, 1, 0]])
        if one.turn:
            seen, back = turned(grey, one.turn)
        side = round(self.smallest * one.smallest)
        raw = cascade.detectMultiScale(seen, one.step, 0, minSize=(side, side))
        if not len(raw):
            return np.empty((0, 5))
        x, y, w = np.asarray(raw, dtype=np.float64).T[:3]
        middle = np.stack([x + w * (0.5 + one.right), y + w * (0.5 + one.down), np.ones_like(x)])
        across, down = back @ (middle - [[0.5], [0.5], [0]])
        same = np.ones_like(x)
        return np.stack([across + 0.5, down + 0.5, w * one.scale, one.turn * same,
                         one.weight * same], axis=1)  # fmt: skip

    @contextlib.contextmanager
    def _cascades(self) -> Iterator[dict[str, cv2.CascadeClassifier]]:
        """A set of cascades for this thread alone; OpenCV's may not be shared."""
        with self._lock:
            first, self._first = self._first, None
            mine = self._idle.pop() if self._idle and first is None else None
        if mine is None:
            mine = first.result() if first else self._load()
        try:
            yield mine
        finally:
            with self._lock:
                self._idle.append(mine)

    def _load(self) -> dict[str, cv2.CascadeClassifier]:
        return {one.cascade: _load(one.cascade) for one in self._passes}


def _load(name: str) -> cv2.CascadeClassifier:
    path = Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"
    cascade = cv2.CascadeClassifier(str(path))
    if cascade.empty():
        raise OptionError(f"this OpenCV came without {path.name}; install opencv-python-headless<5")
    return cascade


def _merged(windows: _Floats, least: float) -> list[_Floats]:
    """Groups of windows that agree: rows of middle x, y, side, angle, score.

    The window with the most support takes all that agree with it; then the next, while the support
    is ``least`` or more. Two agree where their middles lie within 0.3 of the larger side and the
    sides within a factor of 1.5.
    """
    groups: list[_Floats] = []
    near, weights = _agreeing(windows), windows[:, 4]
    support = np.array([weights[some].sum() for some in near])
    left = np.ones(len(windows), dtype=bool)
    while left.any():
        best = int(np.where(left, support, -1.0).argmax())
        if support[best] < least:
            break  # and so has every other
        members = near[best][left[near[best]]]
        taken = windows[members]
        share = taken[:, 4] / taken[:, 4].sum()
        side = np.exp(share @ np.log(taken[:, 2]))
        groups.append(np.array([*(share @ taken[:, :2]), side, share @ taken[:, 3],
                                taken[:, 4].sum()]))  # fmt: skip
        left[members] = False
        for one in members:
            support[near[one]] -= weights[one]
    return apart(groups)


def _agreeing(windows: _Floats) -> list[NDArray[np.int64]]:
    """For each window those that agree with it, itself among them, by rising number.

    Compared are those beside it alone: in a large picture each with each would be millions.
    """
    order = windows[:, 0].argsort(kind="stable")
    across = windows[order, 0]
    near = []
    for x, y, side in windows[:, :3]:
        reach = _NEAR * _LIKE * side  # the larger of two that agree is smaller than _LIKE times
        start, end = np.searchsorted(across, (x - reach, x + reach))
        beside = order[start:end]
        other = windows[beside]
        larger, smaller = np.maximum(side, other[:, 2]), np.minimum(side, other[:, 2])
        away = np.hypot(other[:, 0] - x, other[:, 1] - y)
        near.append(np.sort(beside[(away < _NEAR * larger) & (larger < _LIKE * smaller)]))
    return near


def _detection(group: _Floats, factor: float, pad: int) -> Detection:
    side = float(group[2]) / factor
    left = (float(group[0]) - pad) / factor - side / 2
    top = (float(group[1]) - pad) / factor - side / 2
    # A face of FER2013 may be tilted as much as an upright window lets it, so a little is left.
    angle = float(group[3]) if abs(group[3]) > _LEFT_TILTED else 0.0
    box = Box(left=left, top=top, width=side, height=side, angle=angle)
    return Detection(box=box, score=float(group[4]))
