"""What `mien serve` does under load, beside a plain handler that calls the model for each request.

    python bench/serve_load.py runs/cnn4-1 --seconds 6

Face crops go to /v2/models/…/infer as binary tensors over loopback, from processes of their own;
the counts and times are bounded. First both servers are saturated by the same closed loop (each in
its best setting of those tried here: threads of onnxruntime 1 or all); their ratio is printed. Then
`mien serve` gets 70 % of its saturation and five times of it at a steady pace (open loop), and at
the end SIGTERM again and again under load: a request counts as lost if the server took it on, or
its head and body were sent, and no answer came. Prints Markdown; asserts nothing.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

CROP = 48 * 48


def request(name, side=48):
    """One request with one face crop, as bytes on the wire."""
    crop = np.random.default_rng(0).integers(0, 256, (1, 1, side, side), dtype=np.uint8)
    head = json.dumps({"inputs": [{"name": "images", "datatype": "UINT8",
                       "shape": [1, 1, side, side],
                       "parameters": {"binary_data_size": crop.size}}]}).encode()  # fmt: skip
    body = head + crop.tobytes()
    return (
        f"POST /v2/models/{name}/infer HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n"
        f"Inference-Header-Content-Length: {len(head)}\r\n\r\n"
    ).encode() + body


async def one(line, wire):
    """Send and read one answer on an open connection; its status."""
    reader, writer = line
    writer.write(wire)
    head = await reader.readuntil(b"\r\n\r\n")
    low = head.lower()
    at = low.index(b"content-length:") + 15
    await reader.readexactly(int(low[at : low.index(b"\r\n", at)]))
    return int(head[9:12]), b"connection: close" in low


async def closed_loop(port, wire, clients, seconds):
    """So many clients, each asking as soon as it was answered: (status, seconds) of each."""
    found, end = [], time.perf_counter() + seconds

    async def client():
        line = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            begin = time.perf_counter()
            status, _ = await one(line, wire)
            found.append((status, time.perf_counter() - begin))
        line[1].close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return found


async def open_loop(port, wire, rate, seconds, lines=256):
    """Requests at a steady pace, whatever the answers: latency from when each was due."""
    free, found, tasks = asyncio.LifoQueue(), [], []
    for _ in range(lines):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))

    async def send(due):
        line = await free.get()
        sent = time.perf_counter()
        status, _ = await one(line, wire)
        free.put_nowait(line)
        now = time.perf_counter()
        found.append((status, now - due, now - sent))

    begin = time.perf_counter()
    for n in range(int(rate * seconds)):
        due = begin + n / rate
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(send(due)))
    await asyncio.gather(*tasks)
    while not free.empty():
        free.get_nowait()[1].close()
    return found


async def until_closed(port, wire, clients):
    """Ask until the server is gone: statuses, and requests that were sent and never answered."""
    counts = Counter()

    async def client():
        while True:
            try:
                line = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            try:
                while True:
                    status, closing = await one(line, wire)
                    counts[status] += 1
                    if closing:
                        break
            except (OSError, asyncio.IncompleteReadError) as error:
                partial = getattr(error, "partial", b"")
                counts["cut" if partial else "unanswered"] += 1
            line[1].close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return counts


class Server:
    """A server in a process of its own; prints its port on its first line."""

    def __init__(self, model, kind, threads, queue=64):
        self.process = subprocess.Popen(
            [sys.executable, __file__, model, "--be", kind, "--threads", str(threads),
             "--queue", str(queue)], stdout=subprocess.PIPE,
        )  # fmt: skip
        self.port, self.name = self.process.stdout.readline().decode().split()

    @property
    def memory(self):
        """Resident MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def end(self):
        """SIGTERM; what it still prints."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        rest = self.process.stdout.read().decode().split()
        self.process.stdout.close()
        return rest


def be_mien(model, threads, queue):
    """Serve as the verb does, and say at the end how many were taken on and answered."""
    from mien.app.server.running import bind, serve
    from mien.app.server.settings import Settings
    from mien.jobs.serving import Service
    from mien.predict.pipeline import load

    predictor, listening, kept = load(model, detector="none", threads=threads), None, []
    listening = bind("127.0.0.1", 0)

    def make(state):
        kept.append(state)
        return Service(predictor, name="m", told=state.metrics.batch)

    serve(predictor, Settings(queue=queue, drain_seconds=0.2), listening, make=make,
          ready=lambda address: print(listening.getsockname()[1], "m", flush=True))  # fmt: skip
    print(kept[0].places.taken, flush=True)


def be_plain(model, threads, queue):
    """A FastAPI handler that calls the model for each request, and nothing around it."""
    import uvicorn
    from fastapi import FastAPI, Request

    from mien.app.server.running import bind
    from mien.predict.classifier import open_classifier

    classifier, app = open_classifier(model, threads=threads), FastAPI()
    crop = (1, classifier.channels, classifier.size, classifier.size)

    def work(body, head):
        pixels = np.frombuffer(body[head:], np.uint8).reshape(crop)
        return classifier.classify(pixels).probabilities.tolist()

    @app.post("/v2/models/{name}/infer")
    async def infer(name: str, request: Request):
        body, head = await request.body(), int(request.headers["inference-header-content-length"])
        if queue:  # in a thread of the pool, as FastAPI does with plain functions
            from starlette.concurrency import run_in_threadpool

            return {"probabilities": await run_in_threadpool(work, body, head)}
        return {"probabilities": work(body, head)}

    listening = bind("127.0.0.1", 0)
    print(listening.getsockname()[1], "m", flush=True)
    config = uvicorn.Config(app, log_level="critical", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def quantile(values, share):
    """In milliseconds; nan for none."""
    return 1000 * float(np.quantile(values, share)) if len(values) else float("nan")


def saturate(given, kind, wire_of):
    """The best of a few settings, by requests answered a second in two turns each."""
    best = (0.0, None)
    queues = (0, 64) if kind == "plain" else (64,)
    for threads in given.try_threads:
        for queue in queues:
            server = Server(given.model, kind, threads, queue)
            wire = wire_of(server.name)
            asyncio.run(closed_loop(server.port, wire, 8, 1))
            rates = []
            for _ in range(2):
                found = asyncio.run(
                    closed_loop(server.port, wire, given.clients, given.seconds / 2)
                )
                rates.append(sum(s == 200 for s, _ in found) / (given.seconds / 2))
            server.end()
            where = "" if kind == "mien" else ", in threads" if queue else ", in the loop"
            print(
                f"| {kind}, {threads} threads{where} | {statistics.mean(rates):,.0f} |", flush=True
            )
            best = max(best, (statistics.mean(rates), threads), key=lambda pair: pair[0])
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--terms", type=int, default=50)
    parser.add_argument("--try-threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--be", choices=["mien", "plain"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--queue", type=int, default=64)
    given = parser.parse_args()
    if given.be:
        {"mien": be_mien, "plain": be_plain}[given.be](given.model, given.threads, given.queue)
        return
    print("| server | requests/s |\n|---|---|")
    plain, _ = saturate(given, "plain", request)
    rate, threads = saturate(given, "mien", request)
    print(f"\nratio of the best: **{rate / plain:.2f}**\n")

    server = Server(given.model, "mien", threads)
    wire = request(server.name)
    asyncio.run(closed_loop(server.port, wire, 8, 1))
    for share in (0.7, 5.0):
        before = server.memory
        found = asyncio.run(open_loop(server.port, wire, share * rate, given.seconds))
        good = [due for status, due, _ in found if status == 200]
        inner = [took for status, _, took in found if status == 200]
        full = [took for status, _, took in found if status == 503]
        print(
            f"at {share:g} × saturation ({share * rate:,.0f}/s): {len(found):,} requests, 503 "
            f"{len(full) / len(found):.1%}; accepted p50 {quantile(inner, 0.5):.1f} ms, p99 "
            f"{quantile(inner, 0.99):.1f} ms (from when due: {quantile(good, 0.99):.1f}); 503 p50 "
            f"{quantile(full, 0.5):.1f} ms, p99 {quantile(full, 0.99):.1f} ms; memory "
            f"{before:.0f} to {server.memory:.0f} MiB\n", flush=True,
        )  # fmt: skip
    server.end()

    total, inside = Counter(), 0
    for turn in range(given.terms):
        server = Server(given.model, "mien", threads)

        async def storm(port=server.port, process=server.process, turn=turn):
            task = asyncio.create_task(until_closed(port, wire, 16))
            await asyncio.sleep(0.2 + 0.01 * (turn % 20))
            process.send_signal(signal.SIGTERM)
            return await asyncio.wait_for(task, 30)

        total += asyncio.run(storm())
        left = server.process.stdout.read().split()
        code = server.process.wait(30)
        server.process.stdout.close()
        inside += int(left[-1]) if left else 1
        total[f"exit code {code}"] += 1
    print(f"{given.terms} SIGTERMs under load: {dict(total)}; taken on and not answered: {inside}")


if __name__ == "__main__":
    main()
