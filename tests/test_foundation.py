"""The foundation: public names, labels, configurations, atomic writes, the lock."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import mien
from mien import errors
from mien.config import from_json, override, to_json
from mien.errors import MienError, OptionError, RunError
from mien.labels import ALIASES, CLASSES, class_of, display_name, parse_map
from mien.runs import Run, check_place, write_atomic


def test_public_names_are_frozen():
    assert sorted(mien.__all__) == [
        "CLASSES", "MienError", "__version__", "audit", "compare", "label", "load", "read",
    ]  # fmt: skip
    for name in mien.__all__:
        assert getattr(mien, name) is not None
    # A public name that is also a room's would turn into the room once that is imported.
    rooms = {path.name for path in Path(mien.__file__).parent.iterdir() if path.is_dir()}
    assert not rooms & set(mien.__all__)
    with pytest.raises(AttributeError):
        mien.nothing  # noqa: B018


def test_importing_mien_imports_no_torch():
    code = "import sys, mien; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_every_error_is_in_the_drawn_tree():
    classes = [v for v in vars(errors).values() if isinstance(v, type)]
    for one in classes:
        assert issubclass(one, MienError)
        assert one.__name__ in errors.__doc__


def test_class_names():
    assert CLASSES == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert set(ALIASES.values()) == set(CLASSES)
    assert class_of("Anger") == "angry"
    assert class_of(" 3_happiness ") == "happy"
    assert class_of("6") == "neutral"
    assert class_of("7") is None
    assert class_of("contempt") is None
    assert class_of("Contempt", {"contempt": "disgust"}) == "disgust"
    assert class_of("happy", {"happy": "sad"}) == "sad"
    assert parse_map(["contempt=Disgusted"]) == {"contempt": "disgust"}
    for wrong in ("contempt", "contempt=scorn", "=sad"):
        with pytest.raises(OptionError):
            parse_map([wrong])
    assert display_name("fear", "zh-Hant") == "恐懼"
    assert display_name("mood", "zh-Hant") == "mood"


@dataclass(frozen=True, kw_only=True)
class Inner:
    rates: tuple[float, float] = (0.1, 0.2)
    name: str = "x"


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int = 1
    share: float = 0.5
    many: tuple[int, ...] = (1, 2)
    maybe: int | None = None
    on: bool = False
    inner: Inner = field(default_factory=Inner)


def test_configurations_survive_json():
    config = Outer(count=3, many=(4, 5, 6), maybe=7, inner=Inner(rates=(0.3, 0.4)))
    assert from_json(Outer, to_json(config)) == config
    assert from_json(Outer, {"share": 1}).share == 1.0


@pytest.mark.parametrize(
    ("data", "told"),
    [({"cuont": 1}, "cuont: no such field"), ({"count": "1"}, "count: '1' is no int"),
     ({"count": True}, "no int"), ({"inner": {"rates": [1]}}, "inner.rates"),
     ({"on": 1}, "no bool"), ({"many": ["a"]}, "no int")],
)  # fmt: skip
def test_bad_json_names_the_field(data, told):
    with pytest.raises(OptionError, match=told):
        from_json(Outer, data)


def test_fields_are_overridden_by_name():
    config = override(
        Outer(),
        {"count": "9", "inner.rates": "0.5, 1", "many": "(7)", "maybe": "null", "on": "True",
         "inner.name": "12"},
    )  # fmt: skip
    assert config == Outer(count=9, many=(7,), on=True, inner=Inner(rates=(0.5, 1.0), name="12"))
    for path in ("cuont", "inner.x", "count.x"):
        with pytest.raises(OptionError, match="--set"):
            override(Outer(), {path: "1"})


def test_atomic_write_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def fail(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_no_file_takes_the_place_of_a_device_a_pipe_or_a_folder(tmp_path):
    """``--out /dev/stdout`` by root replaced the device, for every process of the machine."""
    os.mkfifo(tmp_path / "pipe")
    for place in ("/dev/stdout", "/dev/none", "/proc/self/fd/1", tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match=r"devices|pipe|directory"):
            check_place(Path(place))
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").touch()
    for place in ("file", "link", "new"):
        check_place(tmp_path / place)
    with pytest.raises(OSError, match="pipe"):
        write_atomic(tmp_path / "pipe", "text")


def test_run_folder_is_locked_by_one_process(tmp_path):
    run = Run.create(tmp_path / "run")
    code = (
        "import sys\nfrom pathlib import Path\nfrom mien.runs import Run\n"
        "from mien.errors import RunError\n"
        "try:\n    with Run(Path(sys.argv[1])).lock(): print('free')\n"
        "except RunError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(run.path)]
    with run.lock():
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert f"process {os.getpid()} is working on it" in done.stdout
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "free"


def test_run_folders_are_made_only_where_nothing_is(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(RunError, match="not empty"):
        Run.create(tmp_path / "full")
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunError, match="file"):
            Run.create(place)
    assert Run.fresh_name(tmp_path, "cnn4").name == "cnn4-1"
    Run.create(tmp_path / "cnn4-1")
    assert Run.fresh_name(tmp_path, "cnn4").name == "cnn4-2"
    with pytest.raises(RunError, match="no run here"):
        Run.open(tmp_path)
