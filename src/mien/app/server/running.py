"""A server's life: the socket, the signals, and an end that loses no request."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from mien.app.server.application import application
from mien.app.server.overload import Overload
from mien.app.server.protocol import PatientProtocol
from mien.app.server.settings import Settings, State
from mien.errors import OptionError
from mien.jobs.serving import Service

# A thread that computes gives way to the one that answers after this time, not Python's 5 ms.
_SWITCH = 0.001
# Between closing the door and the last connection: those who came in just before are answered.
_LAST = 0.15


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any that is free.

    Raises:
        OptionError: the address cannot be used.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, proto)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(2048)
        except OSError:
            made.close()
            raise
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise OptionError(
            f"--host {host} --port {port}: {said}; name another, --port 0 takes any free one"
        ) from error
    return made


def address_of(listening: socket.socket) -> str:
    """What to type into a browser."""
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}/"


class Server(uvicorn.Server):
    """uvicorn's, with an end in three steps.

    SIGTERM: readiness and all new work are answered 503 with ``Connection: close`` while work that
    was taken on goes on; after ``drain_seconds`` the door closes; then the connections that came
    in last are answered, and all ends with code 0. A second signal skips the waiting, a third the
    work. Ctrl-C begins at the second step.
    """

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._state = state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signals = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal; uvicorn would raise it again at the end, and the exit code would not be 0."""
        self._signals += 1
        self._state.closing = True
        self._state.metrics.closing()
        if self._signals > 2:
            self.force_exit = True
        if self._signals > 1 or sig == signal.SIGINT or self._loop is None:
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(self._close_later)

    def _close_later(self) -> None:
        assert self._loop is not None
        self._loop.call_later(self._state.settings.drain_seconds, self._close)

    def _close(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, answer who is inside, end."""
        for server in self.servers:
            server.close()
        if not self.force_exit:
            await asyncio.sleep(_LAST)
        await super().shutdown(sockets)


def serve(
    settings: Settings,
    listening: socket.socket,
    *,
    make: Callable[[State], Service],
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until a signal; returns when everything that was taken on has been answered.

    make: what answers; it is closed at the end. ready: told the address as soon as requests are
    answered.
    """
    state = State(settings)
    service = make(state)
    protocol = type("Protocol", (PatientProtocol,), {
        "head_seconds": settings.head_seconds, "most_connections": settings.connections,
        "overload": Overload(state),
    })  # fmt: skip
    config = uvicorn.Config(
        application(service, state), http=protocol, ws="none", loop="asyncio", lifespan="off",
        log_config=None, access_log=False, server_header=False, timeout_keep_alive=15,
        proxy_headers=False, backlog=2048,
    )  # fmt: skip
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    server = Server(config, state)
    try:
        ready(address_of(listening))
        server.run(sockets=[listening])
    finally:
        sys.setswitchinterval(before)
        service.close()
        listening.close()
