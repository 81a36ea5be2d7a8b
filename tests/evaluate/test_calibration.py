import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from mien.errors import DataError, OptionError
from mien.evaluate.calibration import calibration, calibration_findings, describe_calibration
from mien.types import Outputs


def _outputs(n: int, sharpen: float, *, seed: int = 0, copied: float = 0.0) -> Outputs:
    """Logits ``sharpen`` times too large; 1 is calibrated."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, 4))
    chance = special.softmax(logits, axis=1).cumsum(axis=1)
    return Outputs(
        ids=np.arange(n).astype(str),
        splits=np.array(["validation"] * n),
        labels=(chance > rng.random((n, 1))).argmax(axis=1),
        logits=(sharpen * logits).astype(np.float32),
        hashes=np.array([f"{i:032x}" for i in range(n)]),
        copied=rng.random(n) < copied,
        classes=("angry", "fear", "happy", "sad"),
    )


def _kinds(outputs: Outputs) -> list[str]:
    return [one.kind for one in calibration_findings(calibration(outputs, replicates=200))]


def test_a_calibrated_model_is_not_accused() -> None:
    accused = [set(_kinds(_outputs(800, 1.0, seed=s))) - {"surest", "unsure"} for s in range(12)]
    assert sum(bool(kinds) for kinds in accused) <= 2


def test_one_that_is_too_sure_is_named_and_mended() -> None:
    found = calibration(_outputs(3000, 2.0), replicates=200)
    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert len(set(found.fold_temperatures)) == 5
    assert found.before.ece.low > 0.05
    assert found.after.debiased_ece.value < 0.03
    assert found.nll_gain.low > 0
    first, second, *rest = describe_calibration(found)
    assert first.startswith("Its confidence is too high by 1")
    assert "where it says about" in first
    assert second.startswith(f"With a temperature of {found.temperature:.2f} its calibration error")
    assert not any("too high" in sentence for sentence in rest)
    chinese = describe_calibration(found, language="zh-Hant")
    assert len(chinese) == len(rest) + 2
    assert "高估" in chinese[0]


def test_one_that_is_too_unsure() -> None:
    kinds = _kinds(_outputs(3000, 0.5))
    assert kinds[:2] == ["too-unsure-where", "tempered"]


def test_copies_are_left_out_where_others_are_left() -> None:
    outputs = _outputs(400, 1.0, copied=0.2)
    found = calibration(outputs, replicates=50)
    assert found.without_copies
    assert found.n == int((~outputs.copied).sum())
    alone = calibration(outputs.take(~outputs.copied), replicates=50)
    assert alone.to_json() == found.to_json()
    whole = calibration(replace(outputs, copied=np.ones(400, dtype=bool)), replicates=50)
    assert (whole.n, whole.without_copies) == (400, False)


def test_json_is_strict_and_as_agreed() -> None:
    data = json.loads(json.dumps(calibration(_outputs(200, 1.5), replicates=50).to_json(),
                                 allow_nan=False))  # fmt: skip
    assert {"n", "without_copies", "temperature", "before", "after", "risk_coverage", "at_80",
            "abstain", "findings"} <= data.keys()  # fmt: skip
    assert {"ece", "adaptive_ece", "debiased_ece", "brier", "nll", "bins"} <= data["after"].keys()
    assert data["after"]["ece"].keys() == {"value", "low", "high"}
    empty = [one for one in data["before"]["bins"] if one["n"] == 0]
    assert empty[0]["confidence"] is None
    assert {"accuracy", "full", "gain"} <= data["at_80"].keys()
    assert {"error", "threshold", "coverage", "realised"} <= data["abstain"][0].keys()


def test_what_cannot_be_measured() -> None:
    outputs = _outputs(3, 1.0)
    with pytest.raises(DataError, match="too few"):
        calibration(outputs)
    with pytest.raises(DataError, match="has a label"):
        calibration(replace(outputs, labels=np.full(3, -1)))
    with pytest.raises(OptionError, match=r"error rates \[1\.2\]"):
        calibration(_outputs(50, 1.0), errors=[1.2])
