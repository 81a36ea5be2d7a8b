"""The quickest no: while all places are taken, a request for work is refused from its raw bytes.

Parsing a request, making a task of it and answering through the framework costs five to ten times
as much, and under five times the load that fits, refusals are four of five answers. What is not
plainly one whole such request goes the usual way, where the door of ``guard`` decides.
"""

import re

from mien.app.server import refusals
from mien.app.server.reply import OURS
from mien.app.server.settings import State

_WORK = re.compile(
    rb"POST /(v1/(?:predict|explain)|v2/models/[^/? ]+(?:/versions/[^/? ]+)?/infer)"
    rb"(?:\?[^ \r\n]*)? HTTP/1\.1\r\n"
)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?=\r\n)", re.I)
# A body whose end is not told by its length, and connections that shall not stay.
_OTHER = re.compile(rb"\r\n(?:transfer-encoding|expect|connection):", re.I)


class Overload:
    """Called with what a quiet connection has just received."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._answers = {prefix: _answer(prefix) for prefix in ("/v1", "/v2")}

    def refusal(self, data: bytes) -> bytes | None:
        """The answer, if there is no place and ``data`` is exactly one request for work."""
        if self._state.closing or not self._state.places.full:
            return None
        asked = _WORK.match(data)
        end = data.find(b"\r\n\r\n")
        if asked is None or end < 0 or _OTHER.search(data, 0, end):
            return None
        lengths = _LENGTH.findall(data, 0, end + 2)
        if len(lengths) != 1 or len(data) != end + 4 + int(lengths[0]):
            return None
        version = asked[1][:2].decode()
        self._state.metrics.answered(
            "infer" if version == "v2" else f"/{asked[1].decode()}", 503, 0
        )
        return self._answers[f"/{version}"]


def _answer(prefix: str) -> bytes:
    refused = refusals.busy()
    body = refused.body(prefix)
    headers = {"content-type": "application/json", "content-length": str(len(body)),
               **refused.headers}  # fmt: skip
    lines = [f"{name.lower()}: {value}".encode() for name, value in headers.items()]
    lines += [name + b": " + value for name, value in OURS]
    return b"HTTP/1.1 503 Service Unavailable\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body
