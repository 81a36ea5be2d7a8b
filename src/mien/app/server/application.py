"""The application: routes, errors and the description, behind the door."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from mien import __version__
from mien.app.server import pages, v1, v2
from mien.app.server.guard import App, Guard
from mien.app.server.refusals import Refused
from mien.app.server.settings import State
from mien.jobs.serving import Service

_ABOUT = """Facial expressions in pictures, by mien.

A face shows an expression; it does not prove what a person feels. Inferring emotions of people at
work or in education is prohibited in the European Union (AI Act, Article 5(1)(f)); people who are
exposed to such a system must be told (Article 50(3)). Nothing that is sent here is kept."""
_SAID = {404: "there is nothing at this address; see /docs",
         405: "this address takes another method; see /docs"}  # fmt: skip


def application(service: Service, state: State) -> App:
    """ASGI: everything that ``mien serve`` answers."""
    infer = v2.Infer(service)
    state.places.each = lambda: service.each
    app = FastAPI(title="mien", version=__version__, description=_ABOUT, docs_url=None,
                  redoc_url=None, openapi_url=None, redirect_slashes=False)  # fmt: skip
    app.include_router(v1.router(service, state))
    app.include_router(v2.router(infer, state))
    app.include_router(pages.router(state))
    _describe(app, state)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return _told(request, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        said = _SAID.get(error.status_code, str(error.detail))
        return _told(request, Refused(error.status_code, "http", said, error.headers))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = str(first["loc"][-1])
        return _told(request, Refused(400, "option", f"{where}: {first['msg']}"))

    return Guard(app, infer, state)


def _told(request: Request, error: Refused) -> Response:
    return Response(error.body(request.url.path), error.status, headers=error.headers,
                    media_type="application/json")  # fmt: skip


def _describe(app: FastAPI, state: State) -> None:
    """OpenAPI at /openapi.json: no 422 of FastAPI's own, and the token where there is one."""

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return v1.answer(description(app, token=bool(state.settings.token)))


def description(app: FastAPI, *, token: bool) -> dict[str, Any]:
    """The OpenAPI description."""
    made = app.openapi()
    for path in made["paths"].values():
        for operation in path.values():
            content = operation["responses"].get("422", {}).get("content", {})
            if "HTTPValidationError" in str(content):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        made["components"]["schemas"].pop(name, None)
    if token:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
    return made
