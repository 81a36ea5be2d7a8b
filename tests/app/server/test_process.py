"""The server as a process: slow and greedy clients, full queues, signals, and what it leaves."""

import http.client
import json
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn")

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def post(house: Any, body: bytes, path: str = "/v1/predict", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)
    try:
        connection.request("POST", path, body, {"Content-Type": "image/png", **headers})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def get(house: Any, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def talk(house: Any, *parts: bytes) -> bytes:
    """Send the parts and read until the server closes."""
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as line:
        for part in parts:
            line.sendall(part)
        said = b""
        while piece := line.recv(65536):
            said += piece
        return said


def test_413_comes_before_the_body(house: Any) -> None:
    # The body is announced and never sent: an answer can only come before it.
    said = talk(house, HEAD + b"Content-Length: 99999999\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 413")
    assert b"send a smaller picture" in said
    # Chunked, the size is not known; it is counted, and nobody waits for the end.
    chunk = b"40000\r\n" + b"x" * 0x40000 + b"\r\n"
    said = talk(house, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 5)
    assert said.startswith(b"HTTP/1.1 413")


def test_slow_clients_are_not_waited_for(own_house: Callable[..., Any], picture: bytes) -> None:
    house = own_house(body_seconds=0.5, head_seconds=0.5, queue=1)
    begin = time.monotonic()
    assert talk(house, b"POST /v1/pre") == b""  # half a head
    assert talk(house, b"") == b""  # not even that
    said = talk(house, HEAD + b"Content-Length: 1000\r\n\r\n", b"x")
    assert said.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - begin < 10
    # One byte now and then does not help either, and the only place is free again.
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as line:
        line.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        end = time.monotonic() + 10
        try:
            while time.monotonic() < end:
                line.sendall(b"x")
                time.sleep(0.1)
        except OSError:
            pass
        assert time.monotonic() < end
    assert post(house, picture)[0] == 200


def test_beyond_the_queue_the_answer_is_503_at_once(
    own_house: Callable[..., Any], picture: bytes
) -> None:
    house = own_house(queue=2, delay=1.0)
    statuses: list[tuple[int, float]] = []

    def ask() -> None:
        begin = time.perf_counter()
        status, _ = post(house, picture)
        statuses.append((status, time.perf_counter() - begin))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    counts = Counter(status for status, _ in statuses)
    assert counts == {200: 2, 503: 6}
    assert max(took for status, took in statuses if status == 503) < 0.9  # none waited for a place
    # The body is not needed for it: it comes on the head alone.
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for one in threads:
        one.start()
    time.sleep(0.4)
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as line:
        line.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        said = line.recv(65536)
        assert said.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in said.lower()
    for one in threads:
        one.join()


def test_slow_senders_hold_no_place(own_house: Callable[..., Any], picture: bytes) -> None:
    house = own_house(queue=1, body_seconds=10)
    slow = [socket.create_connection(("127.0.0.1", house.port), timeout=20) for _ in range(5)]
    for line in slow:
        line.sendall(HEAD + f"Content-Length: {len(picture)}\r\n\r\n".encode() + picture[:10])
    time.sleep(0.2)
    assert post(house, picture)[0] == 200
    for line in slow:  # each is answered when its body is whole
        line.sendall(picture[10:])
        assert line.recv(65536).startswith(b"HTTP/1.1 200")
        line.close()


def test_bodies_together_have_a_bound(own_house: Callable[..., Any], picture: bytes) -> None:
    house = own_house(max_held=350_000)
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as slow:
        slow.sendall(HEAD + b"Content-Length: 400000\r\n\r\n" + b"x" * 250_000)
        time.sleep(0.3)
        said = talk(house, HEAD + b"Content-Length: 120000\r\n\r\n" + b"x" * 120_000)
        assert said.startswith(b"HTTP/1.1 503")
        assert b"connection: close" in said.lower()
        assert post(house, picture)[0] == 200
    time.sleep(0.3)  # the slow one has gone, and what it held with it
    assert post(house, b"x" * 200_000)[0] == 422


def test_the_quick_refusal_leaves_the_connection_usable(
    own_house: Callable[..., Any], picture: bytes
) -> None:
    house = own_house(queue=1, delay=1.0)
    busy = threading.Thread(target=post, args=(house, picture))
    busy.start()
    time.sleep(0.4)
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)
    took = []
    for _ in range(20):
        begin = time.perf_counter()
        connection.request("POST", "/v1/predict", picture, {"Content-Type": "image/png"})
        reply = connection.getresponse()
        assert json.loads(reply.read())["error"]["code"] == "busy"
        took.append(time.perf_counter() - begin)
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert sorted(took)[10] < 0.02
    busy.join()
    connection.request("POST", "/v1/predict", picture, {"Content-Type": "image/png"})
    assert connection.getresponse().status == 200
    connection.close()
    connection.request("GET", "/metrics")
    counted = connection.getresponse().read().decode()
    assert 'mien_requests_total{route="/v1/predict",status="503"} 20.0' in counted
    connection.close()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_what_was_taken_on_is_finished(
    own_house: Callable[..., Any], picture: bytes, sig: int
) -> None:
    house = own_house(delay=0.4, drain_seconds=0.6, most=2, queue=20)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(post(house, picture)[0])) for _ in range(6)
    ]
    for one in threads:
        one.start()
    time.sleep(0.5)  # all are inside: three batches of 0.4 s
    house.process.send_signal(sig)
    if sig == signal.SIGTERM:
        time.sleep(0.2)
        assert get(house, "/v2/health/ready") == 503
        assert get(house, "/v2/health/live") == 200
        assert post(house, picture)[0] == 503
    for one in threads:
        one.join()
    assert statuses == [200] * 6
    assert house.process.wait(20) == 0
    assert house.process.stdout.read().decode().strip() == "ended"


