"""The page, its files, the description of the API, and reports; all of it from memory.

A report is one file with its own script and style. It is served under a policy of its own: only the
scripts that it came with may run, nothing may be loaded, and its sandbox gives it an origin of its
own, so nothing in it can call this server.
"""

import base64
import hashlib
import re
from importlib import resources

from fastapi import APIRouter, Request, Response

from mien.app.server.refusals import Refused
from mien.app.server.settings import Report, State

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>(.*?)</script>", re.S)


def router(state: State) -> APIRouter:
    """``/``, ``/web``, ``/docs`` and ``/reports``."""
    made = APIRouter(include_in_schema=False)
    folder = resources.files("mien.app.web")
    files = {
        file.name: (file.read_bytes(), kind)
        for file in folder.iterdir()
        if (kind := _KINDS.get(file.name[file.name.rfind(".") :]))
    }
    tags = {name: f'"{hashlib.sha256(data).hexdigest()[:16]}"' for name, (data, _) in files.items()}

    def served(name: str, request: Request) -> Response:
        if name not in files:
            raise Refused(404, "not_found", "no such file; the page is at /")
        headers = {"ETag": tags[name], "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        data, kind = files[name]
        return Response(data, media_type=kind, headers=headers)

    @made.get("/")
    async def index(request: Request) -> Response:
        return served("index.html", request)

    @made.get("/docs")
    async def docs(request: Request) -> Response:
        return served("docs.html", request)

    @made.get("/favicon.ico")
    async def icon(request: Request) -> Response:
        return served("icon.svg", request)

    @made.get("/web/{name}")
    async def file(request: Request, name: str) -> Response:
        return served(name, request)

    @made.get("/metrics")
    async def metrics() -> Response:
        return Response(state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @made.get("/reports/{number}")
    async def report(number: str) -> Response:
        reports = state.settings.reports
        if not number.isdecimal() or int(number) >= len(reports):
            raise Refused(404, "not_found", "no such report; start the server with --report RUN")
        one = reports[int(number)]
        headers = {"Content-Security-Policy": policy_of(one), "X-Frame-Options": "SAMEORIGIN"}
        return Response(one.page, media_type="text/html; charset=utf-8", headers=headers)

    return made


def policy_of(report: Report) -> str:
    """The content security policy under which a report is shown."""
    scripts = _SCRIPT.findall(report.page.decode("utf-8", "replace"))
    allowed = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    ]
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {' '.join(allowed) or chr(39) + 'none' + chr(39)}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
    )
