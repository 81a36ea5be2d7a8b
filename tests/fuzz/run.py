"""Fuzz one target with atheris, which is not among mien's extras: ``pip install atheris``.

    python tests/fuzz/run.py csv --seconds 600

Coverage guides it through mien and through the pure-Python parsers below it. A finding is written
to ``crash-…`` in the present folder and ends the run; give that file's path to try it again.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mien", "zipfile", "tarfile", "gzip", "PIL", "json"]):
    import mien.models.checkpoint  # noqa: F401  here, or the model target would go unguided

    sys.path.insert(0, str(Path(__file__).parent))
    from targets import TARGETS, seeds


def main() -> None:
    """Fuzz, or try one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("files", nargs="*", help="try these instead")
    given = parser.parse_args()
    target = TARGETS[given.target]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(given.target)):
            target(seed)
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = ["-timeout=10", "-rss_limit_mb=3000", "-max_len=20000", "-print_final_stats=1"]
        arguments = given.files or [f"-max_total_time={given.seconds}", corpus]
        atheris.Setup([sys.argv[0], *limits, *arguments], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
