"""What a server is told, and what its parts share while it runs."""

import secrets
from dataclasses import dataclass, field

from mien.app.server.metrics import Metrics
from mien.errors import OptionError
from mien.jobs.gather import Places

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run's report: its name, and the whole page as bytes."""

    name: str
    page: bytes


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to serve.

    token: what callers must send as ``Authorization: Bearer``; empty: nobody is asked. names: host
    names under which the server may be called, beside ``localhost`` and bare addresses. max_body:
    bytes. queue: requests in the house at once, at most; wait: seconds that the last of them shall
    wait for work to begin, by which there are fewer places where work is slow. max_held: bytes of
    all bodies together, read or being read. body_seconds: for a whole body to arrive.
    head_seconds: for a request's head. send_seconds: for a reader to take an answer.
    drain_seconds: between SIGTERM and closing the door, so that a load balancer sees readiness.
    """

    token: str = field(default="", repr=False)
    names: tuple[str, ...] = ()
    max_body: int = 10 * MIB
    queue: int = 64
    wait: float = 0.25
    max_held: int = 128 * MIB
    body_seconds: float = 15.0
    head_seconds: float = 10.0
    send_seconds: float = 30.0
    drain_seconds: float = 0.5
    connections: int = 1024
    reports: tuple[Report, ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            OptionError: a value out of its range.
        """
        if self.max_body < 1024 or self.queue < 1 or self.wait <= 0:
            raise OptionError("--max-body from 1 KiB, --queue from 1 and --wait above 0")
        if self.token and (len(self.token) < 16 or not self.token.isascii()):
            raise OptionError("the token: at least 16 ASCII characters; "
                              "make one with 'openssl rand -hex 24'")  # fmt: skip


class State:
    """What changes while a server runs: places taken, whether it is closing, and the counters."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.places = Places(settings.queue, wait=settings.wait)
        self.held = 0  # bytes of bodies
        self.metrics = Metrics()
        self.metrics.watch(lambda: self.places.taken, lambda: self.places.room)
        self.closing = False
        # What a browser gets for the token, so that a page's frames and pictures need no header.
        self.session = secrets.token_urlsafe(32)
