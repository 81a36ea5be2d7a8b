"""Precision, memory format and threads, chosen from what the machine has."""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from mien.errors import OptionError
from mien.system import check_threads, cores

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Hardware:
    """How to compute. precision: ``fp32`` or ``bf16`` (autocast; weights stay ``float32``)."""

    accelerator: str
    precision: str
    threads: int
    reason: str

    @property
    def fabric_precision(self) -> Literal["bf16-mixed", "32-true"]:
        """The same in Lightning Fabric's words."""
        return "bf16-mixed" if self.precision == "bf16" else "32-true"


def choose_hardware(
    *, accelerator: str = "auto", precision: str = "auto", threads: int = 0, ranks: int = 1
) -> Hardware:
    """Fill in what is ``auto`` (threads 0: this rank's share of the cores that it may use).

    bf16 is chosen where the processor multiplies it natively (AMX or AVX512-BF16 on a CPU, Ampere
    or later on a GPU): there it is 2 to 5 times as fast, elsewhere it is emulated and slower.

    Raises:
        OptionError: an accelerator that is not there, an unknown precision, or more threads than
            cores.
    """
    if precision not in PRECISIONS:
        raise OptionError(f"--precision {precision}: one of {', '.join(PRECISIONS)}")
    if accelerator not in ("auto", "cpu", "cuda"):
        raise OptionError(f"--device {accelerator}: one of auto, cpu, cuda")
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise OptionError("--device cuda: this machine or this torch build has no CUDA GPU")
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    fast, reason = _native_bf16(accelerator)
    if precision == "auto":
        precision = "bf16" if fast else "fp32"
    else:
        reason = "as asked"
    check_threads(threads)
    if threads < 1:
        threads = max(1, cores() // ranks)
    return Hardware(accelerator, precision, threads, reason)


def processor_capabilities() -> dict[str, Any]:
    """What the processor has, in torch's names; empty in torch 2.10, which cannot tell yet."""
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return found


def _native_bf16(accelerator: str) -> tuple[bool, str]:
    if accelerator == "cuda":
        fast = torch.cuda.get_device_capability()[0] >= 8
        return fast, "the GPU has bf16 units" if fast else "the GPU has no bf16 units"
    capabilities = processor_capabilities()
    for name in ("amx_bf16", "avx512_bf16"):
        if capabilities.get(name):
            return True, f"the processor has {name}"
    return False, "the processor has neither amx_bf16 nor avx512_bf16"
