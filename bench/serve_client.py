"""A client that costs little: prepared bytes over sockets that stay open, one thread, epoll.

Runs in a process of its own, since what it computes is taken from the server's cores:

    python bench/serve_client.py PORT < plan.json

with a plan of ``kind`` (``closed``, ``open`` or ``storm``), ``wire`` (the request in base64),
``lines`` (connections), ``seconds`` and, for ``open``, ``rate``. Prints one line of JSON: for each
request its status, milliseconds from when it was due and from when it was sent; and the processor
time that the client took itself.
"""

import base64
import heapq
import json
import resource
import select
import socket
import sys
import time
from collections import Counter, deque

clock = time.perf_counter


class Line:
    """One connection; at most one request is under way on it."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = self.socket.fileno()
        self.due = self.sent = 0.0
        self.got = b""

    def send(self, wire, due):
        self.due, self.sent, self.got = due, clock(), b""
        self.socket.sendall(wire)

    def read(self):
        """The status of the answer if it is whole, 0 if more must come, -1 at the end.

        The second value: whether the server closes after it.
        """
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            return -1, True
        self.got += data
        head = self.got.find(b"\r\n\r\n")
        if head < 0:
            return 0, False
        low = self.got[:head].lower()
        at = low.index(b"content-length:") + 15
        end = low.find(b"\r", at)
        size = int(low[at : end if end > 0 else head])
        if len(self.got) < head + 4 + size:
            return 0, False
        return int(self.got[9:12]), b"connection: close" in low


def steady(port, wire, lines, seconds, rate):
    """Ask at a steady pace (``rate`` a second) or, without one, as soon as answered."""
    poll, by_number, free, waiting, found = select.epoll(), {}, deque(), deque(), []
    for _ in range(lines):
        line = Line(port)
        by_number[line.number] = line
        poll.register(line.number, select.EPOLLIN)
        free.append(line)
    begin = clock()
    end, number, total = begin + seconds, 0, int(rate * seconds)
    if not rate:
        while free:
            free.popleft().send(wire, clock())
    while True:
        now = clock()
        if rate:
            while number < total and begin + number / rate <= now:
                waiting.append(begin + number / rate)
                number += 1
            while waiting and free:
                free.pop().send(wire, waiting.popleft())
            if number == total and not waiting and len(free) == lines:
                break
            pause = max(0.0, begin + number / rate - now) if number < total else 1.0
        elif now > end and len(free) == lines:
            break
        else:
            pause = 1.0
        if now > end + 20:
            break
        for ready, _ in poll.poll(pause):
            line = by_number[ready]
            status, closes = line.read()
            if status == 0:
                continue
            now = clock()
            found.append((status, 1e3 * (now - line.due), 1e3 * (now - line.sent)))
            if closes:
                poll.unregister(ready)
                del by_number[ready]
                line.socket.close()
                line = Line(port)
                by_number[line.number] = line
                poll.register(line.number, select.EPOLLIN)
            if rate or now > end:
                free.append(line)
            else:
                line.send(wire, now)
    took = clock() - begin
    for line in by_number.values():
        line.socket.close()
    return {"found": found, "seconds": took}


def storm(port, wire, lines, seconds):
    """Ask until the server is gone; how often each status came, and what got no answer."""
    poll, by_number, counts, again = select.epoll(), {}, Counter(), []

    def begin():
        try:
            line = Line(port)
            line.send(wire, 0)
        except OSError:
            counts["not connected"] += 1
            return
        by_number[line.number] = line
        poll.register(line.number, select.EPOLLIN)

    def finish(line):
        poll.unregister(line.number)
        del by_number[line.number]
        line.socket.close()

    for _ in range(lines):
        begin()
    limit = clock() + seconds
    while by_number and clock() < limit:
        while again and again[0] < clock():
            heapq.heappop(again)
            begin()
        for ready, _ in poll.poll(0.05):
            line = by_number[ready]
            status, closes = line.read()
            if status == 0:
                continue
            if status > 0:
                counts[str(status)] += 1
                if not closes:
                    try:
                        line.send(wire, 0)
                        continue
                    except OSError:
                        status = -1
            if status < 0:
                counts["cut" if line.got else "unanswered"] += 1
            finish(line)
            heapq.heappush(again, clock() + 0.005)
    counts["left"] += len(by_number)
    return {"counts": dict(counts)}


def main():
    plan = json.load(sys.stdin)
    port, wire = int(sys.argv[1]), base64.b64decode(plan["wire"])
    if plan["kind"] == "storm":
        told = storm(port, wire, plan["lines"], plan["seconds"])
    else:
        told = steady(port, wire, plan["lines"], plan["seconds"], plan.get("rate", 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({**told, "cpu": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    main()
