"""The verb ``check --student``: a learner's own formulas against the reference, with hints."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.jobs import student_worker
from mien.jobs.student_judge import CASES, JUDGES, Finding

F64 = NDArray[np.float64]

TEMPLATE = '''"""Fill in any of these functions, then run: mien check --student FILE.py

Arrays are NumPy float64. A function that still raises NotImplementedError is left out.
"""

import numpy as np


def conv_output_shape(width, height, out_channels, kernel, stride, padding):
    """Shape behind a convolution; the last three are pairs (along the width, along the height).

    Returns (width, height, out_channels).
    """
    raise NotImplementedError


def batchnorm_backward(x, gamma, beta, eps, dout):
    """Gradients of batch normalisation; sums run over the batch, axis 0.

    x, dout: N×F; dout is ∂l/∂y. gamma, beta: F. eps: a number.
    Returns dict(dx_hat=N×F, dvar=F, dmean=F, dx=N×F, dgamma=F, dbeta=F).
    """
    raise NotImplementedError


def softmax_cross_entropy_backward(z, y):
    """Gradient of L = −Σ_t y_t log ŷ_t, ŷ = softmax(z), with respect to the logits z.

    z: N×K logits, which may be large. y: N×K targets, each row sums to 1.
    Returns dz, N×K: of each sample's own loss.
    """
    raise NotImplementedError
'''


@dataclass(frozen=True, kw_only=True)
class StudentReport:
    """findings: one for each function's item. functions: those that were run."""

    file: Path
    functions: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> int:
        """How many items are not right."""
        return sum(not finding.right for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Everything that is shown, JSON-able."""
        return {
            "file": str(self.file),
            "functions": list(self.functions),
            "wrong": self.wrong,
            "findings": [
                {"function": f.function, "item": f.item, "verdict": f.verdict, "hint": f.hint,
                 "detail": f.detail}
                for f in self.findings
            ],
        }  # fmt: skip


def check_student(file: Path | str, *, limit: float = 20.0) -> StudentReport:
    """Run a learner's file in a process of its own and judge what its functions give.

    limit: seconds for everything. An error in the file is a finding, not an error of mien.

    Raises:
        OptionError: there is no such file, or it defines none of the functions.
    """
    file = Path(file)
    if not file.is_file():
        raise OptionError(f"{file}: there is no such file; 'mien check --template' writes one")
    entries, ending = _run(file, limit)
    findings: list[Finding] = []
    functions: list[str] = []
    running, finished = "", False
    for entry in entries:
        running = entry.get("running", running)
        finished = finished or "finished" in entry
        if "failed" in entry:
            findings.append(_theirs("(import)", entry["error"]))
            finished = True
        if "name" in entry:
            name = str(entry["name"])
            functions.append(name)
            findings += JUDGES[name](entry["results"])
    if not finished:
        findings.append(_theirs(running, ending))
    elif not functions and not findings:
        raise OptionError(
            f"{file}: defines none of {', '.join(CASES)} (or all still are as in the template)"
        )
    return StudentReport(file=file, functions=tuple(functions), findings=tuple(findings))


def _theirs(where: str, error: str) -> Finding:
    verdict: Literal["failed"] = "failed"
    return Finding(function=where, item="", verdict=verdict, hint=f"your code: {error}")


def _run(file: Path, limit: float) -> tuple[list[dict[str, Any]], str]:
    """The worker's lines, and how it ended if it did not finish."""
    with tempfile.TemporaryDirectory(prefix="mien-student-") as folder:
        cases, results = Path(folder) / "cases.json", Path(folder) / "results.jsonl"
        cases.write_text(json.dumps({name: make() for name, make in CASES.items()}))
        results.touch()
        process = subprocess.Popen(
            # -P keeps this folder's modules from shadowing what the learner imports.
            [sys.executable, "-P", str(student_worker.__file__), str(file), str(cases),
             str(results)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1",
                                         "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            code = process.wait(timeout=limit)
            ending = f"the process ended by itself (exit code {code})"
            if code < 0:
                ending = f"the process was ended by {signal.Signals(-code).name}"
        except subprocess.TimeoutExpired:
            ending = f"did not finish within {limit:g} s"
        finally:
            _end(process)
        lines = results.read_text(errors="replace").splitlines()
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut off when the process ended
        if isinstance(entry, dict):
            entries.append(entry)
    return entries, ending


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the learner's process with whatever it has started."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:  # Windows has no groups of processes
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        process.wait()
