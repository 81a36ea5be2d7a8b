"""What careless people do with ``mien predict``, as processes: the shell's ``*``, pipes, Ctrl-C."""

import os
import pty
import resource
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from mien.app import console
from mien.data.synthetic import generate
from mien.predict.clips import ClipWriter, open_clip

MIEN = [sys.executable, "-m", "mien"]
FAST = ["--detector", "none", "--model", "tiny"]


@pytest.fixture
def place(tmp_path):
    for n, image in enumerate(generate(3, seed=0).images):
        Image.fromarray(image[0]).save(tmp_path / f"{n}.png")
    return tmp_path


def mien(place, *arguments, **more):
    return subprocess.run([*MIEN, *arguments], cwd=place, capture_output=True, text=True,
                          timeout=120, check=False, **more)  # fmt: skip


def test_a_star_that_names_the_results_of_the_call_before(place):
    command = ["predict", *FAST, "--csv", "faces.csv", "--annotate", "marked"]
    first = mien(place, *command, *sorted(p.name for p in place.iterdir()))
    assert (first.returncode, first.stderr) == (0, "")
    names = sorted(p.name for p in place.iterdir())
    assert names == ["0.png", "1.png", "2.png", "faces.csv", "faces.csv.scored.jsonl", "marked"]
    again = mien(place, *command, *names)
    assert (again.returncode, again.stderr) == (0, "")
    assert "3 files read, 3 of them before" in again.stdout


def test_a_table_is_not_written_over_what_a_pattern_names(place):
    (place / "scan1").write_bytes((place / "0.png").read_bytes())
    done = mien(place, "predict", *FAST, "sca*", "--csv", "scan1")
    assert done.returncode == 2
    assert done.stderr == (
        "mien: scan1: is to be read, and a result would be written over it; "
        "name another file for that\n"
    )
    assert (place / "scan1").read_bytes() == (place / "0.png").read_bytes()


def test_who_leaves_the_pipe_early_costs_no_table(place):
    command = [*MIEN, "predict", *FAST, *(f"{n}.png" for n in range(3)), "--json"]
    for more in ([], ["--csv", "faces.csv"]):
        with subprocess.Popen([*command, *more], cwd=place, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:  # fmt: skip
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(timeout=120) == 0
    assert (place / "faces.csv").read_text().count("\n") == 4


def test_another_commands_reader_may_leave_too(place):
    with subprocess.Popen([*MIEN, "card", "tiny"], cwd=place, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:  # fmt: skip
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_without_any_stdout(place):
    code = "import os, sys, runpy; os.close(1); sys.stdout = None; runpy.run_module('mien', run_name='__main__')"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code, "predict", *FAST, "0.png"], cwd=place,
                          capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_of_several_lines_is_told_of_in_one(place):
    done = mien(place, "card", "x\ny")
    assert done.returncode == 2
    assert done.stderr.startswith("mien: x\\ny: no such file")
    assert done.stderr.count("\n") == 1


def test_a_pipe_called_a_clip_ends_at_once(place):
    os.mkfifo(place / "f.mp4")
    done = mien(place, "predict", *FAST, "f.mp4", "0.png")
    assert done.returncode == 1
    assert "left out: f.mp4: a folder, a device or a pipe, no plain file" in done.stderr


def test_more_threads_than_cores_are_refused(place):
    done = mien(place, "predict", *FAST, "0.png", "--threads", "10000000000")
    assert done.returncode == 2
    assert done.stderr.startswith("mien: --threads 10000000000: this process may use ")


def test_a_mistaken_option_costs_no_record(place):
    command = ["predict", *FAST, "0.png", "1.png", "--csv", "f.csv"]
    mien(place, *command)
    record = (place / "f.csv.scored.jsonl").read_bytes()
    done = mien(place, *command, "--views", "2")
    assert "scored anew, what was said before is kept in f.csv.scored.jsonl.old" in done.stderr
    assert (place / "f.csv.scored.jsonl.old").read_bytes() == record
    again = mien(place, *command)  # the right option again: all is known
    assert "2 files read, 2 of them before" in again.stdout
    assert (place / "f.csv.scored.jsonl").read_bytes() == record
    assert (place / "f.csv.scored.jsonl.old").read_bytes() != record


def test_nobody_listens_to_what_is_said_on_stderr(place):
    (place / "bad.png").write_bytes(b"none")
    with subprocess.Popen([*MIEN, "predict", *FAST, "bad.png", "0.png"], cwd=place,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # fmt: skip
        process.stderr.close()
        assert b"1 file read" in process.stdout.read()
        assert process.wait(timeout=60) == 1


def _small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_a_full_disk_leaves_no_broken_copy_of_a_clip(place):
    noisy = generate(50, seed=1, size=160).images
    with ClipWriter(place / "in.mp4", 160, 160, 25.0) as writer:
        for n, image in enumerate(noisy):
            writer.write(n / 25, image[0][:, :, None].repeat(3, axis=2))
    assert (place / "in.mp4").stat().st_size > 40_000
    command = ["predict", *FAST, "in.mp4", "--annotate", "m"]
    done = mien(place, *command, preexec_fn=_small_files)
    assert done.returncode == 2
    assert done.stderr == "mien: m/in.mp4: cannot be written (is the disk full?)\n"
    assert not list((place / "m").glob("*in.mp4*"))
    done = mien(place, *command)
    assert done.returncode == 0, done.stderr
    with open_clip(place / "m" / "in.mp4") as clip:
        assert sum(1 for _ in clip.frames()) == 50


def test_a_full_disk_under_the_record_names_it(place):
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))

    done = mien(place, "predict", *FAST, "0.png", "--csv", "f.csv", preexec_fn=small)
    assert done.returncode == 2
    assert done.stderr.startswith("mien: f.csv.scored.jsonl: cannot be written (File too large)")
    assert done.stderr.count("\n") == 1


