"""What may fail under a training run: each one line, and every run goes on to the same bits.

Nothing is simulated that can be had for real: full disks are a limit on the size of files, a
read-only folder is one, memory is too small for a batch because a layer says so.
"""

import contextlib
import ctypes
import dataclasses
import errno
import hashlib
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import mien.jobs.train as job
from mien.data.loader import Pictures
from mien.errors import RunError
from mien.jobs.launch import launch
from mien.jobs.train import Listeners, TrainOptions, resume, train
from mien.models.checkpoint import unpack
from mien.models.cnn4 import CNN4Config
from mien.runs import Run, write_atomic
from mien.train import finite
from mien.train.history import HistoryWriter, Row
from mien.train.loop import Loop
from mien.train.optim import Average
from mien.train.recipes import demo
from mien.train.state import Holders, Position, load_state, save_state
from mien.train.task import Interrupted, Task

CONFIG = CNN4Config(
    size=24, widths=(2, 4, 4, 4), hidden=(8, 8), conv_dropout=(0.1,) * 4, linear_dropout=0.1
)
RECIPE = replace(demo(), model=CONFIG, batch_size=16, train_sample=20, epochs=2)
SOURCE = "synthetic:80"


def options(source=SOURCE):
    return TrainOptions(source=str(source), data=job.DataOptions(size=24), threads=1)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """80 drawn faces as class folders in a zip."""
    from mien.jobs.draw import draw_archive

    path = tmp_path_factory.mktemp("faces") / "faces.zip"
    draw_archive(path, 80)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return train(options(), out=out, recipe=RECIPE, save_seconds=0)


def digest(run):
    return hashlib.sha256(run.model.read_bytes()).hexdigest()


def states(run):
    return sorted(path.name for path in run.state.iterdir())


class After:
    """Asks for a stop, or does something else, after so many steps."""

    def __init__(self, steps, action=lambda: True):
        self.left, self.action = steps, action

    def __call__(self):
        self.left -= 1
        return bool(self.action()) if self.left == 0 else False


def one_line(error, *words):
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


# --- the disk -----------------------------------------------------------------------------------


@contextlib.contextmanager
def files_of_at_most(size):
    """Writing beyond ``size`` bytes fails in the system, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_in_a_save_keeps_the_state_before(whole, tmp_path):
    out = tmp_path / "run"
    limited = contextlib.ExitStack()
    fill = After(3, lambda: limited.enter_context(files_of_at_most(4000)) and False)
    with limited, pytest.raises(RunError) as caught:
        train(options(), out=out, recipe=RECIPE, save_seconds=0, listeners=Listeners(stop=fill))
    one_line(caught, "state/step-", "File too large", "make room", f"--resume {out}")
    run = Run.open(out)
    assert states(run) == ["step-000000001.safetensors", "step-000000002.safetensors"]
    unpack(run.state / states(run)[-1], "state")  # whole
    assert digest(resume(out).run) == digest(whole.run)


@pytest.mark.parametrize("name", ["history.csv", "tensorboard", "model.safetensors", "run.json"])
def test_a_full_disk_at_any_other_file(name, whole, tmp_path, monkeypatch):
    out = tmp_path / "run"
    wrote, full = os.write, [True]

    def write(handle, data):
        if full and name in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return wrote(handle, data)

    monkeypatch.setattr(os, "write", write)
    if name == "tensorboard":
        monkeypatch.setattr(HistoryWriter, "_append", _append_by(write))
    with pytest.raises(RunError) as caught:
        train(options(), out=out, recipe=RECIPE)
    again = "train again" if name == "run.json" else f"--resume {out}"
    one_line(caught, name, "No space left on device", again)
    assert not list(out.rglob("*.tmp"))
    full.clear()
    # What is left of a run that never began is no obstacle to one that does.
    begun = name != "run.json"
    result = resume(out) if begun else train(options(), out=out, recipe=RECIPE)
    assert digest(result.run) == digest(whole.run)


def _append_by(write):
    def append(self, *events):
        handle = os.open(self._events, os.O_CREAT | os.O_WRONLY)
        try:
            write(handle, b"")
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._events)) from None
        finally:
            os.close(handle)

    return append


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_atomic(path, "old")
    with files_of_at_most(100), pytest.raises(OSError, match="File too large") as caught:
        write_atomic(path, "new" * 1000)
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@contextlib.contextmanager
def rights_kept():
    """Where the tests run as root: give up, for this thread, the right to ignore permissions."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    before = list(data)
    data[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, data) == 0
    try:
        yield
    finally:
        data[:] = before
        libc.capset(header, data)


