"""Which bytes are refused unread: only whole requests for work, and only while all is full."""

import pytest

pytest.importorskip("uvicorn")

from mien.app.server.overload import Overload
from mien.app.server.settings import Settings, State

HEAD = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"


@pytest.fixture
def full() -> Overload:
    state = State(Settings(queue=1))
    assert state.places.take()
    return Overload(state)


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (HEAD + b"\r\nbody", True),
        (HEAD.replace(b"/v2/models/m/infer", b"/v2/models/m/versions/1/infer") + b"\r\nbody", True),
        (HEAD.replace(b"/v2/models/m/infer", b"/v1/predict?whole=true") + b"\r\nbody", True),
        (HEAD.replace(b"Content-Length", b"content-LENGTH") + b"\r\nbody", True),
        (HEAD + b"\r\nbod", False),
        (HEAD + b"\r\nbody" + HEAD, False),
        (HEAD + b"\r", False),
        (HEAD + b"Content-Length: 4\r\n\r\nbody", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nbody", False),
        (HEAD + b"Connection: close\r\n\r\nbody", False),
        (HEAD + b"Expect: 100-continue\r\n\r\nbody", False),
        (HEAD.replace(b"POST", b"GET") + b"\r\nbody", False),
        (HEAD.replace(b"/v2/models/m/infer", b"/v1/session") + b"\r\nbody", False),
        (HEAD.replace(b"Content-Length: 4", b"X-Content-Length: 4") + b"\r\nbody", False),
        (b"", False),
    ],
)
def test_only_what_is_plainly_one_request_for_work(
    full: Overload, data: bytes, refused: bool
) -> None:
    answer = full.refusal(data)
    assert (answer is not None) is refused
    if answer:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert f"content-length: {len(body)}".encode() in head
        v1 = b"/v1/" in data
        assert body.startswith(b'{"error": {"code": "busy"' if v1 else b'{"error": "the queue')


def test_with_room_or_at_the_end_nothing_is_refused_here() -> None:
    state = State(Settings(queue=1))
    overload = Overload(state)
    assert overload.refusal(HEAD + b"\r\nbody") is None
    assert state.places.take()
    state.closing = True  # then the door says so, and closes the connection
    assert overload.refusal(HEAD + b"\r\nbody") is None
