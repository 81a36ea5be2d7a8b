"""A method's verdict is shown with its maps, but only that of the very same weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.jobs.foreign import Opened
from mien.jobs.subject import Subject
from mien.jobs.verdicts import verdict_on
from mien.models.checkpoint import Model
from mien.models.cnn4 import CNN4, CNN4Config
from mien.runs import write_json


@pytest.fixture
def subject(tmp_path):
    torch.manual_seed(0)
    config = CNN4Config(widths=(2, 2, 2, 2), hidden=(4, 4))
    network = CNN4(config)
    model = Model(network=network, architecture="cnn4", config=config, classes=("a", "b"))
    opened = Opened(network=network, shape=(1, 48, 48), name="net", own=True)
    (tmp_path / "explain").mkdir()
    return Subject(opened=opened, model=model, home=tmp_path, checksum="now", stem="net")


def tell(home, checksum):
    methods = [{"method": "gradient", "verdict": "not-better", "against": ["edges"]},
               {"method": "occlusion", "verdict": "passes", "against": []}]  # fmt: skip
    write_json(home / "explain/trust.json", {"model_checksum": checksum, "methods": methods})


def test_the_verdict_of_these_weights_and_of_no_others(subject):
    assert verdict_on(subject, "gradient") is None
    tell(subject.home, "now")
    assert verdict_on(subject, "gradient") == {"verdict": "not-better", "against": ["edges"]}
    assert verdict_on(subject, "occlusion") == {"verdict": "passes", "against": []}
    assert verdict_on(subject, "gradcam") is None
    tell(subject.home, "another")
    assert verdict_on(subject, "gradient") is None
    assert verdict_on(replace(subject, home=None), "gradient") is None


def test_a_damaged_file_is_no_verdict(subject):
    (subject.home / "explain/trust.json").write_bytes(np.random.default_rng(0).bytes(99))
    assert verdict_on(subject, "gradient") is None
