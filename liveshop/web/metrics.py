"""Prometheus metrics in a registry per application, so that two can live in one process."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "liveshop_http_requests_total",
            "Answered HTTP requests",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "liveshop_http_request_seconds",
            "Time to answer a request",
            ("route",),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.viewers = Gauge(
            "liveshop_viewers", "Open live connections on this node", registry=self.registry
        )
        self.events = Counter(
            "liveshop_room_events_total",
            "Events handed to rooms",
            ("type",),
            registry=self.registry,
        )
        self.deliveries = Counter(
            "liveshop_room_deliveries_total", "Frames handed to viewers", registry=self.registry
        )
        self.too_slow = Counter(
            "liveshop_viewers_too_slow_total", "Viewers closed with 4008", registry=self.registry
        )
        self.orders = Counter(
            "liveshop_orders_total", "Orders by outcome", ("outcome",), registry=self.registry
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        if status != 101:  # a WebSocket's time is how long somebody watched
            self._seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        return generate_latest(self.registry)
