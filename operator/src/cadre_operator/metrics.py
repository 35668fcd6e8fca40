"""What the operator measures of itself, in Prometheus' form."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """All metrics of one operator."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "cadre_reconcile_total", "Finished reconciliations", ["kind", "result"], registry=self.registry
        )
        self.reconcile_seconds = Histogram(
            "cadre_reconcile_seconds", "Time of one", ["kind"], registry=self.registry, buckets=_SECONDS
        )
        self.compile_seconds = Histogram(
            "cadre_chart_compile_seconds",
            "Compilation of a tenant",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.requests = Counter(
            "cadre_kube_requests_total", "Requests to the API server", ["method", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.request_seconds = Histogram(
            "cadre_kube_request_seconds", "Time to the first byte", ["method"],
            registry=self.registry, buckets=_SECONDS,
        )  # fmt: skip
        self.ready_seconds = Histogram(
            "cadre_agent_ready_seconds", "From the first look at an agent to its first Ready",
            registry=self.registry, buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 600),
        )  # fmt: skip
        self.admissions = Counter(
            "cadre_admission_total", "Admission reviews", ["kind", "answer"], registry=self.registry
        )
        self.leading = Gauge("cadre_leader", "1 on the replica that writes", registry=self.registry)
        self.loop_lag = Gauge("cadre_loop_lag_seconds", "Delay of the event loop", registry=self.registry)
        self.conditions = Gauge(
            "cadre_condition", "Objects by condition", ["kind", "type", "status"], registry=self.registry
        )

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when it is asked for."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def observe_request(self, method: str, status: int, seconds: float) -> None:
        """Count a request to the API server; status 0 = no answer."""
        self.requests.labels(method, str(status)).inc()
        self.request_seconds.labels(method).observe(seconds)

    def text(self) -> bytes:
        """Return everything in the exposition format."""
        return generate_latest(self.registry)