def test_a_read_only_folder(whole, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    with rights_kept(), pytest.raises(RunError) as caught:
        train(options(), out=tmp_path / "locked" / "run", recipe=RECIPE)
    one_line(caught, "locked/run", "Permission denied", "--out")
    out = tmp_path / "run"
    with pytest.raises(Interrupted):
        train(options(), out=out, recipe=RECIPE, listeners=Listeners(stop=After(3)))
    for folder, name in ((out, "run.lock"), (out / "state", "state/step-")):
        folder.chmod(0o555)
        (out / "run.lock").chmod(0o444 if folder == out else 0o644)
        with rights_kept(), pytest.raises(RunError) as caught:
            resume(out, save_seconds=0)
        one_line(caught, name, "Permission denied", "make its folder writable")
        folder.chmod(0o755)
    assert digest(resume(out).run) == digest(whole.run)


def test_the_newest_good_state_is_the_one_taken(tmp_path):
    network = nn.Linear(2, 1)
    holders = Holders(network, Average(network, 0.9), torch.optim.SGD(network.parameters()))
    for step in (1, 2, 3):
        save_state(tmp_path, Position(epoch=0, step=step), 10, holders)
    assert load_state(tmp_path, holders).step == 3
    newest = tmp_path / "step-000000003.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    assert load_state(tmp_path, holders).step == 2


@settings(max_examples=3, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.sampled_from([0.0, 60.0]))
def test_stops_after_any_steps_change_no_bit(whole, stops, save_seconds):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        for number, steps in enumerate(stops):
            ears = Listeners(stop=After(steps))
            with contextlib.suppress(Interrupted):
                if number == 0:
                    train(options(), out=out, recipe=RECIPE, listeners=ears)
                else:
                    resume(out, save_seconds=save_seconds, listeners=ears)
        assert digest(resume(out).run) == digest(whole.run)


# --- the data -----------------------------------------------------------------------------------


def test_pictures_that_vanish_between_start_and_resume(faces, tmp_path):
    source, out = shutil.copy(faces, tmp_path / "faces.zip"), tmp_path / "run"
    with pytest.raises(Interrupted):
        train(options(source), out=out, recipe=RECIPE, listeners=Listeners(stop=After(4)))
    source.rename(tmp_path / "elsewhere.zip")
    with pytest.raises(RunError) as caught:
        resume(out)
    one_line(caught, f"{source}: no such file", f"the run {out} began with these pictures")
    (tmp_path / "elsewhere.zip").rename(source)
    assert len(resume(out).rows) == 2


def test_a_source_that_vanishes_while_it_trains_is_not_missed(faces, tmp_path):
    source = shutil.copy(faces, tmp_path / "faces.zip")

    def vanish():
        source.unlink()
        shutil.rmtree(os.environ["MIEN_CACHE"])

    ears = Listeners(stop=After(3, vanish))
    result = train(options(source), out=tmp_path / "run", recipe=RECIPE, listeners=ears)
    untouched = train(options(faces), out=tmp_path / "other", recipe=RECIPE)
    assert digest(result.run) == digest(untouched.run)


def test_kept_pictures_that_change_under_way_spoil_no_state(faces, tmp_path):
    def spoil():
        (path,) = tmp_path.glob("mien-cache/sources/*/images.npy")
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.seek(5000)
            file.write(bytes(range(256)) * 20)
        return False

    out = tmp_path / "run"
    with pytest.raises(RunError) as caught:
        train(
            options(faces), out=out, recipe=RECIPE, save_seconds=0,
            listeners=Listeners(stop=After(4, spoil)),
        )  # fmt: skip
    one_line(caught, "images.npy", "changed while they were in use", f"--resume {out}")
    assert states(Run(out))[-1] == "step-000000003.safetensors"
    untouched = train(options(faces), out=tmp_path / "other", recipe=RECIPE)
    assert digest(resume(out).run) == digest(untouched.run)


# --- numbers that are not finite ----------------------------------------------------------------


class Spoilt(nn.Module):
    """Passes its input on, but multiplies output or gradient by ``factor`` in the n-th batch."""

    def __init__(self, when, forward, factor):
        super().__init__()
        self.when, self.is_forward, self.factor, self.seen = when, forward, factor, 0

    def forward(self, x):
        # The diagnosis does the batch again: the fault is the batch's, so it is there again.
        self.seen += 1
        if self.training and self.seen >= self.when:
            if self.is_forward:
                return x * self.factor
            x = x * 1
            x.register_hook(lambda gradient: gradient * self.factor)
        return x


def spoil_network(monkeypatch, change):
    make = job.make_network

    def changed(*args):
        network = make(*args)
        change(network)
        return network

    monkeypatch.setattr(job, "make_network", changed)


@pytest.mark.parametrize(
    ("forward", "factor", "told"),
    [
        (True, math.nan, "first in the output of features.2.activation (Spoilt)"),
        (True, math.inf, "first in the output of features.2.activation (Spoilt)"),
        (False, math.nan, "first in the gradient at the output of features.2.activation"),
    ],
)
def test_a_number_that_is_not_finite_names_step_and_layer(
    forward, factor, told, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    spoil_network(
        monkeypatch, lambda n: setattr(n.features[2], "activation", Spoilt(7, forward, factor))
    )
    with pytest.raises(RunError) as caught:
        train(options(), out=out, recipe=RECIPE, save_seconds=0)
    # 4 steps an epoch, so the seventh batch is the third of the second epoch.
    one_line(
        caught, "no longer a finite number (epoch 2, step 3: ", told,
        "the state after epoch 1, step 2 of the next, is kept", "lower --learning-rate",
    )  # fmt: skip
    assert states(Run(out)) == ["step-000000005.safetensors", "step-000000006.safetensors"]
    tensors, _ = unpack(Run(out).state / states(Run(out))[-1], "state")
    assert all(torch.isfinite(value).all() for value in tensors.values())
    assert not Run(out).model.exists()


def test_weights_that_overflow_are_not_saved(tmp_path, monkeypatch):
    """Loss and gradients are still finite; it is the step that makes infinite weights of them."""
    out, optim = tmp_path / "run", replace(RECIPE.optim, learning_rate=1e6, warm_up=0.0)
    spoil_network(monkeypatch, lambda n: setattr(n.features[0], "dropout", Spoilt(1, False, 1e36)))
    with pytest.raises(RunError) as caught:
        train(options(), out=out, recipe=replace(RECIPE, optim=optim), save_seconds=0)
    one_line(caught, "'features.0.", "' overflowed in the step before", "no state was saved yet")
    assert states(Run(out)) == []


def test_the_first_place_in_the_order_of_computation():
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    x = torch.ones(2, 3)

    def run(scale=1.0):
        loss = network(x).sum() * scale
        loss.backward()
        return loss

    assert finite.first_not_finite(network, run).startswith("nowhere")
    assert finite.first_not_finite(network, lambda: run(math.inf)) == "the loss itself"
    x[0, 0] = math.nan
    assert finite.first_not_finite(network, run) == "the output of 0 (Linear)"
    with torch.no_grad():
        network[2].bias.fill_(math.inf)
    assert finite.first_not_finite(network, run) == "the weight 2.bias"
    assert not any(module._forward_hooks for module in network.modules())
    assert math.isnan(finite.largest([torch.tensor([1.0, math.nan]), torch.tensor([math.inf])]))
    assert float(finite.largest([torch.full((9,), 3e38), torch.zeros(0)])) == pytest.approx(3e38)


# --- memory -------------------------------------------------------------------------------------


class Narrow(nn.Module):
    """A layer with memory for so many pictures; what it raises is what torch raises."""

    def __init__(self, most, error):
        super().__init__()
        self.most, self.error, self.largest = most, error, 0

    def forward(self, x):
        if len(x) > self.most:
            raise self.error
        self.largest = max(self.largest, len(x))
        return x


GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"
)


@pytest.mark.parametrize("error", [GPU, CPU, MemoryError()])
def test_too_little_memory_halves_the_batch_and_says_so(error, tmp_path, monkeypatch):
    narrow = Narrow(5, error)
    spoil_network(monkeypatch, lambda n: setattr(n.features[0], "dropout", narrow))
    told = []
    result = train(
        options(), out=tmp_path / "run", recipe=RECIPE, listeners=Listeners(told=told.append)
    )
    assert told[-2:] == [
        f"out of memory with {many} images at once: going on with {few} at once, gradients added "
        f"up over {pieces} pieces of a batch; batch normalisation now measures {few} images at a "
        "time, so the result is not that of a machine with more memory"
        for many, few, pieces in ((16, 8, 2), (8, 4, 4))
    ]
    assert 2 <= narrow.largest <= 5
    assert result.model.about["batches_in_pieces"] == 4
    assert len(result.rows) == 2


def test_accumulated_gradients_are_those_of_the_whole_batch(tmp_path):
    """Without batch normalisation, dropout or augmentation, pieces change only the rounding."""

    class Plain(nn.Module):
        def __init__(self, most):
            super().__init__()
            self.narrow, self.layer = Narrow(most, GPU), nn.Linear(64, 3)

        def forward(self, x):
            return self.layer(self.narrow(x.float().flatten(1) / 255))

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (41, 1, 8, 8), dtype=np.uint8)
    labels = generator.integers(0, 3, 41)
    recipe = replace(
        RECIPE, model=replace(CONFIG, classes=3),
        augment=dataclasses.replace(
            RECIPE.augment, flip=False, rotation=0, shift=0, scale=0, contrast=0, brightness=0,
            erase=0,
        ),
    )  # fmt: skip
    fabric, _ = launch("cpu", "fp32", 1)
    weights = []
    for most in (512, 4):
        run = Run.create(tmp_path / str(most))
        torch.manual_seed(0)
        pictures = Pictures.of(images, labels, np.arange(41), torch.device("cpu"))
        task = Task(
            network=Plain(most), training=pictures, validation=pictures, recipe=recipe, run=run
        )
        loop = Loop(fabric, task)
        loop.run()
        weights.append(loop.network.layer.weight.detach().clone())
        assert loop.at.pieces == (1 if most == 512 else 4)
    assert torch.allclose(*weights, rtol=1e-5, atol=1e-7)
    assert not torch.equal(weights[0], torch.zeros_like(weights[0]))


