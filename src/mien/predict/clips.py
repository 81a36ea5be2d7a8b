"""Clips in and out: frames with their real times from a file or a camera, and a copy of a clip.

A file is opened only where it is there and its first bytes are a container's of the list below:
what FFmpeg would make of playlists, patterns and addresses is never asked. Frames come upright
(OpenCV turns them by the clip's metadata). Sound is neither read nor copied.

What OpenCV's headless wheels encode: MPEG-4 part 2 in ``.mp4`` (``mp4v``; players take it,
browsers do not), and VP8 in ``.webm``, which browsers play, at about a fifth of the speed. They
hold no H.264 encoder.
"""

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError, RecordError, RunError
from mien.runs import temporary
from mien.system import open_to_all

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts"}
    | {".m2ts", ".ogv", ".wmv", ".flv"}
)
CODECS = {".mp4": "mp4v", ".webm": "VP80"}
RATE = 25.0  # frames a second, where a clip does not say
_MAX_PIXELS = 64_000_000
_QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_STARTS = (b"\x1a\x45\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"OggS", b"FLV",
           b"\x30\x26\xb2\x75")  # fmt: skip


def is_clip(name: str) -> bool:
    """Whether the ending of ``name`` is a clip's."""
    return Path(name).suffix.lower() in SUFFIXES


class Clip:
    """An open clip or camera; use it in a ``with`` block, and read its frames once.

    name: for messages. width, height: pixels, as shown. rate: frames a second, as the file says
    it or ``RATE``. count: frames as the file says, an estimate; 0 where it says nothing. live: a
    camera. notes: sentences a person should see; more may come while it is read.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str, *, live: bool = False) -> None:
        self._capture, self.name, self.live = capture, name, live
        self.notes: list[str] = []
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and 0.1 <= rate <= 1000 else RATE
        if self.rate != rate and not live:
            self.notes.append(f"{name}: says no frame rate; {RATE:g} a second are taken")
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if math.isfinite(count) and 0 < count < 1e9 and not live else 0
        self.width, self.height = (
            int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Seconds and picture (uint8 H×W×3 RGB, all of one size) of each frame.

        The time is the frame's own. Where it has none, or one that is not after the last, it is
        the last one's and a frame at ``rate``; the notes then say so. A camera's is this
        computer's clock, from the first frame on.

        Raises:
            RecordError: there is not one frame.
        """
        number, last, lacking, start = 0, 0.0, 0, time.monotonic()
        while True:
            there, picture = self._capture.read()
            if not there or picture is None:
                break
            seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if self.live:
                start = time.monotonic() if number == 0 else start
                seconds = time.monotonic() - start
            if number and not (math.isfinite(seconds) and seconds > last):
                seconds, lacking = last + 1 / self.rate, lacking + 1
            elif not math.isfinite(seconds):
                seconds = 0.0
            yield seconds, self._same_size(np.asarray(picture, np.uint8), first=number == 0)
            number, last = number + 1, seconds
        if number == 0:
            raise RecordError(f"{self.name}: no frame can be read from it")
        if lacking:
            self.notes.append(
                f"{self.name}: {lacking:,} of {number:,} frames have no time of their own; they "
                f"are taken to be 1/{self.rate:g} s apart"
            )
        if number < 0.9 * self.count:
            self.notes.append(
                f"{self.name}: says it has {self.count:,} frames, and ends after {number:,}"
            )

    def _same_size(self, picture: NDArray[np.uint8], *, first: bool) -> NDArray[np.uint8]:
        if first:
            self.height, self.width = picture.shape[:2]
        elif picture.shape[:2] != (self.height, self.width):
            picture = np.asarray(cv2.resize(picture, (self.width, self.height)), np.uint8)
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

    def __enter__(self) -> "Clip":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._capture.release()


def open_clip(path: Path | str) -> Clip:
    """Open a clip's file.

    Raises:
        RecordError: missing, unreadable, empty, damaged, no clip, or its frames are too large.
    """
    path = Path(path)
    try:
        # To open a pipe would wait for whoever writes to it.
        if path.exists() and not path.is_file():
            raise RecordError(f"{path}: a folder, a device or a pipe, no plain file")
        with path.open("rb") as file:
            start = file.read(400)
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}") from error
    if not start:
        raise RecordError(f"{path}: an empty file")
    if not _is_container(start):
        raise RecordError(f"{path}: no clip of a known kind (mp4, mov, mkv, webm, avi, mpeg, …)")
    with _hushed(), _as_text(path.absolute()) as name:
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise RecordError(f"{path}: no clip that can be decoded (damaged, or cut off)")
    clip = Clip(capture, str(path))
    if clip.width * clip.height > _MAX_PIXELS:
        capture.release()
        raise RecordError(
            f"{path}: {clip.width}×{clip.height} pixels are over the {_MAX_PIXELS:,} allowed"
        )
    return clip


