"""Prometheus metrics of one controller process, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60)


class Metrics:
    """Everything the controller counts; labels are names of the chart or fixed words."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "cadre_http_requests",
            "Requests by route and status",
            ("port", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "cadre_http_request_seconds",
            "Time to answer",
            ("port", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.streams = Gauge(
            "cadre_open_streams", "Open event and token streams", ("kind",), registry=self.registry
        )
        self.model_calls = Counter(
            "cadre_model_calls", "Model calls by outcome", ("provider", "result"), registry=self.registry
        )
        self.model_seconds = Histogram(
            "cadre_model_call_seconds",
            "Model call time",
            ("provider",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.model_tokens = Counter(
            "cadre_model_tokens", "Tokens by direction", ("provider", "direction"), registry=self.registry
        )
        self.tool_calls = Counter(
            "cadre_tool_calls", "Tool calls by outcome", ("server", "result"), registry=self.registry
        )
        self.tool_seconds = Histogram(
            "cadre_tool_call_seconds", "Tool call time", ("server",), buckets=_SECONDS, registry=self.registry
        )
        self.refusals = Counter(
            "cadre_refusals", "Refusals by reason", ("port", "reason"), registry=self.registry
        )

    def render(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self.registry)