def test_a_resumed_run_keeps_the_pieces(tmp_path, monkeypatch):
    spoil_network(
        monkeypatch, lambda n: setattr(n, "normalise", nn.Sequential(Narrow(9, GPU), n.normalise))
    )
    monkeypatch.setattr("mien.train.measure.EVALUATION_BATCH", 8)
    told = []
    ears = Listeners(told=told.append, stop=After(3))
    with pytest.raises(Interrupted):
        train(options(), out=tmp_path / "a", recipe=RECIPE, listeners=ears)
    assert sum("out of memory" in sentence for sentence in told) == 1
    result = resume(tmp_path / "a", listeners=Listeners(told=told.append))
    assert sum("out of memory" in sentence for sentence in told) == 1
    straight = train(options(), out=tmp_path / "b", recipe=RECIPE)
    assert digest(result.run) == digest(straight.run)


def test_memory_for_a_single_picture_is_too_little(tmp_path, monkeypatch):
    spoil_network(monkeypatch, lambda n: setattr(n.features[0], "dropout", Narrow(1, CPU)))
    out = tmp_path / "run"
    with pytest.raises(RunError) as caught:
        train(options(), out=out, recipe=RECIPE)
    one_line(caught, "out of memory even with 2 images at once", "smaller network")
    assert out.joinpath("run.json").is_file()


