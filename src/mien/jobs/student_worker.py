"""Runs a learner's file: ``python student_worker.py FILE CASES RESULTS``, in a process of its own.

CASES is JSON: function name to a list of keyword arguments, arrays as nested lists. RESULTS is
written a line a function, so that what came before a crash or the time limit is kept. Uses nothing
of mien and nothing but NumPy, because whatever is here is at the mercy of foreign code.
"""

import contextlib
import importlib.util
import inspect
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

_LARGEST = 100_000
_MEMORY = 4 * 2**30


def _limit_memory() -> None:
    # Windows has no such limits, and macOS not this one.
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def main(file: str, cases_path: str, results_path: str) -> None:
    """Import FILE, call each function on its cases, write what it gave."""
    cases = json.loads(Path(cases_path).read_text())
    _limit_memory()
    with Path(results_path).open("w") as results:

        def tell(entry: dict[str, Any]) -> None:
            results.write(json.dumps(entry) + "\n")
            results.flush()

        tell({"running": "import"})
        sys.path.insert(0, str(Path(file).resolve().parent))
        try:
            spec = importlib.util.spec_from_file_location("student", file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except BaseException as error:  # noqa: BLE001  whatever it is, it is the learner's
            tell({"failed": "import", "error": _told(error, file)})
            return
        for name, calls in cases.items():
            function = getattr(module, name, None)
            if function is not None and not _unfilled(function):
                tell({"running": name})
                tell({"name": name, "results": [_call(function, call, file) for call in calls]})
        tell({"finished": True})


def _unfilled(function: Any) -> bool:
    """Whether a function still is as the template has it."""
    try:
        return "raise NotImplementedError" in inspect.getsource(function)
    except (OSError, TypeError):
        return False


def _call(function: Any, call: dict[str, Any], file: str) -> dict[str, Any]:
    given = {k: np.array(v, dtype=np.float64) if isinstance(v, list) and call["arrays"] else
             tuple(v) if isinstance(v, list) else v for k, v in call["given"].items()}  # fmt: skip
    try:
        # By position: what a learner calls the arguments is theirs to choose.
        return {"value": _plain(function(*given.values()))}
    except BaseException as error:  # noqa: BLE001
        return {"error": _told(error, file)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {"dict": {str(k): _plain(v) for k, v in value.items()}}
    if value is None:
        return {"none": True}
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            return {"other": f"{type(value).__name__} of {array.dtype}"}
        if array.size > _LARGEST:
            return {"other": f"an array of shape {array.shape}"}
        return {"array": array.astype(np.float64).tolist()}
    except (ValueError, TypeError):
        return {"other": type(value).__name__}


def _told(error: BaseException, file: str) -> str:
    """The error's last line, and the line of the learner's file where it arose."""
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).resolve() == Path(file).resolve():
            where = f" (line {frame.lineno}: {frame.line})"
    if isinstance(error, SyntaxError) and error.lineno:
        where = f" (line {error.lineno})"
    lines = traceback.format_exception_only(error)
    return lines[-1].strip()[:300] + where


if __name__ == "__main__":
    main(*sys.argv[1:4])
