"""Numbers for Prometheus. Labels are routes and statuses of our own; nothing that a caller sent."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # type: ignore[no-untyped-call]
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._requests = Counter(
            "mien_requests_total", "Requests answered.", ("route", "status"), registry=r
        )
        self._seconds = Histogram(
            "mien_request_seconds", "From a request's head to the end of its answer.",
            ("route",), buckets=_SECONDS, registry=r,
        )  # fmt: skip
        self._found: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._batch = Histogram(
            "mien_batch_crops", "Face crops in one call of the model.", buckets=_SIZES, registry=r
        )
        self._asked = Histogram(
            "mien_batch_requests", "Requests in one call of the model.", buckets=_SIZES, registry=r
        )
        self._inside = Gauge("mien_requests_inside", "Requests taken on, not answered.", registry=r)
        self._room = Gauge("mien_places", "Requests that would be taken on at once.", registry=r)
        self._ready = Gauge("mien_ready", "1 while new work is taken on.", registry=r)
        self._ready.set(1)

    def watch(self, inside: Callable[[], int], room: Callable[[], int]) -> None:
        """Where two of the numbers are to be had when they are asked for."""
        self._inside.set_function(inside)
        self._room.set_function(room)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        if (route, status) not in self._found:  # to look a child up costs more than to count
            self._found[route, status] = (
                self._requests.labels(route, str(status)), self._seconds.labels(route),
            )  # fmt: skip
        requests, lasted = self._found[route, status]
        requests.inc()
        lasted.observe(seconds)

    def batch(self, questions: int, crops: int) -> None:
        """Count one call of the model."""
        self._asked.observe(questions)
        self._batch.observe(crops)

    def closing(self) -> None:
        """Say that no new work is taken on."""
        self._ready.set(0)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
