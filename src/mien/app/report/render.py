"""From what was gathered to one HTML file; and its PDF through an installed Chromium."""

import base64
import hashlib
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mien import __version__
from mien.app.report.context import Context
from mien.app.report.gather import Gathered
from mien.app.report.sections import errors, looking, network, origin
from mien.app.report.sections.summary import summary
from mien.app.report.speech import Speech
from mien.errors import RunError
from mien.runs import write_atomic
from mien.words import catalogue

_SECTIONS: tuple[tuple[str, str, Callable[[Context], dict[str, Any]]], ...] = (
    ("summary", "", summary),
    ("architecture", "1", network.architecture),
    ("history", "2", network.history),
    ("confusion", "3", errors.confusion),
    ("saliency", "4", looking.saliency),
    ("filters", "5", looking.filters),
    ("maths", "6", network.maths),
    ("calibration", "", errors.calibration),
    ("audit", "", origin.audit),
    ("suspects", "", errors.suspects),
    ("provenance", "", origin.provenance),
    ("card", "", origin.card),
)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def report(gathered: Gathered, out: Path, *, language: str = "en") -> tuple[Path, list[str]]:
    """Write the page of a run; gives its path and what a person should hear.

    Figures go to the run's ``figures/`` (Chinese ones to ``figures/zh-Hant/``).

    Raises:
        OptionError: a language that mien does not speak. RunError: a file cannot be written.
    """
    catalogue(language)
    folder = gathered.path / "figures"
    context = Context(
        g=gathered,
        t=Speech(language),
        calibration=gathered.result.calibration,
        figures=folder if language == "en" else folder / language,
    )
    sections: list[dict[str, Any]] = [
        {"id": key, "number": number, "title": context.t(key), "template": f"{key}.html.j2",
         "view": _view(make, context)}
        for key, number, make in _SECTIONS
    ]  # fmt: skip
    heading = gathered.name
    data = errors.image_data(context)
    text = page(context.t, heading=heading, lede=sections[0]["view"]["lede"], sections=sections,
                data=data, run=heading, notes=context.notes)  # fmt: skip
    write(out, text)
    return out, context.notes


def _view(make: Callable[[Context], dict[str, Any]], context: Context) -> dict[str, Any]:
    """A section; where a file of another version cannot be used, the page says so and goes on."""
    try:
        return make(context)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if make is summary:
            raise
        what = f"{type(error).__name__}: {error}"
        return {"missing": context.t("damaged", what=what), "command": "mien report RUN --analyse"}


def page(
    t: Speech,
    *,
    heading: str,
    lede: str,
    sections: list[dict[str, Any]],
    data: dict[str, Any] | None,
    run: str,
    notes: list[str],
) -> str:
    """The whole HTML. data: for the script of the matrix; without it there is no script."""
    script = _file("report.js") if data is not None else ""
    environment = Environment(
        loader=PackageLoader("mien.app.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=False, keep_trailing_newline=True,
    )  # fmt: skip
    count = itertools.count(1)
    environment.globals |= {"t": t, "numbered": lambda: t("figure", n=next(count))}
    return environment.get_template("page.html.j2").render(
        policy=_policy(script),
        css=Markup(_file("report.css")),  # noqa: S704  our own file
        script=Markup(script),  # noqa: S704
        data="" if data is None else Markup(_embedded(data)),  # noqa: S704  escaped there
        version=__version__,
        title=t("title", name=heading),
        heading=heading,
        lede=lede,
        sections=sections,
        made=t("made", version=__version__, run=run),
        notes=notes,
    )


def write(out: Path, text: str) -> None:
    """Write the page atomically.

    Raises:
        RunError: it cannot be written.
    """
    try:
        write_atomic(out, text)
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error.strerror})") from error


def write_pdf(html: Path, out: Path) -> None:
    """Print the page into ``out`` with an installed Chromium.

    Raises:
        RunError: there is none, or it fails.
    """
    browser = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise RunError("--pdf needs Chromium or Google Chrome; install one, or print the page")
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "report.pdf"
        command = [
            browser, "--headless", "--disable-gpu", f"--user-data-dir={scratch}/profile",
            "--no-pdf-header-footer", f"--print-to-pdf={made}", html.resolve().as_uri(),
        ]  # fmt: skip
        if _is_root():  # its sandbox refuses to start there
            command.insert(1, "--no-sandbox")
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RunError(f"--pdf: {Path(browser).name} did not finish ({error})") from error
        if not made.is_file():
            said = (done.stderr.strip() or "no message").splitlines()[-1]
            raise RunError(f"--pdf: {Path(browser).name} failed ({said})")
        try:
            write_atomic(out, made.read_bytes())
        except OSError as error:
            raise RunError(f"{out}: cannot be written ({error.strerror})") from error


def _is_root() -> bool:
    import os

    return hasattr(os, "geteuid") and os.geteuid() == 0


def _policy(script: str) -> str:
    """Nothing is loaded from anywhere, and no script runs but the page's own."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if script else "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def _embedded(data: dict[str, Any]) -> str:
    """JSON that cannot end its element, whatever an image is called."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _file(name: str) -> str:
    return (resources.files("mien.app.report") / "templates" / name).read_text(encoding="utf-8")
