"""What `mien serve` does under load, beside a plain handler that calls the model for each request.

    python bench/serve_load.py compare runs/cnn4-1 --int8 cnn4-int8.onnx
    python bench/serve_load.py load runs/cnn4-1 --with onnx,1x2
    python bench/serve_load.py terms runs/cnn4-1 --count 50

Face crops go to /v2/models/m/infer as binary tensors over loopback, from a process of its own
(``serve_client``); counts and times are bounded. ``compare`` starts all servers, then loads one
after the other by the same closed loop, in several rounds, so that a machine's moods meet all;
their medians and the ratio of the best are printed. ``load`` gives one server 70 % of its
saturation and five times that at a steady pace. ``terms`` sends SIGTERM again and again under load:
a request counts as lost if the server took it on, or it was sent on an open line, and no answer
came. A server is called by backend and threads of a batch, and x batches at once: ``onnx,1x2``,
``torch-bf16,2``, ``torch-fp32,2``, ``int8,1x2``. Prints Markdown; asserts nothing.
"""

import argparse
import base64
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

_CLIENT = Path(__file__).with_name("serve_client.py")
_SERVERS = Path(__file__).with_name("serve_servers.py")


def request(side=48, channels=1):
    """One request with one face crop, as bytes on the wire."""
    shape = [1, channels, side, side]
    crop = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    head = json.dumps({"inputs": [{"name": "images", "datatype": "UINT8", "shape": shape,
                       "parameters": {"binary_data_size": crop.size}}]}).encode()  # fmt: skip
    body = head + crop.tobytes()
    return (
        "POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n"
        f"Inference-Header-Content-Length: {len(head)}\r\n\r\n"
    ).encode() + body