def open_camera(number: int = 0) -> Clip:
    """Open a camera.

    Raises:
        OptionError: it cannot be opened, or gives no picture.
    """
    with _hushed():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise OptionError(
            f"--camera {number}: no camera can be opened under this number; is it attached, is "
            "another program using it, and may this user read it?"
        )
    return Clip(capture, f"camera {number}", live=True)


def _is_container(start: bytes) -> bool:
    packets = len(start) > 188 and start[0] == 0x47 and start[188] == 0x47
    blu_ray = len(start) > 196 and start[4] == 0x47 and start[196] == 0x47
    avi = start[:4] == b"RIFF" and start[8:12] == b"AVI "
    return start.startswith(_STARTS) or start[4:8] in _QUICKTIME or packets or blu_ray or avi


class ClipWriter:
    """A clip that is at its place whole or not at all; use it in a ``with`` block.

    Its frames are evenly spaced, at ``rate``: a frame of the source is repeated or left out where
    its time asks for it, so that the copy's clock is the source's.

    Raises:
        OptionError: an ending that is not in ``CODECS``.
        RunError: the file cannot be written.
    """

    def __init__(self, path: Path, width: int, height: int, rate: float) -> None:
        codec = CODECS.get(path.suffix.lower())  # cameras write .MP4
        if codec is None:
            raise OptionError(f"{path}: a clip is written as one of {', '.join(CODECS)}")
        self.path, self.rate, self.written = path, min(rate, 120.0), 0
        self._size = (width - width % 2, height - height % 2)  # the codecs take even sides
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a line for each frame
        self._start: float | None = None
        try:
            handle, name = tempfile.mkstemp(
                dir=path.parent, prefix=temporary(path.stem), suffix=f".tmp{path.suffix}"
            )
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror})") from error
        os.close(handle)
        self._temporary = Path(name)
        with _hushed(), _as_text(self._temporary) as text:
            self._writer = cv2.VideoWriter(
                text, cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), self.rate, self._size
            )
        if not self._writer.isOpened():
            self._temporary.unlink(missing_ok=True)
            raise RunError(f"{path}: this OpenCV cannot encode {codec}")

    def write(self, seconds: float, picture: NDArray[np.uint8]) -> None:
        """Add a frame (uint8 H×W×3 RGB) that is shown from ``seconds`` on."""
        if self._start is None:
            self._start = seconds
        wide, high = self._size
        frame = cv2.cvtColor(np.ascontiguousarray(picture[:high, :wide]), cv2.COLOR_RGB2BGR)
        until = math.floor((seconds - self._start) * self.rate + 0.5) + 1
        # A gap of minutes (a clip with a broken clock) must not fill a disk.
        for _ in range(min(until - self.written, math.ceil(60 * self.rate))):
            self._writer.write(frame)
            self.written += 1

    def _is_whole(self) -> bool:
        """Whether what was written can be read: OpenCV tells nothing of a disk that ran full."""
        with _hushed(), _as_text(self._temporary) as text:
            capture = cv2.VideoCapture(text, cv2.CAP_FFMPEG)
            try:
                count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
                return bool(capture.isOpened() and capture.read()[0]) and not (
                    0 < count < self.written
                )
            finally:
                capture.release()

    def __enter__(self) -> "ClipWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _hushed():
            self._writer.release()
        if kind is not None:
            self._temporary.unlink(missing_ok=True)
            return
        if not self._is_whole():
            self._temporary.unlink(missing_ok=True)
            raise RunError(f"{self.path}: cannot be written (is the disk full?)")
        open_to_all(self._temporary)
        self._temporary.replace(self.path)


@contextlib.contextmanager
def _as_text(path: Path) -> Iterator[str]:
    """A name of a file for OpenCV, which ends the process on one that is no text in UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory(prefix="mien-") as folder:
            link = Path(folder, f"clip{path.suffix}")
            link.symlink_to(path.absolute())
            yield str(link)
    else:
        yield str(path)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep OpenCV and FFmpeg off the standard error stream, where they write on their own."""
    # FFmpeg reads this once, when it is first used; -8 is its AV_LOG_QUIET.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        kept = os.dup(2)
    except OSError:  # there is no such stream
        yield
        return
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  devnull is no file of ours
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
