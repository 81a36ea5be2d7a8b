"""Clips in and out: times, rotation, damage, and copies that are whole or not there."""

import struct

import cv2
import numpy as np
import pytest

from mien.errors import OptionError, RecordError
from mien.predict.clips import Clip, ClipWriter, is_clip, open_camera, open_clip


def write(path, frames=10, rate=25.0, width=64, height=48):
    """Frame n is white in column n·4."""
    with ClipWriter(path, width, height, rate) as writer:
        for n in range(frames):
            picture = np.zeros((height, width, 3), np.uint8)
            picture[:, n * 4 : n * 4 + 4] = 255
            writer.write(n / rate, picture)
    return path


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_frames_and_their_times_come_back(tmp_path, ending, capfd):
    path = write(tmp_path / f"a{ending}")
    assert [p.name for p in tmp_path.iterdir()] == [f"a{ending}"]
    with open_clip(path) as clip:
        assert (clip.width, clip.height, clip.live) == (64, 48, False)
        assert clip.rate == pytest.approx(25)
        frames = list(clip.frames())
    assert [t for t, _ in frames] == pytest.approx([n / 25 for n in range(10)], abs=0.002)
    assert [int(p[:, :40].mean(axis=(0, 2)).argmax()) // 4 for _, p in frames] == list(range(10))
    assert clip.notes == []
    assert capfd.readouterr() == ("", "")


def test_a_copy_keeps_the_clock_of_uneven_frames(tmp_path):
    with ClipWriter(tmp_path / "b.mp4", 64, 48, 10.0) as writer:
        for seconds in (5.0, 5.1, 5.5, 5.52, 5.6):
            writer.write(seconds, np.full((48, 64, 3), 40, np.uint8))
        # 5.0 → frame 0, 5.1 → 1, 5.5 → 5 (shown for 2 … 5), 5.52 falls away, 5.6 → 6.
        assert writer.written == 7


def test_nothing_is_left_of_a_copy_that_failed(tmp_path):
    with (
        pytest.raises(cv2.error),
        ClipWriter(tmp_path / "c.mp4", 64, 48, 25.0) as writer,
    ):
        writer.write(0.0, np.zeros((48, 64, 2), np.uint8))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OptionError):
        ClipWriter(tmp_path / "c.gif", 64, 48, 25.0)


def test_a_clip_that_lies_on_its_side_comes_upright(tmp_path):
    path = write(tmp_path / "d.mp4")
    data = bytearray(path.read_bytes())
    # The track header's matrix (ISO 14496-12, 8.3.2): 90° clockwise, in 16.16 and 2.30 fixed point.
    start = data.rindex(b"tkhd") + 4 + 40
    matrix = (0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    data[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    with open_clip(path) as clip:
        _, picture = next(clip.frames())
    assert picture.shape == (64, 48, 3)
    assert picture[:8].mean() > 100 > picture[12:].mean()  # the left column is on top now
    assert (clip.width, clip.height) == (48, 64)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"#EXTM3U\nhttp://example.org/a.ts\n", "no clip of a known kind"),
        (b"\0\0\0\x18ftypisom" + bytes(300), "no clip that can be decoded"),
        (None, "No such file"),
    ],
)
def test_what_is_no_clip_is_one_line(tmp_path, content, says, capfd):
    path = tmp_path / "e.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordError, match=says) as error:
        open_clip(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_clip_that_is_cut_off_says_so(tmp_path):
    path = write(tmp_path / "f.webm", frames=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_clip(path) as clip:
        frames = list(clip.frames())
    assert 1 <= len(frames) < 60


class Capture:
    """What a capture says, frame by frame."""

    def __init__(self, times):
        self.times, self.n = times, -1

    def get(self, what):
        return {cv2.CAP_PROP_FPS: 0.0, cv2.CAP_PROP_FRAME_COUNT: 20.0,
                cv2.CAP_PROP_POS_MSEC: self.times[max(self.n, 0)]}.get(what, 48.0)  # fmt: skip

    def read(self):
        self.n += 1
        there = self.n < len(self.times)
        return there, np.zeros((48, 48, 3), np.uint8) if there else None


def test_frames_without_a_time_are_taken_at_the_rate():
    clip = Clip(Capture([0.0, 0.0, float("nan"), 200.0]), "g.avi")
    assert [t for t, _ in clip.frames()] == pytest.approx([0, 0.04, 0.08, 0.2])
    rate, times, count = clip.notes
    assert "no frame rate" in rate
    assert "2 of 4 frames have no time" in times
    assert "20 frames, and ends after 4" in count


def test_no_camera_is_one_line(capfd):
    with pytest.raises(OptionError, match="--camera 97: no camera"):
        open_camera(97)
    assert capfd.readouterr() == ("", "")


def test_endings():
    assert is_clip("A.MP4")
    assert not is_clip("a.gif")
