"""Fuzz one target with atheris, which is not among mien's extras: ``pip install atheris``.

    python tests/fuzz/run.py csv --seconds 600

Coverage guides it through mien and through the pure-Python parsers below it. A finding is written
to ``crash-…`` in the present folder and ends the run; give that file's path to try it again. An
input that takes more than ten seconds of the processor is a finding too. ``--seconds`` are the
processor's as well: on a busy machine the same work takes longer.
"""

import argparse
import itertools
import math
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mien", "zipfile", "tarfile", "gzip", "PIL", "json"]):
    import mien.models.checkpoint  # noqa: F401  here, or the model target would go unguided

    sys.path.insert(0, str(Path(__file__).parent))
    from targets import TARGETS, Defect, seeds

SECONDS = 10  # of the processor, for one input


def limited(target, seconds):
    """``target`` with a limit of time for each input, and an end of the process after ``seconds``.

    Both are the processor's: libFuzzer's own limits count the time that a process stood still.
    """
    begun, tries = time.process_time(), itertools.count(1)

    def too_long(*_):
        raise Defect(f"more than {SECONDS} seconds of the processor")

    def tried(data: bytes) -> None:
        number, used = next(tries), time.process_time() - begun
        if used > seconds:
            sys.stderr.write(
                f"{number - 1:,} inputs in {used:.0f} s of the processor, no finding\n"
            )
            os._exit(0)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            target(data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    signal.signal(signal.SIGPROF, too_long)
    return tried


def main() -> None:
    """Fuzz, or try one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("files", nargs="*", help="try these instead")
    given = parser.parse_args()
    target = limited(TARGETS[given.target], given.seconds if not given.files else math.inf)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(given.target)):
            target(seed)
            (Path(corpus) / str(number)).write_bytes(seed)
        # A call into C that never comes back is seen by libFuzzer alone.
        limits = ["-timeout=600", "-rss_limit_mb=3000", "-max_len=20000", "-print_final_stats=1"]
        arguments = given.files or [corpus]
        atheris.Setup([sys.argv[0], *limits, *arguments], target)
        atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
