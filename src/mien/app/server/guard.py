"""The door: who may ask, and whether there is room, decided before a body is read.

In this order: the Host header (against DNS rebinding), the Origin (no other site's page may send
work here), the token, a place in the queue, the declared size and type of a body. A body takes its
place when it is here as a whole, so slow senders hold none. Every answer leaves with security
headers. What goes wrong inside is told by its type and place in our code; the message could hold
something of a picture.

Face crops go from here straight to the model (``Infer``), past the framework's routes: of a request
that takes the network a millisecond, these would be a large part.
"""

import hmac
import ipaddress
import logging
import re
import traceback
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from starlette.responses import Response

from mien.app.server import refusals
from mien.app.server.intake import Intake, Message, Receive, again
from mien.app.server.refusals import Refused
from mien.app.server.reply import Reply, Send
from mien.app.server.settings import State

App = Callable[[Message, Receive, Send], Awaitable[None]]
# Of a model's name, a version, the length of the JSON part, and the body.
Infer = Callable[[str, str, str | None, bytes], Awaitable[Response]]

COOKIE = "mien"
JSON_LENGTH = "inference-header-content-length"
_IMAGES = ("jpeg", "png", "bmp", "gif", "webp", "tiff", "x-portable-pixmap",
           "x-portable-graymap", "x-portable-bitmap", "x-portable-anymap")  # fmt: skip
IMAGE_TYPES = tuple(f"image/{name}" for name in _IMAGES)
PICTURE_TYPES = frozenset({*IMAGE_TYPES, "multipart/form-data", "application/json"})
_TENSOR_TYPES = frozenset({"application/json", "application/octet-stream"})
_PICTURES = frozenset({"/v1/predict", "/v1/explain"})
_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_OPEN = ("/web/", "/v2/health/")
_OPEN_PAGES = frozenset({"/", "/docs", "/openapi.json", "/favicon.ico"})
_COUNTED = _PICTURES | _OPEN_PAGES | {"/metrics", "/v1/model"}
_log = logging.getLogger("mien.serve")


class Guard:
    """ASGI around the application."""

    def __init__(self, app: App, infer: Infer, state: State) -> None:
        self._app, self._infer, self._state = app, infer, state
        self._token = f"Bearer {state.settings.token}".encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply = Reply(scope, send, self._state)
        path, posted = scope["path"], scope["method"] == "POST"
        crops = _INFER.fullmatch(path)
        try:
            headers = _headers(scope)
            self._check(scope, headers)
            if posted and crops:
                async with _Work(self._state, headers, _TENSOR_TYPES, receive) as body:
                    found = await self._infer(
                        crops[1], crops[2] or "", headers.get(JSON_LENGTH), body
                    )
                    await reply.whole(found)
            elif posted and path in _PICTURES:
                async with _Work(self._state, headers, PICTURE_TYPES, receive) as body:
                    await self._app(scope, again(body, receive), reply.send)
            else:
                await self._app(scope, receive, reply.send)
        except Refused as refused:
            await reply.refuse(refused)
        except Exception as error:  # noqa: BLE001  the last place that can keep its message in
            _log.error("500: %s", _place(error))
            if not reply.started:
                await reply.refuse(Refused(500, "defect", "mien failed; its log says where"))
        finally:
            reply.count("infer" if crops else path if path in _COUNTED else "other")

    def _check(self, scope: Message, headers: dict[str, str]) -> None:
        """Host, origin, token.

        Raises:
            Refused: one of them is wrong.
        """
        host = headers.get("host", "")
        if not _known(host, self._state.settings.names):
            raise Refused(421, "unknown_host", "this server is not called by that name; "
                          "use its address, or start it with --allow-host NAME")  # fmt: skip
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        cross = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and (foreign or cross):
            raise Refused(403, "foreign_origin", "pages of other sites may not send work here; "
                          "call the server from its own page or from a program")  # fmt: skip
        if self._state.settings.token and not _is_open(scope["path"]):
            self._check_token(headers)

    def _check_token(self, headers: dict[str, str]) -> None:
        given = headers.get("authorization", "").encode("utf-8", "replace")
        if hmac.compare_digest(given, self._token):
            return
        if hmac.compare_digest(_cookie(headers).encode("utf-8", "replace"),
                               self._state.session.encode()):  # fmt: skip
            return
        raise Refused(
            401, "token",
            "send the header 'Authorization: Bearer TOKEN' with the server's token",
            {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip


class _Work:
    """A request that is work: admitted by its head, read, and given a place until it is answered.

    Raises:
        Refused: on the way in.
    """

    def __init__(
        self, state: State, headers: dict[str, str], types: frozenset[str], receive: Receive
    ) -> None:
        self._state, self._headers, self._types = state, headers, types
        self._receive, self._intake = receive, Intake(state)

    async def __aenter__(self) -> bytes:
        self._admit()
        try:
            body = await self._intake.read(self._receive)
            if not self._state.places.take():
                raise refusals.busy()
        except BaseException:
            self._intake.let_go()
            raise
        return body

    async def __aexit__(self, *what: object) -> None:
        self._intake.let_go()
        self._state.places.give()

    def _admit(self) -> None:
        """By the head alone."""
        settings = self._state.settings
        if self._state.closing:
            raise refusals.closing()
        if self._state.places.full:
            raise refusals.busy()
        length = self._headers.get("content-length", "")
        if length.isdecimal() and int(length) > settings.max_body:
            raise refusals.too_large(settings.max_body)
        kind = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in self._types:
            allowed = ", ".join(sorted(self._types))
            raise Refused(415, "content_type", f"say what the body is: Content-Type: one of "
                          f"{allowed}")  # fmt: skip
        if self._headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "content_encoding", "send the body as it is, not compressed")


def _headers(scope: Message) -> dict[str, str]:
    """Names in lower case; of a header that came twice, both, joined: neither passes a check."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]},{text}" if name in found else text
    return found


def _is_open(path: str) -> bool:
    """Whether it holds nothing that the token guards: the page's files, and health for probes."""
    return path in _OPEN_PAGES or path.startswith(_OPEN)


@lru_cache(maxsize=64)
def _known(host: str, names: tuple[str, ...]) -> bool:
    """Whether a Host header can be ours: an address, localhost, or a name that was allowed.

    A page that rebinds its own name to this address comes with that name, never with an address.
    """
    name = re.sub(r":\d{1,5}$", "", host).lower()
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _cookie(headers: dict[str, str]) -> str:
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


def _place(error: BaseException) -> str:
    """The kind of an error and the innermost lines of code that it came through; no message."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    lines = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"{type(error).__name__} at {lines}"
