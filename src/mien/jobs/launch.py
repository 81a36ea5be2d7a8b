"""Starts Lightning Fabric, alone or as one of ``torchrun``'s ranks."""

import inspect
import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from mien.jobs.prepare import DataOptions, read_source
from mien.system import keep_freed_memory
from mien.train import ranks
from mien.train.hardware import Hardware, choose_hardware
from mien.types import ImageSet, Progress

T = TypeVar("T")


def launch(accelerator: str, precision: str, threads: int) -> tuple[Fabric, Hardware]:
    """Fabric on the hardware that is there; under ``torchrun`` with DDP over its ranks.

    Sets torch's number of threads for this process and, on a CPU, has it keep freed memory.

    Raises:
        OptionError: an accelerator that is not there, or an unknown precision.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    hardware = choose_hardware(
        accelerator=accelerator, precision=precision, threads=threads, ranks=local
    )
    torch.set_num_threads(hardware.threads)
    if hardware.accelerator == "cpu":
        keep_freed_memory()
    # Fabric announces on stderr what mien says in its own words, or what no user asked about.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=hardware.accelerator,
        devices=local,
        num_nodes=max(1, world // local),
        strategy=_apart() if world > 1 else "auto",
        precision=hardware.fabric_precision,
    )
    fabric.launch()
    return fabric, hardware


def _apart() -> DDPStrategy:
    """DDP without a message before each forward pass, which a rank out of memory might never send.

    The first rank's statistics of batch normalisation count, wherever they are used (see ``Loop``).
    """
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    newer = "forward_sync_buffers"  # torch 2.13 warns of the older name
    how: dict[str, Any] = {newer if newer in known else "broadcast_buffers": False}
    return DDPStrategy(**how)


def on_first(fabric: Fabric, action: Callable[[], T]) -> T | None:
    """Do something on the first rank while the others wait; its result there, None elsewhere.

    Raises:
        MienError, OSError: the action did; on every rank, so that none waits for one that has
            gone. RankLostError: a rank ended meanwhile.
    """
    with ranks.together(fabric, "see its last words, and begin again"):
        return ranks.on_first(fabric, action)


def read_once(fabric: Fabric, source: str, options: DataOptions, progress: Progress) -> ImageSet:
    """Read pictures on the first rank, which fills the cache, then on the others from it."""
    images = on_first(fabric, lambda: read_source(source, options, progress=progress))
    return images if images is not None else read_source(source, options)
