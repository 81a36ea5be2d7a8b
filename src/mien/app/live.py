"""A camera's faces as a table in the terminal that stays in its place; it needs no screen."""

import itertools
import json
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from mien.app import console
from mien.app.annotate import colour_of
from mien.labels import display_name

if TYPE_CHECKING:
    from mien.predict.pipeline import Predictor
    from mien.predict.video import Frame, VideoOptions
    from mien.types import Face

_BAR = 24


def show_camera(
    number: int,
    predictor: "Predictor",
    video: "VideoOptions",
    language: str,
    *,
    json_out: bool = False,
    frames: int | None = None,
) -> None:
    """Read a camera until Ctrl-C, or for so many ``frames``.

    In a terminal a table is drawn again for each frame; into a pipe, or with ``json_out``, a line
    of JSON is written for each frame that has faces.

    Raises:
        OptionError: there is no such camera.
    """
    from mien.jobs.predict_files import frame_entry
    from mien.predict.clips import open_camera
    from mien.predict.video import watch

    with open_camera(number) as clip:
        read = itertools.islice(watch(clip, predictor, video), frames)
        if json_out or not console.out.is_terminal:
            for frame in read:
                if frame.faces:
                    sys.stdout.write(json.dumps(frame_entry(frame), ensure_ascii=False) + "\n")
                    sys.stdout.flush()
            return
        console.say(
            "OpenCV is installed without windows: the faces are shown as a table, Ctrl-C ends it. "
            "For the picture itself see 'mien serve --help'"
        )
        recent: deque[float] = deque(maxlen=50)
        with Live(console=console.out, auto_refresh=False, transient=True) as live:
            for frame in read:
                recent.append(time.monotonic())
                live.update(table_of(frame, rate_of(recent), language), refresh=True)


def rate_of(times: "deque[float]") -> float:
    """Frames a second, of the last ones; 0 where there are too few."""
    passed = times[-1] - times[0] if len(times) > 1 else 0.0
    return (len(times) - 1) / passed if passed > 0 else 0.0


def table_of(frame: "Frame", rate: float, language: str) -> Group:
    """One frame: each face with its answer and a bar a class."""
    head = Text(f"{frame.time:7.1f} s   {rate:4.1f} frames/s   {len(frame.faces)} faces")
    return Group(head, *(_face(face, language) for face in frame.faces))


def _face(face: "Face", language: str) -> Text:
    text = Text(f"\nface {face.id}  ", style="bold")
    text.append(f"{display_name(face.answer, language)}  {100 * face.confidence:.0f} %\n")
    classes = list(face.probabilities)
    for name, value in sorted(face.probabilities.items(), key=lambda one: -one[1]):
        text.append(f"  {display_name(name, language):<10}")
        text.append("█" * round(_BAR * value), style=colour_of(name, classes))
        text.append(f" {100 * value:.0f} %\n")
    return text
