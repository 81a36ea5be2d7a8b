"""Pictures to faces with expressions: a detector, crops, a classifier, and what to say of each.

``load`` is what ``mien.load`` calls. Nothing here needs torch; whether the classifier does is its
own business.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.errors import OptionError
from mien.predict.crops import crops
from mien.predict.faces import Detector, open_detector, settings_of
from mien.predict.looks import VIEWS, Cut, Wanted, mean_answer, wanted, with_mirrored
from mien.predict.pictures import Picture, is_one, read_picture, several
from mien.types import Box, Detection, Face, Scores

if TYPE_CHECKING:
    from mien.predict.classifier import Classifier

UNSURE_ERROR = 0.2
# Pictures that are in memory at once: as many as have this many pixels, and at least one.
_PIXELS = 16_000_000
_PICTURES = 32


def load(
    model: str | Path = "default",
    *,
    detector: str | Detector = "haar",
    detector_model: str | Path | None = None,
    detector_size: int | None = None,
    backend: str = "auto",
    threads: int | None = None,
    unsure_error: float = UNSURE_ERROR,
    keep_others: bool = False,
    views: int | None = None,
) -> "Predictor":
    """A model that is ready to read faces in pictures.

    ::

        import mien

        model = mien.load()
        for face in model.predict("photo.jpg"):
            print(face.answer, face.confidence, face.box)

    Args:
        model: a bundled model's name (``default``, ``tiny``), an ``.onnx`` or ``.safetensors``
            file, or a run folder.
        detector: ``haar`` (needs no file), ``yunet`` (with ``detector_model``, its ``.onnx``),
            ``none`` (each picture is one face crop), or an object of your own with ``name``,
            ``detect`` and, if you like, ``settings``, as ``mien.predict.faces.Detector`` says.
        detector_size: the size at which pictures are searched, in pixels along the longer side of a
            4:3 picture, 640 by default; more finds smaller faces, and takes longer. Smaller
            pictures are searched as they are (by ``haar``) or enlarged to it (by ``yunet``).
        backend: ``onnx``, ``torch``, or ``auto``: ONNX where the model has that form.
        threads: processor threads of the network; None for all.
        unsure_error, keep_others: see ``Predictor``.
        views: see ``Predictor``; by default 10 where faces are searched for, which takes longer
            than looking at them ten times, and 1 with the detector ``none``.

    Raises:
        ModelFileError, OptionError, MissingExtraError: what is given cannot be used.
    """
    from mien.predict.classifier import open_classifier

    if isinstance(detector, str):
        detector = open_detector(detector, model_file=detector_model, working=detector_size)
    elif detector_model is not None or detector_size is not None:
        raise OptionError("detector_model and detector_size go with the name of a detector, not "
                          "with an object")  # fmt: skip
    if not (callable(getattr(detector, "detect", None)) and hasattr(detector, "name")):
        raise OptionError(f"detector {detector!r}: give 'haar', 'yunet', 'none', or an object with "
                          "'detect' and 'name' (mien.predict.faces.Detector)")  # fmt: skip
    settings_of(detector)
    classifier = open_classifier(model, backend=backend, threads=threads)
    if views is None:
        views = 1 if detector.name == "none" else VIEWS[-1]
    return Predictor(classifier, detector, unsure_error=unsure_error, keep_others=keep_others,
                     views=views)  # fmt: skip


def kept(faces: Sequence[Face], *, others: bool) -> list[Face]:
    """Without those that only the detector took for a face, unless ``others`` are wanted too.

    A picture that was taken for a face as a whole, and so has no box, always stays.
    """
    return [face for face in faces if others or face.box is None or not face.not_a_face]


class Predictor:
    """Finds the faces of pictures and reads their expressions; any number of threads may share it.

    Whether a detection is a face is asked of both sides. It is none where its novelty is above the
    model's threshold; novelty is on a scale of log-odds, and the detector's word is added to that:
    the threshold is higher by up to 2 as the score rises from ``detector.sure`` to three times
    that, so a blurred face on which many agree stays a face. For a detection below ``sure`` the
    novelty is the mean over eight squares, moved and enlarged a little.

    Args:
        classifier: crops to probabilities. detector: pictures to boxes.
        unsure_error: the error rate that is wanted of the answers that are not ``unsure``, by
            default 20 %; the model's calibration gives the confidence that this asks for. Where it
            cannot promise the rate every face is unsure; a model that was never calibrated calls
            none so.
        keep_others: also return what the detector took for a face and the network does not
            (``not_a_face``); by default it is dropped.
        views: crops of each face that the answer is the mean of: 1; 2, with the mirror image; or
            10, from five places a sixteenth of the side apart, with theirs. More are better and
            steadier, and are so many times the network's work. It is the geometric mean of their
            probabilities, brought to a sum of 1: the arithmetic one is right as often, but less
            sure than it is right. A clip's answers are running means of single ones whatever this
            says.

    Raises:
        OptionError: an error rate outside of (0, 1], or another number of views.
    """

    def __init__(
        self,
        classifier: "Classifier",
        detector: Detector,
        *,
        unsure_error: float = UNSURE_ERROR,
        keep_others: bool = False,
        views: int = 1,
    ) -> None:
        if not 0 < unsure_error <= 1:
            raise OptionError(f"unsure_error is {unsure_error:g}; give a share above 0, at most 1")
        if views not in VIEWS:
            raise OptionError(f"views is {views}; give {', '.join(map(str, VIEWS[:-1]))} or "
                              f"{VIEWS[-1]}")  # fmt: skip
        self.classifier, self.detector = classifier, detector
        self.unsure_error, self.keep_others, self.views = unsure_error, keep_others, views

    @property
    def unsure_below(self) -> float:
        """The confidence below which a face is ``unsure``; 0 for a model without calibration."""
        confidence = self.classifier.confidence
        return confidence.unsure_below(self.unsure_error) if confidence.thresholds else 0.0

    @overload
    def predict(  # type: ignore[overload-overlap]  # a path is one picture, not many letters
        self, images: Picture, *, keep_others: bool | None = None
    ) -> list[Face]: ...
    @overload
    def predict(
        self, images: Iterable[Picture], *, keep_others: bool | None = None
    ) -> list[list[Face]]: ...
    def predict(
        self, images: Picture | Iterable[Picture], *, keep_others: bool | None = None
    ) -> list[Face] | list[list[Face]]:
        """The faces of a picture, the largest first; of several pictures, a list for each.

        With the detector ``none`` there is exactly one face for each picture, without a box.

        Args:
            images: one picture or an iterable of them: a path; the bytes of a JPEG, PNG, BMP, GIF,
                WebP, TIFF or PPM file; a PIL image; an array uint8 H×W (grey) or H×W×3 (RGB),
                0..255. An array N×H×W×3 is several.
            keep_others: for this call, instead of the predictor's own.

        Raises:
            DataError: a picture cannot be read; the message names it and the cause.
            OptionError: something that is no picture, or an array of another shape or type.
        """
        if is_one(images):
            return self.predict_pictures([read_picture(images)], keep_others=keep_others)[0]  # type: ignore[arg-type]
        try:
            many = iter(images)  # type: ignore[arg-type]
        except TypeError:
            read_picture(images)  # type: ignore[arg-type]  # says what it is and what to give
            raise
        return [
            faces
            for part in _parts(read_picture(image, where=where) for image, where in several(many))
            for faces in self.predict_pictures(part, keep_others=keep_others)
        ]

    def predict_pictures(
        self, pictures: Sequence[NDArray[np.uint8]], *, keep_others: bool | None = None
    ) -> list[list[Face]]:
        """The same for upright pictures in memory, uint8 H×W×3 RGB: one batch of all their crops.

        The detector searches one picture after the other.
        """
        keep = self.keep_others if keep_others is None else keep_others
        read = self.faces_at(pictures, [self.find(picture) for picture in pictures])
        return [kept(faces, others=keep) for faces in read]

    def find(self, picture: NDArray[np.uint8]) -> list[Detection | None]:
        """Where a picture may show faces; with the detector ``none`` the picture as a whole."""
        if self.detector.name == "none":
            return [None]
        return list(self.detector.detect(picture))

    @property
    def identity(self) -> dict[str, Any]:
        """All that a picture's faces depend on besides the picture, as JSON holds it."""
        # The card holds the weights' checksum, and the calibration, which counts as well.
        card = json.dumps(self.classifier.card, sort_keys=True, default=str)
        return {
            "version": __version__, "model": self.classifier.name,
            "checksum": hashlib.sha256(card.encode()).hexdigest(),
            "backend": self.classifier.backend, "detector": self.detector.name,
            "detector_settings": settings_of(self.detector),
            "unsure_error": self.unsure_error, "keep_others": self.keep_others,
            "views": self.views,
        }  # fmt: skip

    def faces_at(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        places: Sequence[Sequence[Box | Detection | None]],
        *,
        views: int | None = None,
    ) -> list[list[Face]]:
        """Reads the faces at given places, and drops none.

        Args:
            pictures: uint8 H×W×3 RGB each. places: for each picture its boxes or detections, whose
                score is kept and counts in ``not_a_face``; None is the picture as a whole.
            views: for this call, instead of the predictor's own.
        """
        return self.read(
            [self.cut(p, some, views=views) for p, some in zip(pictures, places, strict=True)]
        )

    def cut(
        self,
        picture: NDArray[np.uint8],
        places: Sequence[Box | Detection | None],
        *,
        views: int | None = None,
    ) -> Cut:
        """The first half of ``faces_at`` for one picture; ``read`` is the other.

        So pictures can be cut in threads, each let go at once, and their faces read together.
        """
        views = self.views if views is None else views
        # What has no threshold of novelty needs no second look at a doubtful detection.
        judged = self.classifier.novelty_threshold is not None
        sure = getattr(self.detector, "sure", 0.0) if judged else 0.0
        every = tuple(wanted(place, picture.shape, sure=sure, views=views) for place in places)
        boxes = [box for one in every for box in one.boxes]
        upright = crops(picture, boxes, self.classifier.size, self.classifier.channels)
        return Cut(crops=with_mirrored(upright, every), wanted=every)

    def read(self, cuts: Sequence[Cut]) -> list[list[Face]]:
        """The second half of ``faces_at``: the faces of each, in one batch, none dropped."""
        if not cuts:
            return []
        flat = self._read(np.concatenate([one.crops for one in cuts]),
                          [one for some in cuts for one in some.wanted])  # fmt: skip
        ends = [0, *accumulate(len(one.wanted) for one in cuts)]
        return [flat[start:end] for start, end in pairwise(ends)]

    def _read(self, cut: NDArray[np.uint8], wanted: Sequence[Wanted]) -> list[Face]:
        if not wanted:
            return []
        return self.faces_of(self.classifier.classify(cut), wanted)

    def faces_of(self, scores: Scores, wanted: Sequence[Wanted]) -> list[Face]:
        """What to say of faces (``Cut.wanted``) whose crops' scores are known, in that order."""
        starts = [0, *accumulate(one.crops for one in wanted)]
        faces = []
        for one, start, end in zip(wanted, starts, starts[1:], strict=False):
            novelty, looks = None, start + len(one.looks)
            if scores.novelty is not None:
                novelty = float(scores.novelty[start:looks].mean())
            row = scores.probabilities[start]
            if looks < end:
                row = mean_answer(np.concatenate([row[None], scores.probabilities[looks:end]]))
            faces.append(self._face(one, row, novelty))
        return faces

    def _face(self, one: Wanted, row: NDArray[np.float32], novelty: float | None) -> Face:
        best, limit = int(row.argmax()), self.classifier.novelty_threshold
        names = self.classifier.classes
        return Face(
            probabilities=dict(zip(names, map(float, row), strict=True)),
            label=names[best],
            confidence=float(row[best]),
            box=one.box,
            score=one.score,
            unsure=float(row[best]) < self.unsure_below,
            not_a_face=novelty is not None and limit is not None and novelty > limit + one.favour,
            novelty=novelty,
        )


def _parts(pictures: Iterable[NDArray[np.uint8]]) -> Iterator[list[NDArray[np.uint8]]]:
    """The pictures in lists that are bounded in number and in pixels."""
    part: list[NDArray[np.uint8]] = []
    pixels = 0
    for picture in pictures:
        part.append(picture)
        pixels += picture.shape[0] * picture.shape[1]
        if len(part) >= _PICTURES or pixels >= _PIXELS:
            yield part
            part, pixels = [], 0
    if part:
        yield part
