"""Break one line of each of ten important functions; a test must notice.

    python scripts/mutants.py --out docs/results/mutants.md

Each mutation is applied to a copy of ``src`` in a temporary folder, which the named test file then
runs against. A mutation that no test notices is a gap in the tests, and the script ends with 1.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutation:
    """file, function: what is broken. old, new: text, of which ``old`` stands there once.

    tests: the file that should notice. why: why the function matters.
    """

    file: str
    function: str
    old: str
    new: str
    tests: str
    why: str


MUTATIONS = (
    Mutation(
        "train/objective.py",
        "training_loss",
        "return losses_N.mean()",
        "return losses_N.sum()",
        "tests/train/test_objective.py",
        "what training minimises",
    ),
    Mutation(
        "train/optim.py",
        "Average.update",
        "torch._foreach_lerp_(mine, theirs, 1 - decay)",
        "torch._foreach_lerp_(mine, theirs, decay)",
        "tests/train/test_optim.py",
        "the averaged network is the result",
    ),
    Mutation(
        "train/optim.py",
        "learning_rate",
        "left = (1 - position) / (1 - config.warm_up)",
        "left = 1 - position",
        "tests/train/test_optim.py",
        "the schedule decides the accuracy",
    ),
    Mutation(
        "data/loader.py",
        "Sampler.epoch",
        "torch.tensor_split(order, self.steps)[first:]",
        "torch.tensor_split(order, self.steps)[:]",
        "tests/data/test_loader.py",
        "a resumed run sees the same batches",
    ),
    Mutation(
        "data/splits.py",
        "training_indices",
        "return train[~copied], int(copied.sum())",
        "return train, int(copied.sum())",
        "tests/data/test_splits.py",
        "no copy of a validation image trains",
    ),
    Mutation(
        "data/layout_csv.py",
        "_Reader._values",
        "values.max() <= 255",
        "values.max() <= 256",
        "tests/data/test_bad_rows.py",
        "a bad pixel is not read as another",
    ),
    Mutation(
        "models/card.py",
        "read_tensor_file",
        "_digest(content, checksum) != checksum",
        "_digest(content, checksum) == ''",
        "tests/models/test_checkpoint.py",
        "an altered model is refused",
    ),
    Mutation(
        "runs.py",
        "write_atomic",
        "Path(name).replace(path)",
        "path.write_bytes(data[:-1])",
        "tests/train/test_faults.py",
        "nothing is written by halves",
    ),
    Mutation(
        "train/state.py",
        "load_state",
        "in reversed(saved)",
        "in list(saved)",
        "tests/train/test_faults.py",
        "a run goes on from its newest state",
    ),
    Mutation(
        "evaluate/intervals.py",
        "wilson",
        "z2 * z2 / (4 * total * total)",
        "z2 / (4 * total * total)",
        "tests/evaluate/test_intervals.py",
        "every accuracy stands with this interval",
    ),
)


def run(mutation, folder):
    """The first test that fails under ``mutation``, or nothing."""
    source = folder / "src"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    path = source / "mien" / mutation.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        raise SystemExit(
            f"{mutation.file}: {mutation.old!r} stands there {text.count(mutation.old)} times"
        )
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no",
               "-p", "no:cacheprovider", str(ROOT / mutation.tests)]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    found = re.search(r"^(?:FAILED|ERROR) \S*?::(\S+)", done.stdout, re.MULTILINE)
    if done.returncode == 1 and found:
        return found[1].split("[")[0]
    if done.returncode == 0:
        return ""
    raise SystemExit(f"{mutation.tests} did not run: {done.stdout[-500:]}{done.stderr[-500:]}")


def page(rows):
    """The table in Markdown."""
    noticed = sum(bool(test) for _, test in rows)
    lines = [
        "# Mutants: does a test notice?",
        "",
        "`python scripts/mutants.py --out docs/results/mutants.md` breaks one line of each of "
        "these functions in a copy of the sources and runs the test file beside it. "
        f"{noticed} of {len(rows)} were noticed.",
        "",
        "| function | why it matters | the line, and what became of it | noticed by |",
        "|---|---|---|---|",
    ]
    for mutation, test in rows:
        name = f"`{mutation.file}`: `{mutation.function}`"
        lines.append(
            f"| {name} | {mutation.why} | `{mutation.old}` → `{mutation.new}` | "
            f"{f'`{mutation.tests}`: `{test}`' if test else '**nothing**'} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", help="functions whose name holds this")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for mutation in MUTATIONS:
            if given.only is None or given.only in mutation.function:
                rows.append((mutation, run(mutation, Path(folder))))
                print(f"{mutation.function}: {rows[-1][1] or 'NOT NOTICED'}", flush=True)
    if given.out:
        given.out.write_text(page(rows), encoding="utf-8")
    sys.exit(not all(test for _, test in rows))


if __name__ == "__main__":
    main()