class Server:
    """A server in a process of its own; prints its port and the crops' side on its first line."""

    def __init__(self, given, kind, form, *, way="the loop"):
        backend, _, threads = form.partition(",")
        model = given.int8 if backend == "int8" else given.model
        self.called = f"{kind}, {backend}, threads {threads}" + (
            f", in {way}" if kind == "plain" else ""
        )
        self.form = form
        self.process = subprocess.Popen(
            [sys.executable, str(_SERVERS), kind, model, backend, threads, way, str(given.queue)],
            stdout=subprocess.PIPE,
        )

    def wait(self):
        """Until it is there."""
        port, side, channels = self.process.stdout.readline().split()
        self.port, self.wire = int(port), request(int(side), int(channels))
        return self

    def ask(self, kind, lines, seconds, rate=0.0):
        """What the client told."""
        plan = {"kind": kind, "wire": base64.b64encode(self.wire).decode(), "lines": lines,
                "seconds": seconds, "rate": rate}  # fmt: skip
        done = subprocess.run([sys.executable, str(_CLIENT), str(self.port)], check=True, text=True,
                              input=json.dumps(plan), stdout=subprocess.PIPE)  # fmt: skip
        return json.loads(done.stdout)

    def rate(self, lines, seconds):
        """Requests answered with 200 a second, and the processor's seconds of client and server."""
        before = self.cpu
        told = self.ask("closed", lines, seconds)
        good = sum(status == 200 for status, _, _ in told["found"])
        used = 1e3 / max(good, 1)
        return good / told["seconds"], used * told["cpu"], used * (self.cpu - before)

    @property
    def cpu(self):
        """Seconds of the processor that it has taken."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self):
        """Resident MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def end(self):
        """SIGTERM; what it still prints, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.stdout.read().decode().split()
        self.process.stdout.close()
        return rest, self.process.wait(30)


def compare(given):
    """All forms of both servers, in rounds; the ratio of the best."""
    single = [form for form in given.forms if "x" not in form.partition(",")[2]]
    servers = [
        Server(given, "plain", form, way=way) for form in single for way in ("the loop", "threads")
    ] + [Server(given, "mien", form) for form in given.forms]
    for one in servers:
        one.wait().ask("closed", 8, 0.5)
    found = {one: [] for one in servers}
    for _ in range(given.rounds):
        for one in servers:
            found[one].append(one.rate(given.clients, given.seconds))
    print("| server | requests/s | lowest to highest | client ms | server ms of processor |")
    print("|---|---|---|---|---|")
    best = {}
    for one, told in found.items():
        rates, client, own = zip(*told, strict=True)
        rate = statistics.median(rates)
        print(f"| {one.called} | {rate:,.0f} | {min(rates):,.0f} to {max(rates):,.0f} | "
              f"{statistics.median(client):.3f} | {statistics.median(own):.2f} |")  # fmt: skip
        one.end()
        kind = one.called.partition(",")[0]
        exact = one.form.partition(",")[0] != "int8"
        for group in [kind] + [f"{kind} without int8"] * exact:
            best[group] = max(best.get(group, (0, "")), (rate, one.called))
    for rest in ("", " without int8"):
        (mien, a), (plain, b) = best[f"mien{rest}"], best[f"plain{rest}"]
        print(f"\nratio of the best{rest}: **{mien / plain:.2f}** ({a}; {b})")


def quantile(values, share):
    """In milliseconds; nan for none."""
    return float(np.quantile(values, share)) if len(values) else float("nan")


def load(given):
    """70 % of saturation, then five times it."""
    for form in given.forms:
        server = Server(given, "mien", form).wait()
        server.ask("closed", 8, 1)
        rate = statistics.median(server.rate(given.clients, given.seconds)[0] for _ in range(3))
        print(f"\n{server.called}: saturation {rate:,.0f}/s with {given.clients} clients\n")
        print("| offered | answered 503 | accepted/s | accepted p50 / p99 | from when due p99 "
              "| 503 p50 / p99 | resident MiB |\n|---|---|---|---|---|---|---|")  # fmt: skip
        for share in (0.7, 5.0):
            before = server.memory
            told = server.ask("open", given.lines, given.seconds, share * rate)
            found = told["found"]
            good = [(due, took) for status, due, took in found if status == 200]
            full = [took for status, _, took in found if status == 503]
            dues, tooks = [due for due, _ in good], [took for _, took in good]
            after = server.memory
            print(
                f"| {share:g} × saturation, {share * rate:,.0f}/s (sent {len(found):,} in "
                f"{told['seconds']:.1f} s) | {len(full) / len(found):.1%} | "
                f"{len(good) / told['seconds']:,.0f} | {quantile(tooks, 0.5):.1f} / "
                f"{quantile(tooks, 0.99):.1f} ms | {quantile(dues, 0.99):.1f} ms | "
                f"{quantile(full, 0.5):.1f} / {quantile(full, 0.99):.1f} ms | "
                f"{before:.0f} to {after:.0f} ({after / before - 1:+.1%}) |", flush=True,
            )  # fmt: skip
        server.end()


def terms(given):
    """SIGTERM under load, again and again."""
    total, inside = Counter(), 0
    for turn in range(given.count):
        server = Server(given, "mien", given.forms[0]).wait()
        plan = {"kind": "storm", "wire": base64.b64encode(server.wire).decode(), "lines": 16,
                "seconds": 30}  # fmt: skip
        client = subprocess.Popen([sys.executable, str(_CLIENT), str(server.port)], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        client.stdin.write(json.dumps(plan))
        client.stdin.close()
        time.sleep(0.3 + 0.01 * (turn % 20))
        rest, code = server.end()
        total += Counter(json.loads(client.stdout.read())["counts"])
        client.wait(40)
        client.stdout.close()
        inside += int(rest[-1]) if rest else 1
        total[f"exit code {code}"] += 1
    print(f"{given.count} SIGTERMs under load: {dict(total)}; taken on and not answered: {inside}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["compare", "load", "terms"])
    parser.add_argument("model")
    parser.add_argument("--int8", default="", help="the model's file in eight bits")
    parser.add_argument("--with", dest="forms", nargs="+", default=["onnx,1x2"])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=48)
    parser.add_argument("--lines", type=int, default=256)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--count", type=int, default=50)
    given = parser.parse_args()
    {"compare": compare, "load": load, "terms": terms}[given.what](given)


if __name__ == "__main__":
    main()