def test_a_timeline_that_is_gone_is_drawn_again(place):
    with ClipWriter(place / "in.mp4", 160, 160, 25.0) as writer:
        for n, image in enumerate(generate(6, seed=1, size=160).images):
            writer.write(n / 25, image[0][:, :, None].repeat(3, axis=2))
    command = ["predict", *FAST, "in.mp4", "--out", "o"]
    assert mien(place, *command).returncode == 0
    timeline = place / "o" / "in.mp4.timeline.png"
    drawn = timeline.read_bytes()
    timeline.unlink()
    done = mien(place, *command)
    assert "1 of them before" in done.stdout
    assert timeline.read_bytes() == drawn


def test_a_second_ctrl_c_ends_without_an_abort(place):
    many = [str(place / "0.png")] * 1
    for n in range(400):
        os.link(place / "0.png", place / f"m{n}.png")
        many.append(f"m{n}.png")
    with subprocess.Popen([*MIEN, "predict", "--detector", "haar", "--model", "wide", *many,
                           "--csv", "f.csv"], cwd=place, stderr=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, text=True,
                          # Ignored where these tests run behind another command of a shell.
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
                          ) as process:  # fmt: skip
        while not (place / "f.csv.scored.jsonl").exists():
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
        code = process.wait(timeout=120)
    assert "terminate called" not in told
    assert "Traceback" not in told
    assert code in (130, -signal.SIGINT)


def test_a_terminal_of_eighty_columns_shows_whole_numbers(place):
    above, below = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen([*MIEN, "models"], cwd=place, stdout=below, stderr=below,
                          env=environment) as process:  # fmt: skip
        os.close(below)
        shown = b""
        while True:
            try:
                part = os.read(above, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        assert process.wait(timeout=60) == 0
    text = shown.decode()
    assert "…" not in text
    assert "wide (default)" in text
    assert "7,501,959" in text
    assert "3,309 of FER2013" in text
    assert max(map(len, text.split("Licence")[0].splitlines())) <= 80


def test_stacked_rows_hold_every_cell():
    table = console.PlainTable("Title", "name", "a", "long head")
    table.row("[/b]", "1", "2")
    table.row("x", "", "3")
    assert table.stacked() == "Title\n[/b]\n  a          1\n  long head  2\nx\n  long head  3"
