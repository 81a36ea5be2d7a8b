"""The command line as a person meets it: help, exit codes, one line an error, no tracebacks."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile

import pytest
from PIL import Image

from mien.app.cli import main


def mien(*arguments, cwd=None, **more):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **more}
    return subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def mien_here(monkeypatch, capsys, tmp_path):
    """The same within this process, where torch is imported already: its code and stderr."""

    def call(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return call


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "run"
    done = mien("train", "synthetic:300", "--recipe", "demo", "--epochs", "1", "--threads", "1",
                "--no-report",
                "--set", "model.widths=4,8,8,8", "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "epoch 1/1" in done.stderr
    assert "Most confused" in done.stdout
    assert "\x1b[" not in done.stdout + done.stderr
    return out


VERBS = ["demo", "train", "evaluate", "compare", "report", "explain", "regions", "pairs", "filters",
         "trust", "audit", "label", "draw", "architecture", "check", "export",
         "models", "card"]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(verb):
    done = mien(verb, "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert f"mien {verb}" in done.stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys, mien.app.cli; "
        "heavy = {'torch', 'cv2', 'matplotlib', 'scipy', 'sklearn', 'pyarrow', 'rich.console'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_base_verbs_need_no_torch(tmp_path):
    """As with the base installation: torch and its friends cannot be imported."""
    block = tmp_path / "sitecustomize.py"
    block.write_text(
        "import sys\n"
        "for name in ('torch', 'lightning_fabric', 'safetensors', 'scipy', 'sklearn',\n"
        "             'matplotlib', 'tensorboardX'):\n"
        "    sys.modules[name] = None\n"
    )
    path = {"PYTHONPATH": str(tmp_path)}
    done = mien("draw", tmp_path / "faces.zip", "-n", "30", **path)
    assert done.returncode == 0, done.stderr
    done = mien("audit", tmp_path / "faces.zip", "--sheet", tmp_path / "sheet.png", **path)
    assert done.returncode == 0, done.stderr
    for verb in (["train", "synthetic:100"], ["demo"], ["compare", "a", "b"],
                 ["evaluate", "m", "d"], ["label", "x", "--model", "m"],
                 ["architecture", "m"], ["check", "m"], ["report", "m"], ["explain", "m", "x.png"],
                 ["regions", "m", "d"], ["pairs", "m", "d"], ["filters", "m", "d"],
                 ["trust", "m", "d"]):  # fmt: skip
        done = mien(*verb, **path)
        assert done.returncode == 2
        assert done.stderr.strip() == (
            f"mien: mien {verb[0]} needs the extra 'train': pip install 'mien[train]'"
        )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "nowhere/"], "nowhere"),
        (["train"], "name DATA"),
        (["train", "synthetic:100", "--recipe", "huge"], "no recipe is called 'huge'"),
        (["train", "synthetic:100", "--set", "model.width=3"], "no field 'width'"),
        (["train", "synthetic:100", "--set", "epochs"], "FIELD=VALUE"),
        (["train", "synthetic:100", "--set", "epochs=many"], "no int"),
        (["train", "synthetic:100", "--device", "tpu"], "one of auto, cpu, cuda"),
        (["train", "synthetic:100", "--map", "contempt"], "FOUND=CLASS"),
        (["train", "synthetic:100", "--from", "none.safetensors"], "cannot be read"),
        (["train", "synthetic:100", "--teacher", "none"], "cannot be read"),
        (["train", "synthetic:100", "--set", "objective.temperature=3"], "without --teacher"),
        (["train", "--resume", "nowhere"], "no run here"),
        (["train", "--resume", "nowhere", "--epochs", "3"], "--epochs"),
        (["train", "synthetic:100", "--size", "8"], "--size"),
        (["train", "synthetic:100", "--threads", "999"], "cores"),
        (["train", "synthetic:100", "--set", "model=foo"], "model.widths"),
        (["train", "synthetic:100", "--set", "model.widths=4,8"], "4 are needed"),
        (["train", "synthetic:100", "--set", "model.size=96"], "--size"),
        (["train", "synthetic:100", "--set", "architecture=resnet"], "cnn4"),
        (["evaluate", "nowhere", "--split", "test"], "needs DATA"),
        (["nonsense"], "nonsense"),
        (["evaluate", "nowhere", "synthetic:100"], "cannot be read"),
        (["evaluate", "nowhere"], "no predictions here"),
        (["evaluate", "a", "b.safetensors", "--zooms"], "needs DATA"),
        (["evaluate", "a.parquet", "a.parquet"], "named twice"),
        (["compare", "a", "b"], "no predictions here"),
        (["report", "nowhere"], "no run here"),
        (["report", "nowhere", "--pdf", "--out", "r.pdf"], "end it in .html"),
        (["regions", "nowhere", "synthetic:100", "--of", "nose"], "predicted or label"),
        (["pairs", "nowhere", "synthetic:100", "--lang", "de"], "one of en, zh-Hant"),
        (["explain", "nowhere", "a.png"], "cannot be read"),
        (["label", "nowhere", "--model", "nowhere"], "cannot be read"),
        (["audit", "nowhere"], "nowhere"),
        (["architecture", "nowhere"], "cannot be read"),
        (["architecture", "nets.py:build"], "--input-shape"),
        (["architecture", "nets.py:build", "--input-shape", "1,48,48"], "no such file"),
        (["check"], "name MODEL, or one of"),
        (["check", "model", "--template"], "name MODEL, or one of"),
        (["check", "--student", "none.py"], "no such file"),
        (["check", "--student", "none.py", "--batch", "3"], "--batch: has no effect"),
        (["check", "model", "--lang", "en"], "--lang: has no effect"),
        (["check", "--derivations", "a.html", "--lang", "de"], "one of en, zh-Hant"),
        (["draw", "faces.txt"], "ends in .png"),
        (["draw", "faces.png", "--region", "ear"], "brows, eyes, nose, mouth"),
        (["draw", "no/such/folder/faces.png"], "cannot be written"),
    ],
)
def test_errors_are_one_line_and_exit_2(arguments, told, tmp_path, mien_here):
    before = set(tmp_path.iterdir())
    code, said = mien_here(*arguments)
    assert code == 2, said
    lines = said.strip().splitlines()
    assert told in lines[-1]
    assert lines[-1].startswith("mien: ")
    assert len(lines) == 1
    assert set(tmp_path.iterdir()) - {tmp_path / "mien-cache"} == before


def test_an_error_in_a_process_of_its_own_shows_no_traceback(tmp_path):
    done = mien("train", "nowhere/", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("mien: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["/proc/run", "x" * 300])
def test_a_run_folder_that_cannot_be_made_is_one_line(name):
    done = mien("train", "synthetic:100", "--out", name)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"mien: {name}: cannot be")
    assert "Traceback" not in done.stderr


def test_bad_records_are_listed_and_exit_1(tmp_path):
    row = " ".join(["7"] * 2304)
    good = "\n".join(f"{k % 7},{row},Training" for k in range(20))
    text = f"emotion,pixels,Usage\n{good}\n9,{row},Training\n3,{row} 1,Training\n"
    (tmp_path / "fer2013.csv").write_text(text)
    done = mien("audit", "fer2013.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "Bad records: 2" in done.stdout
    assert "row 22" in done.stdout
    assert "row 23" in done.stdout
    done = mien("audit", "fer2013.csv", "--json", cwd=tmp_path)
    assert len(json.loads(done.stdout)["problems"]) == 2
    done = mien("train", "fer2013.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "row 22" in done.stderr.splitlines()[-1]


_FIGURES = ("confusion", "classes", "history", "reliability", "risk-coverage")


def test_evaluate_json_and_figures(run, tmp_path):
    done = mien("evaluate", run, "--calibrate", "--json")
    data = json.loads(done.stdout)
    assert data["whole"]["n"] == 30
    assert data["calibration"]["n"] == 30
    assert f"temperature {data['calibration']['temperature']:.3f}" in done.stderr
    assert {p.name for p in (run / "figures").iterdir()} == {
        f"{name}.{kind}" for name in _FIGURES for kind in ("svg", "png")
    }
    done = mien("compare", run, run)
    assert done.returncode == 0
    assert "right on exactly the same" in done.stdout


def test_evaluate_averages_models(run, tmp_path):
    other = tmp_path / "other.safetensors"
    shutil.copy(run / "model.safetensors", other)
    done = mien("evaluate", run, other, "synthetic:300", "--out", tmp_path / "both")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.split("The average of their probabilities:")
    assert len(shown) == 2
    assert "p = 1" in shown[0]  # the same model twice: nothing gained
    assert (tmp_path / "both" / "figures" / "confusion.svg").is_file()
    one = json.loads((run / "evaluation.json").read_text())["whole"]["accuracy"]
    both = json.loads((tmp_path / "both" / "evaluation.json").read_text())["whole"]["accuracy"]
    assert one == both


def test_label_goes_on_past_bad_pictures_only_when_asked(run, tmp_path):
    with zipfile.ZipFile(tmp_path / "crops.zip", "w") as archive:
        Image.new("L", (48, 48), 90).save(tmp_path / "1.png")
        archive.write(tmp_path / "1.png", "crops/1.png")
        archive.writestr("crops/2.png", b"no picture")
    out = tmp_path / "out.csv"
    done = mien("label", tmp_path / "crops.zip", "--model", run, "--out", out)
    assert done.returncode == 2
    assert "2.png" in done.stderr
    assert not out.exists()
    done = mien("label", tmp_path / "crops.zip", "--model", run, "--out", out, "--skip-bad")
    assert done.returncode == 1
    assert len(out.read_text().splitlines()) == 2


def test_architecture_and_check_of_a_run(run, tmp_path):
    done = mien("architecture", run, "--out", tmp_path / "drawn", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["output"] == [7]
    assert {p.name for p in (tmp_path / "drawn").iterdir()} == {
        "architecture.svg", "architecture.png", "architecture.json",
    }  # fmt: skip
    done = mien("check", run, "--data", "synthetic:60")
    assert done.returncode == 0, done.stdout
    assert " 0 wrong" in done.stdout


def test_an_impossible_layer_is_one_line_with_its_arithmetic(tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def build(): return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 9))\n"
    )
    done = mien("architecture", "net.py:build", "--input-shape", "1,8,8", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "mien: layer '1' (Conv2d) on 1×2×6×6: the kernel spans 9 (kernel 9, dilation 1) but the "
        "padded input has 6 = 6 + 0 + 0: ⌊(6 + 0 + 0 − 1·(9 − 1) − 1)/1⌋ + 1 = -2"
    ]


def test_a_learners_file_is_checked_and_what_is_wrong_exits_1(tmp_path):
    done = mien("check", "--template")
    assert "def batchnorm_backward(x, gamma, beta, eps, dout):" in done.stdout
    (tmp_path / "mine.py").write_text(
        "def conv_output_shape(w, h, c, k, s, p):\n"
        "    return (w + 2 * p[0] - k[0]) / s[0] + 1, (h + 2 * p[1] - k[1]) / s[1] + 1, c\n"
    )
    done = mien("check", "--student", tmp_path / "mine.py")
    assert done.returncode == 1
    assert "the floor is forgotten" in done.stdout
    done = mien("check", "--student", tmp_path / "mine.py", "--json")
    assert json.loads(done.stdout)["wrong"] == 1


def test_output_into_a_closed_pipe_is_no_error(run):
    command = f"{sys.executable} -m mien evaluate {run} --json | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def torchrun(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
         str(20000 + time.time_ns() % 20000), "-m", "mien", "train", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


def test_an_error_ends_all_ranks_with_one_line_of_miens():
    done = torchrun("nowhere.zip")
    assert done.returncode != 0
    ours = [line for line in done.stderr.splitlines() if line.startswith("mien: ")]
    assert len(ours) == 1
    assert "nowhere.zip" in ours[0]
    # torchrun adds its own summary of who ended; no traceback of mien's may stand in it.
    assert 'File "' not in done.stderr.split("mien: ")[0]
    assert "mien/jobs" not in done.stderr


def test_two_ranks_train_one_model(tmp_path):
    out = tmp_path / "run"
    done = torchrun("synthetic:300", "--recipe", "demo", "--epochs", "2", "--set",
                    "model.widths=4,8,8,8", "--out", out, "--json", "--no-report")  # fmt: skip
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)  # one document: the other rank is mute
    assert data["whole"]["n"] == 30
    assert json.loads((out / "run.json").read_text())["ranks"] == 2
    rows = (out / "history.csv").read_text().splitlines()
    assert len(rows) == 3
    # Measured over both ranks' halves, the accuracy is a whole number of the 30 images.
    accuracy = float(rows[-1].split(",")[4])
    assert accuracy * 30 == pytest.approx(round(accuracy * 30), abs=1e-3)
