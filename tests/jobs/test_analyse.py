"""The analyses of a run: within a budget, one failure does not cost the others."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.sources import read
from mien.errors import DataError
from mien.evaluate.predictions import read_predictions
from mien.jobs import analyse as job
from mien.jobs.analyse import analyse, same_weights
from mien.jobs.worked import worked
from mien.models.checkpoint import load_model
from mien.runs import Run
from mien.theory.examples import worked_numbers
from report_runs import SOURCE, make_run, predictions


def kinds(*made):
    return tuple(
        job.Kind(name=name, file=f"{name}.json", seconds=seconds, make=make, verb=f"mien {name}")
        for name, seconds, make in made
    )


def test_order_budget_failure_and_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = make_run(tmp_path / "run")
    calls = []

    def fine(work):
        calls.append("fine")
        work.write("fine.json", {"x": 1})

    def broken(work):
        raise DataError("no such pictures")

    def defect(work):
        raise ZeroDivisionError

    asked = (("fine", 1, fine), ("broken", 1, broken), ("defect", 1, defect), ("long", 500, fine))
    monkeypatch.setattr(job, "KINDS", kinds(*asked))
    made = analyse(run, budget_seconds=100)
    assert [part.state for part in made.parts] == ["done", "failed", "failed", "skipped"]
    assert made.notes[0] == "broken: no such pictures"
    assert made.notes[1].startswith("defect: ZeroDivisionError")
    assert "make it with 'mien long'" in made.notes[2]
    again = analyse(run, budget_seconds=100)
    assert again.parts[0].state == "kept"
    assert calls == ["fine"]
    kept = json.loads((run / "analysis.json").read_text())["parts"]
    assert kept[0]["state"] == "done"
    assert kept[0]["seconds"] > 0
    # Of another model it is made anew.
    (run / "fine.json").write_text('{"model_checksum": "other"}')
    assert analyse(run, budget_seconds=100).parts[0].state == "done"


def test_a_sealed_file_is_the_same_network(tmp_path: Path):
    from mien.jobs.calibrate import calibrate

    run = make_run(tmp_path / "run")
    outputs = read_predictions(run / "predictions.parquet")
    before = load_model(run).checksum
    calibrate(run)
    after = load_model(run).checksum
    assert after != before
    assert same_weights(Run(run), outputs) == {before, after}
    outputs.about["model_checksum"] = "other"
    assert same_weights(Run(run), outputs) == {"other"}


def test_worked_numbers_are_those_of_the_network(tmp_path: Path):
    """The closed form on the taken inputs gives autograd's gradient at that very layer."""
    run = make_run(tmp_path / "run")
    model, faces = load_model(run), read(SOURCE, size=32)
    given = worked(model, np.array(faces.images[:4]), faces.labels[:4], predictions(0))
    batch = given["batchnorm"]
    layer = dict(model.network.named_modules())[batch["about"]["layer"]]
    k = batch["about"]["feature"]
    x = torch.tensor(batch["x"], dtype=torch.float64, requires_grad=True)
    spread = ((x - x.mean()) ** 2).mean() + layer.eps
    gamma, beta = (float(w.detach()[k]) for w in (layer.weight, layer.bias))
    y = gamma * (x - x.mean()) / spread.sqrt() + beta
    y.backward(torch.tensor(batch["dy"], dtype=torch.float64))
    numbers = worked_numbers("batchnorm", batch)
    assert numbers["y"] == pytest.approx(y.detach().numpy(), abs=1e-12)
    assert numbers["dx"] == pytest.approx(x.grad.numpy(), abs=1e-9)
    assert any(abs(v) > 0 for v in batch["dy"])
    shape = worked_numbers("shape", given["shape"])
    first = next(m for m in model.network.modules() if isinstance(m, torch.nn.Conv2d))
    assert shape["size"] == first(torch.zeros(1, 1, 32, 32)).shape[3]
    logits = predictions(0).logits
    row = predictions(0).ids.tolist().index(given["softmax"]["about"]["id"])
    assert given["softmax"]["z"] == pytest.approx(logits[row].tolist())
    assert worked_numbers("softmax", given["softmax"])["p"] == pytest.approx(
        torch.softmax(torch.tensor(logits[row], dtype=torch.float64), 0).numpy()
    )
