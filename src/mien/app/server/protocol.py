"""uvicorn's HTTP/1.1 with four things that it lacks.

A limit on how long a request's head may take: its keep-alive timeout ends with the first byte, so
a client that sends one byte a minute would hold a connection for ever. And an end that an answer
survives: where the server closes while a body is still coming, the system resets the connection,
and the client may lose the 413 that explains why; so what comes is thrown away for a moment first.
An answer's head leaves together with its body: two packets would wake the client twice. And what
cannot be taken on is refused before it is parsed (``overload``).
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.app.server.overload import Overload

_LINGER = 2.0
_BOTH_IDLE = {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}


class _Transport:
    """The connection's transport, but for its end, which the protocol decides."""

    def __init__(self, transport: Any, protocol: "PatientProtocol") -> None:
        self._transport, self._protocol = transport, protocol
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it, or keep it until its body comes, which uvicorn writes next."""
        if not self._head and data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._head = data
            return
        self._transport.write(self._head + data)
        self._head = b""

    def close(self) -> None:
        if self._head:
            self.write(b"")
        self._protocol.part(self._transport)

    def is_closing(self) -> bool:
        return self._protocol.parting or self._transport.is_closing()


class PatientProtocol(H11Protocol):
    """Closes a connection whose next request has begun and does not get through its head."""

    head_seconds = 10.0
    most_connections = 1024
    overload: Overload

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._late: asyncio.TimerHandle | None = None
        self.parting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection; it has so long to send a head."""
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        if len(self.connections) > self.most_connections:
            transport.close()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes: of a head, which has its limit, or of a body, which has another."""
        if self.parting:
            return
        if self._quiet() and (answer := self.overload.refusal(data)):
            self._forget()
            self._unset_keepalive_if_required()
            self.transport.writelines([answer])  # with its body: ``write`` would wait for one
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            return
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._forget()
        super().connection_lost(exc)

    def part(self, transport: Any) -> None:
        """Close, but let a client that is still sending read its answer first."""
        sending = self.conn.their_state is h11.SEND_BODY
        if self.parting or not sending or transport.is_closing() or not transport.can_write_eof():
            transport.close()
            return
        self.parting = True
        transport.write_eof()
        transport.resume_reading()
        self.loop.call_later(_LINGER, transport.close)

    def _quiet(self) -> bool:
        """Whether the last answer is out and nothing of the next request has been parsed."""
        return (
            self.conn.states == _BOTH_IDLE
            and not self.conn.trailing_data[0]
            and not self.transport.get_write_buffer_size()
        )

    def _watch(self) -> None:
        waiting = self.cycle is None or self.cycle.response_complete
        if not waiting:
            self._forget()
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(self.head_seconds, self._too_late)

    def _too_late(self) -> None:
        self._late = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
