"""Many requests at a running server's application: no 5xx, and no trace of what was sent.

    python bench/serve_probe.py canary --count 10000
    python bench/serve_probe.py openapi --count 2000

``canary`` starts the server of the tests in an empty folder, sends marked pixels and names over
loopback and searches its log, its metrics and every file for them. ``openapi`` makes requests from
the OpenAPI description (schemathesis) and checks that every answer is as described. Both print what
was answered, by status; nothing is asserted about time.
"""

import argparse
import http.client
import sys
import tempfile
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "app" / "server")]


def canary(count):
    """Send, search, tell."""
    from serving_canary import marked, search
    from serving_house import House

    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), queue=256)
        statuses = Counter()
        line = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
        for path, body, headers in marked(count):
            line.request("POST", path, body, headers)
            reply = line.getresponse()
            reply.read()
            statuses[reply.status] += 1
        line.request("GET", "/metrics")
        found = {"metrics": search(line.getresponse().read())}
        line.close()
        code = house.end()
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        for path in files:
            found[path.name] = search(path.read_bytes())
    print(f"{count:,} requests, by status: {dict(sorted(statuses.items()))}; exit code {code}")
    print(f"files that the server's folder holds: {[path.name for path in files]}")
    print(f"marks found: {found}")


def openapi(count):
    """As the test, with more cases."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from test_openapi import _APP, schema

    statuses = Counter()
    operations = [one.ok() for one in schema.get_all_operations()]
    # Those without parameters have few different requests; the others make up for them.
    for operation in operations + [one for one in operations if one.method == "post"] * 2:

        @given(case=operation.as_strategy())
        @settings(max_examples=-(-count // len(operations)), deadline=None, database=None,
                  phases=(Phase.generate,), suppress_health_check=list(HealthCheck))  # fmt: skip
        def probe(case):
            case.headers = {**(case.headers or {}), "Host": "127.0.0.1"}
            reply = case.call()
            statuses[reply.status_code] += 1
            case.validate_response(reply, checks=[schemathesis.checks.not_a_server_error])

        probe()
    assert _APP is not None
    print(f"{sum(statuses.values()):,} cases over {len(operations)} operations, by status: "
          f"{dict(sorted(statuses.items()))}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["canary", "openapi"])
    parser.add_argument("--count", type=int, default=2000)
    given = parser.parse_args()
    {"canary": canary, "openapi": openapi}[given.what](given.count)


if __name__ == "__main__":
    main()
