"""The pipeline for many callers at once: pictures are decoded and searched in a few threads, the
crops of all of them are classified together in one.

Knows nothing of HTTP. A caller goes through three steps, ``prepare`` (slow, in a thread of
``pool``), ``gather.submit`` and ``faces``; ``explain`` takes the place of the last two.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.jobs.gather import Gather, Pace, give_way
from mien.jobs.occlude import fall, squares
from mien.predict.looks import Cut
from mien.predict.pictures import read_picture
from mien.predict.pipeline import Predictor, kept
from mien.system import check_threads
from mien.types import Box, Detection, Face, Scores

if TYPE_CHECKING:
    from mien.jobs.foreign import Opened

T = TypeVar("T")

# Crops of a batch. Where several are answered at once, larger ones gain little and make the next
# request wait longer (docs/results/serve.md).
_ALONE, _SHARED = 64, 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A picture's faces, cut. height, width: of the upright picture."""

    height: int
    width: int
    cut: Cut

    @property
    def crops(self) -> NDArray[np.uint8]:
        """What is to be classified, uint8 N×C×size×size; of a doubtful face several crops."""
        return self.cut.crops


@dataclass(frozen=True, kw_only=True, eq=False)
class Map:
    """What a face's answer rests on. values: float32 H×W of a crop. target: the class explained.

    box: where the crop lies; None for the whole picture. crop: uint8 C×H×W. method: its name.
    """

    values: NDArray[np.float32]
    target: str
    box: Box | None
    crop: NDArray[np.uint8]
    method: str


class Service:
    """A predictor that many may ask.

    Args:
        network: gives the torch network behind the model, for gradients; None where there is none.
        workers: threads that decode and search; by default one a core. batches: how many are
            classified at once. most: crops of a batch; by default what was found best.
        told: see ``Gather``.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        name: str = "",
        network: Callable[[], "Opened"] | None = None,
        workers: int = 0,
        batches: int = 1,
        most: int = 0,
        wait: float = 0.002,
        told: Callable[[int, int], None] | None = None,
    ) -> None:
        self.predictor = predictor
        self.name = name or predictor.classifier.name
        self._workers = workers or os.cpu_count() or 1
        self.pool = ThreadPoolExecutor(
            self._workers, thread_name_prefix="mien-picture", initializer=give_way
        )
        self._pace = Pace()
        self.gather = Gather(
            predictor.classifier.classify, most=most or (_SHARED if batches > 1 else _ALONE),
            wait=wait, workers=batches, told=told,
        )  # fmt: skip
        self._network = network
        self._opened: Opened | None = None
        self._gradients = threading.Lock()

    @property
    def each(self) -> float:
        """Seconds that a request takes of the slowest stage, as lately measured; 0 at first."""
        return max(self._pace.seconds / self._workers, self.gather.each)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the model's classes."""
        return self.predictor.classifier.classes

    @property
    def methods(self) -> tuple[str, ...]:
        """Attribution methods that can be asked for, the default first."""
        if self._network is None:
            return ("occlusion",)
        from mien.explain import DEFAULT_METHOD
        from mien.explain.attribution import METHODS

        return (DEFAULT_METHOD, *(name for name in METHODS if name != DEFAULT_METHOD))

    def prepare(self, data: bytes, *, whole: bool = False) -> Prepared:
        """Decode one picture, find its faces, cut them; ``whole``: it is one face crop.

        Raises:
            DataError: no picture, broken, or too many pixels.
        """
        begin = time.perf_counter()
        picture = read_picture(data)
        cut = self._cut(picture, [None] if whole else self.predictor.find(picture))
        self._pace.worked(time.perf_counter() - begin)
        return cut

    def prepare_at(self, data: bytes, box: Box) -> Prepared:
        """The same for one face whose box the caller knows.

        Raises:
            DataError: as ``prepare``. OptionError: the box does not touch the picture.
        """
        picture = read_picture(data)
        height, width = picture.shape[:2]
        inside = (-box.width < box.left < width) and (-box.height < box.top < height)
        if not inside or box.width > 4 * width or box.height > 4 * height:
            raise OptionError("box: it does not lie in the picture; send left,top,width,height in "
                              "pixels as /v1/predict gave them")  # fmt: skip
        return self._cut(picture, [box])

    def ask(self, crops: NDArray[np.uint8]) -> "Future[Scores]":
        """The scores of N×C×size×size crops that a caller brings along; see ``Gather.submit``."""
        self._pace.worked(0.0)  # a request that needs no decoding
        return self.gather.submit(crops)

    def faces(self, prepared: Prepared, scores: Scores, *, keep_others: bool = False) -> list[Face]:
        """What to say of them; what only the detector took for a face is dropped, or kept."""
        read = self.predictor.faces_of(scores, prepared.cut.wanted)
        return kept(read, others=keep_others)

    def explain(self, prepared: Prepared, *, target: str = "", method: str = "") -> Map:
        """The map of the first face: which pixels speak for ``target``, by default the answer.

        Raises:
            OptionError: no such class or method here.
        """
        method = method or self.methods[0]
        if method not in self.methods:
            raise OptionError(f"method={method}: one of {', '.join(self.methods)}")
        if target and target not in self.classes:
            raise OptionError(f"target={target}: one of {', '.join(self.classes)}")
        wanted = self.classes.index(target) if target else None
        crop = prepared.crops[0]
        values, k = (
            self._occlude(crop, wanted)
            if method == "occlusion"
            else self._attribute(crop, wanted, method)
        )
        return Map(values=values, target=self.classes[k], box=prepared.cut.wanted[0].box, crop=crop,
                   method=method)  # fmt: skip

    def close(self) -> None:
        """Finish what was taken on, then end the threads."""
        self.pool.shutdown(wait=True)
        self.gather.close()

    def _cut(
        self, picture: NDArray[np.uint8], places: Sequence[Box | Detection | None]
    ) -> Prepared:
        height, width = picture.shape[:2]
        return Prepared(height=height, width=width, cut=self.predictor.cut(picture, places))

    def _occlude(
        self, crop: NDArray[np.uint8], target: int | None
    ) -> tuple[NDArray[np.float32], int]:
        """Occlusion through the classifier alone: the crop whole, and under each square."""
        covers = squares(*crop.shape[1:])
        grey = np.rint(crop.mean(axis=(1, 2), keepdims=True)).astype(np.uint8)
        asked = np.concatenate([crop[None], np.where(covers[:, None], grey, crop[None])])
        shares = self.gather.submit(asked).result().probabilities
        k = int(shares[0].argmax()) if target is None else target
        return fall(shares[:, k], covers), k

    def _attribute(
        self, crop: NDArray[np.uint8], target: int | None, method: str
    ) -> tuple[NDArray[np.float32], int]:
        from mien.explain.attribution import attribute

        with self._gradients:  # analysis hooks into the network: one at a time
            if self._opened is None:
                assert self._network is not None
                self._opened = self._network()
            found = attribute(
                self._opened.network, crop[None], method=method,
                targets=None if target is None else np.array([target], np.int64),
                as_input=self._opened.as_input,
            )  # fmt: skip
        return found.maps[0], int(found.targets[0])


