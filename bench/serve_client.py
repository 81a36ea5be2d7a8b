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
        """One request, which was due at a time."""
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


class Lines:
    """Open connections: which are free, and what came back on the others."""

    def __init__(self, port, count):
        self.port, self.poll, self.by_number, self.free = port, select.epoll(), {}, deque()
        for _ in range(count):
            self.open()

    def open(self):
        """One more, free."""
        line = Line(self.port)
        self.by_number[line.number] = line
        self.poll.register(line.number, select.EPOLLIN)
        self.free.append(line)

    def answers(self, pause):
        """(status, line) of what came within ``pause`` seconds; the line is free again."""
        for number, _ in self.poll.poll(pause):
            line = self.by_number[number]
            status, closes = line.read()
            if status == 0:
                continue
            yield status, line
            if closes:
                self.poll.unregister(number)
                del self.by_number[number]
                line.socket.close()
                self.open()
            else:
                self.free.append(line)

    def close(self):
        """All."""
        for line in self.by_number.values():
            line.socket.close()


def steady(port, wire, count, seconds, rate):
    """Ask at a steady pace (``rate`` a second) or, without one, as soon as answered."""
    lines, waiting, found = Lines(port, count), deque(), []
    begin = now = clock()
    end, number, total = begin + seconds, 0, int(rate * seconds)
    while now < end + 20:
        while number < total and begin + number / rate <= now:
            waiting.append(begin + number / rate)
            number += 1
        if not rate and now < end:
            waiting.extend([now] * len(lines.free))
        while waiting and lines.free:
            lines.free.pop().send(wire, waiting.popleft())
        if len(lines.free) == count and (number == total if rate else now >= end):
            break
        pause = max(0.0, begin + number / rate - now) if number < total else 1.0
        for status, line in lines.answers(pause):
            now = clock()
            found.append((status, 1e3 * (now - line.due), 1e3 * (now - line.sent)))
        now = clock()
    lines.close()
    return {"found": found, "seconds": now - begin}


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
    while (by_number or again) and clock() < limit:
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
