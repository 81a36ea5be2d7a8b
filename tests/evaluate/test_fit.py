"""What a history supports saying, against curves whose answer is plain."""

import math

import numpy as np
import pytest

from mien.evaluate.fit import describe_fit, image_losses
from mien.evaluate.intervals import newcombe
from mien.labels import CLASSES
from mien.types import Outputs


def kinds(train, validation, n=2000, spread=1.0):
    found = describe_fit(
        [(loss, 0.6) for loss in train], [(loss, 0.6) for loss in validation],
        epochs=range(1, len(train) + 1), n_train=n, n_validation=n, spread=spread,
    )  # fmt: skip
    return {one.kind: one for one in found}


def test_overfitting_and_its_numbers():
    train = [1.5, 1.0, 0.8, 0.4, 0.1]
    validation = [1.5, 1.1, 1.0, 1.3, 1.6]
    one = kinds(train, validation)["fit-over"]
    assert one.values["epoch"] == 3
    rise, fall = one.values["rise_loss"], one.values["fall_loss"]
    assert rise.value == pytest.approx(0.6)
    assert fall.value == pytest.approx(0.7)
    # Two-sided 95 % shared among 5 epochs: the normal quantile of 0.995 is 2.5758.
    assert rise.high - rise.value == pytest.approx(2.5758 * math.sqrt(2 / 2000), abs=1e-4)


def test_a_rise_within_chance_is_not_overfitting():
    train, validation = [1.5, 1.0, 0.8, 0.7, 0.6], [1.5, 1.1, 1.0, 1.0, 1.02]
    assert set(kinds(train, validation)) == {"fit-neither"}
    # With enough images the same rise is one.
    assert "fit-over" in kinds(train, validation, n=10**6)


def test_underfitting():
    falling = [2.0 - 0.1 * e for e in range(10)]
    assert set(kinds(falling, falling)) == {"fit-under"}
    assert set(kinds(falling, falling, n=50)) == {"fit-neither"}


def test_the_gap():
    found = describe_fit(
        [(1.0, 0.5), (0.5, 0.9)], [(1.0, 0.5), (1.0, 0.6)], epochs=[1, 2],
        n_train=1000, n_validation=500, spread=1.0,
    )  # fmt: skip
    assert found[0].kind == "fit-gap"
    assert found[0].values["difference"] == newcombe(900, 1000, 300, 500)


def test_nothing_is_said_of_one_epoch_or_of_blanks():
    assert kinds([1.0], [1.0]) == {}
    assert kinds([1.0, math.nan], [1.0, 1.0]) == {}


def test_losses_of_images():
    logits = np.array([[0, 0, 0, 0, 0, 0, 0], [math.log(6), 0, 0, 0, 0, 0, 0]], np.float32)
    outputs = Outputs(
        ids=np.array(["a", "b"]), splits=np.array(["test"] * 2), labels=np.array([3, 0]),
        logits=logits, hashes=np.array(["0", "1"]), copied=np.zeros(2, bool), classes=CLASSES,
    )  # fmt: skip
    assert image_losses(outputs) == pytest.approx([math.log(7), math.log(2)])
