"""A body on its way in: counted, timed, and held in memory until its request is answered."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mien.app.server import refusals
from mien.app.server.refusals import Refused
from mien.app.server.settings import State

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Intake:
    """Reads one body. It takes no place while it comes in; all bodies together have a bound."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._size = 0

    async def read(self, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            Refused: over the limit, too slow, too much at once, or the client has gone.
        """
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self._state.settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise Refused(400, "gone", "the connection ended before the body did")
                    part = message.get("body", b"")
                    self._count(len(part))
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError as error:
            raise refusals.too_slow(self._state.settings.body_seconds) from error

    def let_go(self) -> None:
        """The request has been answered."""
        self._state.held -= self._size
        self._size = 0

    def _count(self, size: int) -> None:
        settings = self._state.settings
        self._size += size
        self._state.held += size
        if self._size > settings.max_body:
            raise refusals.too_large(settings.max_body)
        if self._state.held > settings.max_held:
            raise refusals.busy(close=True)


def again(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body that was read already, then what else comes."""
    given = False

    async def next_one() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_one
