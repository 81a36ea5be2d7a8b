"""What is chosen follows from what the machine says that it has."""

import pytest
import torch

from mien import system
from mien.errors import OptionError
from mien.train import hardware
from mien.train.hardware import choose_hardware


@pytest.mark.parametrize(
    ("has", "precision"),
    [({"amx_bf16": True}, "bf16"), ({"avx512_bf16": True}, "bf16"),
     ({"avx512_f": True, "amx_bf16": False}, "fp32"), ({}, "fp32")],
)  # fmt: skip
def test_bf16_only_where_the_processor_multiplies_it(monkeypatch, has, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    chosen = choose_hardware(accelerator="cpu")
    assert chosen.precision == precision
    assert choose_hardware(accelerator="cpu", precision="fp32").precision == "fp32"
    assert choose_hardware(accelerator="cpu", precision="bf16").reason == "as asked"


def test_threads_are_the_cores_shared_by_the_ranks(monkeypatch):
    for module in (hardware, system):
        monkeypatch.setattr(module, "cores", lambda: 8)
    assert choose_hardware(accelerator="cpu").threads == 8
    assert choose_hardware(accelerator="cpu", ranks=3).threads == 2
    assert choose_hardware(accelerator="cpu", ranks=99).threads == 1
    assert choose_hardware(accelerator="cpu", threads=5).threads == 5
    with pytest.raises(OptionError, match="8 cores"):
        choose_hardware(accelerator="cpu", threads=9)


def test_what_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_hardware().accelerator == "cpu"
    for wrong in ({"accelerator": "cuda"}, {"accelerator": "tpu"}, {"precision": "fp8"}):
        with pytest.raises(OptionError):
            choose_hardware(**wrong)