def open_for_many(open_: Callable[[int], Predictor], threads: int) -> tuple[Predictor, int]:
    """A predictor, and how many batches it shall answer at once.

    onnxruntime does most with a thread for each of several batches (a batch that two threads share
    makes them wait for each other; docs/results/serve.md); torch, one batch at a time, with all
    threads in it.

    Args:
        open_: opens it with so many threads for one batch. threads: of the processor, in all.

    Raises:
        OptionError: more threads than cores, or what ``open_`` refuses.
    """
    check_threads(threads)
    predictor = behind(lambda: open_(1))
    if predictor.classifier.backend == "onnx":
        return predictor, threads
    return behind(lambda: open_(threads)), 1


def sleep_between() -> None:
    """Before torch is imported: its threads shall sleep while they wait, not take the processor
    from the thread that answers.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def behind(make: Callable[[], T]) -> T:
    """What ``make`` gives, made in a thread that gives way: runtimes start their threads as they
    are opened, and a thread that starts another hands its priority on.
    """
    with ThreadPoolExecutor(1, initializer=give_way) as thread:
        return thread.submit(make).result()


def picture_of(one: Map, form: Literal["overlay", "map"], side: int = 240) -> NDArray[np.uint8]:
    """A map for the eye, on its own scale: ``overlay`` RGB side×side laid over the crop; ``map``
    RGBA, to be laid over the face in the picture.
    """
    import cv2

    from mien.explain.display import COVER, as_picture, colours, overlay, scaled, shared_limit

    values = scaled(one.values, shared_limit([one.values]))
    values = np.asarray(cv2.resize(values, (side, side)), dtype=np.float32)
    if form == "overlay":
        under = cv2.resize(as_picture(one.crop), (side, side), interpolation=cv2.INTER_CUBIC)
        return overlay(values, under)
    weight = np.rint(255 * COVER * np.abs(values)).astype(np.uint8)
    return np.dstack([colours(np.where(values < 0, -0.75, 0.75)), weight])
