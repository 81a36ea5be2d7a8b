"""How long a report takes from finished results, and how large it is: ``bench/report.py RUN``.

Prints seconds for reading and for writing, on the cores that are there, in both languages.
"""

import sys
import tempfile
import time
from pathlib import Path

from mien.app.report.gather import gather
from mien.app.report.render import report


def main(run: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for language in ("en", "zh-Hant"):
            begin = time.perf_counter()
            gathered = gather(run)
            read = time.perf_counter() - begin
            page, _ = report(gathered, Path(folder) / "report.html", language=language)
            whole = time.perf_counter() - begin
            print(f"{language}: read {read:.1f} s, all {whole:.1f} s, "
                  f"{page.stat().st_size / 2**20:.2f} MiB")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
