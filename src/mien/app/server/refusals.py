"""Refusals: a status, a code for programs and a sentence for people that says what to do."""

import json
from collections.abc import Mapping


class Refused(Exception):  # noqa: N818  it is an answer, not a defect
    """A request that is answered with an error. ``code`` is for programs and does not change."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})

    def body(self, path: str) -> bytes:
        """The JSON: ``{"error": "…"}`` under /v2, as the Open Inference Protocol wants it."""
        error = (
            self.message if path.startswith("/v2") else {"code": self.code, "message": self.message}
        )
        return json.dumps({"error": error}, ensure_ascii=False).encode()


# After these the rest of the body is not read, so the connection cannot be used again.
_CLOSE = {"Connection": "close"}


def too_large(limit: int) -> Refused:
    """The body is over the limit."""
    size = f"{limit / 2**20:.0f} MiB" if limit >= 2**20 else f"{limit // 1024} KiB"
    return Refused(
        413, "too_large",
        f"the body is over {size}; send a smaller picture (1280 pixels a side is plenty)", _CLOSE,
    )  # fmt: skip


def too_slow(seconds: float) -> Refused:
    """The body did not arrive in time."""
    return Refused(
        408, "too_slow",
        f"the body did not arrive within {seconds:g} s; send it again, or a smaller one", _CLOSE,
    )  # fmt: skip


def busy(*, close: bool = False) -> Refused:
    """All places are taken. close: the rest of a body is not read."""
    return Refused(503, "busy", "the queue is full; send the request again in a second",
                   {"Retry-After": "1", **(_CLOSE if close else {})})  # fmt: skip


def closing() -> Refused:
    """The server is about to end."""
    return Refused(
        503, "closing", "the server is shutting down; send the request again, to another one",
        {"Retry-After": "5", **_CLOSE},
    )  # fmt: skip
