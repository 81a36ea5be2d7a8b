"""The door: who may ask, and whether there is room, decided before a body is read.

In this order: the Host header (against DNS rebinding), the Origin (no other site's page may send
work here), the token, the declared size and type of a body, and a place in the queue. Every answer
leaves with security headers. What goes wrong inside is told by its type and place in our code; the
message could hold something of a picture.
"""

import asyncio
import hmac
import ipaddress
import logging
import re
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mien.app.server import refusals
from mien.app.server.refusals import Refused
from mien.app.server.settings import State

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE = "mien"
_IMAGES = ("jpeg", "png", "bmp", "gif", "webp", "tiff", "x-portable-pixmap",
           "x-portable-graymap", "x-portable-bitmap", "x-portable-anymap")  # fmt: skip
IMAGE_TYPES = tuple(f"image/{name}" for name in _IMAGES)
PICTURE_TYPES = frozenset({*IMAGE_TYPES, "multipart/form-data", "application/json"})
_TENSOR_TYPES = frozenset({"application/json", "application/octet-stream"})
_WORK = {"/v1/predict": PICTURE_TYPES, "/v1/explain": PICTURE_TYPES}
_INFER = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer")
_OPEN = ("/web/", "/v2/health/")
_OPEN_PAGES = frozenset({"/", "/docs", "/openapi.json", "/favicon.ico"})

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self' blob:; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"permissions-policy": b"camera=(self), microphone=(), geolocation=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_log = logging.getLogger("mien.serve")


class Guard:
    """ASGI around the application."""

    def __init__(self, app: App, state: State) -> None:
        self._app, self._state = app, state
        self._token = f"Bearer {state.settings.token}".encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply = _Reply(scope, send, self._state)
        placed = False
        try:
            headers = _headers(scope)
            self._check(scope, headers)
            types = _accepted(scope)
            if types is not None:
                self._admit(headers, types)
                placed = True
            await self._app(scope, receive, reply.send)
        except Refused as refused:
            await reply.refuse(refused)
        except Exception as error:  # noqa: BLE001  the last place that can keep its message in
            _log.error("500: %s", _place(error))
            if not reply.started:
                await reply.refuse(Refused(500, "defect", "mien failed; its log says where"))
        finally:
            if placed:
                self._state.places.give()
                self._state.metrics.inside.set(self._state.places.taken)
            reply.count()

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

    def _admit(self, headers: dict[str, str], types: frozenset[str]) -> None:
        """Size, type, and a place.

        Raises:
            Refused: too large, of another type, or no room.
        """
        if self._state.closing:
            raise refusals.closing()
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._state.settings.max_body:
            raise refusals.too_large(self._state.settings.max_body)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in types:
            allowed = ", ".join(sorted(types))
            raise Refused(415, "content_type", f"say what the body is: Content-Type: one of "
                          f"{allowed}")  # fmt: skip
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "content_encoding", "send the body as it is, not compressed")
        if not self._state.places.take():
            raise refusals.busy()
        self._state.metrics.inside.set(self._state.places.taken)


class _Reply:
    """Sends an answer with our headers, counts it, and gives up on readers that do not read."""

    def __init__(self, scope: Message, send: Send, state: State) -> None:
        self._scope, self._send, self._state = scope, send, state
        self._begin = time.perf_counter()
        self._status = 0

    @property
    def started(self) -> bool:
        return self._status != 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            given = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in _HEADERS.items() if name not in given]
            if self._state.closing and b"connection" not in given:
                more.append((b"connection", b"close"))
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        async with asyncio.timeout(self._state.settings.send_seconds):
            await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        body = refused.body(self._scope["path"])
        headers = [(b"content-type", b"application/json"),
                   (b"content-length", str(len(body)).encode())]  # fmt: skip
        headers += [(k.lower().encode(), v.encode()) for k, v in refused.headers.items()]
        await self.send(
            {"type": "http.response.start", "status": refused.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": body})

    def count(self) -> None:
        path = self._scope["path"]
        work = path in _WORK or path in _OPEN_PAGES or path in ("/metrics", "/v1/model")
        route = path if work else "infer" if _INFER.fullmatch(path) else "other"
        self._state.metrics.answered(route, self._status, time.perf_counter() - self._begin)


def _headers(scope: Message) -> dict[str, str]:
    """Names in lower case; of a header that came twice, both, joined: neither passes a check."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]},{text}" if name in found else text
    return found


def _accepted(scope: Message) -> frozenset[str] | None:
    """The content types of a route that does work; None for the others."""
    if scope["method"] != "POST":
        return None
    if _INFER.fullmatch(scope["path"]):
        return _TENSOR_TYPES
    return _WORK.get(scope["path"])


def _is_open(path: str) -> bool:
    """Whether it holds nothing that the token guards: the page's files, and health for probes."""
    return path in _OPEN_PAGES or path.startswith(_OPEN)


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
