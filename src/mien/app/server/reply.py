"""An answer on its way out: with our headers, counted, and not waiting for ever to be read."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from starlette.responses import Response

from mien.app.server.intake import Message
from mien.app.server.refusals import Refused
from mien.app.server.settings import State

Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self' blob:; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
OURS: tuple[Header, ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_CLOSE = (b"connection", b"close")


class Reply:
    """Sends one answer; ``send`` is what an ASGI application is given."""

    def __init__(self, scope: Message, send: Send, state: State) -> None:
        self._path, self._send, self._state = scope["path"], send, state
        self._begin = time.perf_counter()
        self._status = 0

    @property
    def started(self) -> bool:
        """Whether a status has gone out."""
        return self._status != 0

    async def send(self, message: Message) -> None:
        """One message of an application, with our headers; a reader has so long to take it."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message = {**message, "headers": self._with_ours(message.get("headers", ()))}
        async with asyncio.timeout(self._state.settings.send_seconds):
            await self._send(message)

    async def whole(self, answer: Response) -> None:
        """A whole answer at once."""
        await self._both(answer.status_code, answer.raw_headers, bytes(answer.body))

    async def refuse(self, refused: Refused) -> None:
        """An error."""
        body = refused.body(self._path)
        headers = [(b"content-type", b"application/json"),
                   (b"content-length", str(len(body)).encode())]  # fmt: skip
        headers += [(k.lower().encode(), v.encode()) for k, v in refused.headers.items()]
        await self._both(refused.status, headers, body)

    def count(self, route: str) -> None:
        """Tell the metrics; ``route`` is one of our own names."""
        self._state.metrics.answered(route, self._status, time.perf_counter() - self._begin)

    async def _both(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        self._status = status
        start = {"type": "http.response.start", "status": status,
                 "headers": self._with_ours(headers)}  # fmt: skip
        async with asyncio.timeout(self._state.settings.send_seconds):
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body})

    def _with_ours(self, headers: Iterable[Header]) -> list[Header]:
        made = list(headers)
        given = {name.lower() for name, _ in made}
        made += [pair for pair in OURS if pair[0] not in given]
        if self._state.closing and b"connection" not in given:
            made.append(_CLOSE)
        return made
