"""mien: train a facial-expression CNN, and say what it gets wrong and how far to believe it.

Importing this package does no work and imports no torch (PEP 562): each public name is fetched
from its room when it is first used. The verbs ``train`` and ``evaluate`` are not among them, since
rooms bear these names: ``from mien.jobs.train import train``.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "CLASSES": "mien.labels",
    "MienError": "mien.errors",
    "audit": "mien.jobs.audit",
    "compare": "mien.jobs.compare",
    "label": "mien.jobs.label",
    "load": "mien.predict.pipeline",
    "read": "mien.data.sources",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mien' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