def test_another_error_is_no_lack_of_memory(tmp_path, monkeypatch):
    spoil_network(
        monkeypatch, lambda n: setattr(n.features[0], "dropout", Narrow(1, RuntimeError("a bug")))
    )
    with pytest.raises(RuntimeError, match="a bug"):
        train(options(), out=tmp_path / "run", recipe=RECIPE)


# --- clocks and locks ---------------------------------------------------------------------------


def test_a_clock_that_jumps_makes_no_negative_time(whole, tmp_path, monkeypatch):
    jumps = iter([1e9, -1e9, 86_400.0] * 10_000)
    real, seen = time.time, []
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    result = train(
        options(), out=tmp_path / "run", recipe=RECIPE, save_seconds=0,
        listeners=Listeners(training=seen.append),
    )  # fmt: skip
    assert all(0 < row.seconds < 60 and row.images_per_second > 0 for row in result.rows)
    assert all(0 <= status.remaining < 600 for status in seen)
    assert digest(result.run) == digest(whole.run)


def child(action):
    """Do ``action`` in a process of its own that can be killed; its pid once it says so."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            action(lambda: os.write(writing, b"."))
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read(1) == b"."
    return pid


def test_a_lock_names_its_owner_and_ends_with_it(tmp_path):
    run = Run.create(tmp_path / "run")

    def hold(ready):
        with run.lock():
            ready()
            time.sleep(60)

    pid = child(hold)
    with pytest.raises(RunError, match=rf"process {pid} is working on it"), run.lock():
        pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert (run.path / "run.lock").read_text().startswith(f"{pid} ")  # stale, and no obstacle
    with run.lock():
        assert (run.path / "run.lock").read_text().split()[0] == str(os.getpid())
    (run.path / "run.lock").write_text("\x1b[2J; rm -rf")
    with run.lock():
        pass


def test_of_two_runs_begun_in_one_folder_the_second_spoils_nothing(whole, tmp_path, monkeypatch):
    """Both found the folder free; the second gets the lock when the first has ended."""
    out, create = tmp_path / "run", Run.create

    def create_late(path):
        run = create(path)
        shutil.copytree(whole.run.path, path, dirs_exist_ok=True)
        return run

    monkeypatch.setattr(Run, "create", create_late)
    with pytest.raises(RunError, match="not empty, a run is in it"):
        train(options(), out=out, recipe=replace(RECIPE, seed=9))
    assert json.loads((out / "run.json").read_text())["recipe"]["seed"] == RECIPE.seed
    assert digest(Run(out)) == digest(whole.run)


# --- TensorBoard, which is written here -----------------------------------------------------------


def test_the_event_file_can_be_read_back(tmp_path):
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    numbers = {field.name: 0.5 for field in dataclasses.fields(Row)}
    writer = HistoryWriter(tmp_path / "history.csv", [])
    writer.add(Row(**{**numbers, "epoch": 1}))
    (path,) = (tmp_path / "tensorboard").iterdir()
    content, events = path.read_bytes(), []
    while content:
        length = int.from_bytes(content[:8], "little")
        assert int.from_bytes(content[8:12], "little") == masked_crc32c(content[:8])
        data, check = content[12 : 12 + length], content[12 + length : 16 + length]
        assert int.from_bytes(check, "little") == masked_crc32c(data)
        events.append(Event.FromString(data))
        content = content[16 + length :]
    assert events[0].file_version == "brain.Event:2"
    assert events[1].session_log.status == 1
    values = {v.tag: v.simple_value for event in events[2:] for v in event.summary.value}
    assert values["loss/validation"] == 0.5
    assert len(values) == 6


def test_training_imports_no_writer_thread():
    code = "import mien.train.history, sys; assert 'tensorboardX' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