def test_canary(house: Any) -> None:
    """Marked pixels and names are in no log, no metric and no file; bench has the long run."""
    from serving_canary import MARK, marked, search

    statuses = Counter(post(house, body, path, **headers)[0] for path, body, headers in marked(250))
    assert set(statuses) >= {200, 400, 415, 422}
    assert not any(status >= 500 for status in statuses)
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)
    connection.request("GET", "/metrics")
    metrics = connection.getresponse().read()
    assert b"mien_requests_total" in metrics
    assert search(metrics) == []
    connection.close()
    assert search(house.log.read_bytes()) == []
    written = [path for path in house.folder.rglob("*") if path.is_file() and path != house.log]
    assert written == []
    assert search(MARK + b" would be found") != []


def test_the_verb_tells_of_mistakes_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mien.app.cli import main

    (tmp_path / "empty").write_text("\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for given, says in [
            (["--port", str(taken.getsockname()[1])], "--port 0 takes any free one"),
            (["--token-file", str(tmp_path / "empty")], "write the token into it"),
            (["--report", str(tmp_path)], "mien report"),
        ]:
            monkeypatch.setattr(sys, "argv", ["mien", "serve", *given])
            with pytest.raises(SystemExit) as ended:
                main()
            assert ended.value.code == 2
            said = capsys.readouterr().err
            assert says in said
            assert len(said.strip().splitlines()) == 1


def test_the_detectors_size_reaches_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.app.cli import main
    from mien.errors import OptionError
    from mien.predict import pipeline

    asked: list[int | None] = []

    def load(*args: Any, detector_size: int | None, **options: Any) -> None:
        asked.append(detector_size)
        raise OptionError("enough")

    monkeypatch.setattr(pipeline, "load", load)
    for given in ([], ["--detector-size", "1280"]):
        monkeypatch.setattr(sys, "argv", ["mien", "serve", "--port", "0", *given])
        with pytest.raises(SystemExit):
            main()
    assert asked == [None, 1280]


def test_crops_over_v2_on_a_connection_that_stays(house: Any) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (2, 1, 48, 48), dtype=np.uint8)
    tensor = {"name": "images", "datatype": "UINT8", "shape": [2, 1, 48, 48],
              "data": crops.tolist()}  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)
    for _ in range(3):
        connection.request("POST", "/v2/models/bright/infer", json.dumps({"inputs": [tensor]}),
                           {"Content-Type": "application/json"})  # fmt: skip
        reply = connection.getresponse()
        assert reply.status == 200
        assert json.loads(reply.read())["outputs"][0]["shape"] == [2, 7]
    connection.close()
