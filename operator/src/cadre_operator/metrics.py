"""What the operator measures of itself, in Prometheus' form."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

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

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when it is asked for."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def watch_conditions(self, count: Callable[[], Mapping[tuple[str, str, str], int]]) -> None:
        """Add the number of objects by (kind, condition, status), counted when it is asked for."""
        self.registry.register(_Conditions(count))

    def observe_request(self, method: str, status: int, seconds: float) -> None:
        """Count a request to the API server; status 0 = no answer."""
        self.requests.labels(method, str(status)).inc()
        self.request_seconds.labels(method).observe(seconds)

    def text(self) -> bytes:
        """Return everything in the exposition format."""
        return generate_latest(self.registry)


@dataclass(frozen=True, slots=True)
class _Conditions(Collector):
    count: Callable[[], Mapping[tuple[str, str, str], int]]

    def describe(self) -> Iterable[Metric]:
        """Name the metric without counting: the registry asks before anything is watched."""
        return [self._family()]

    @override
    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for labels, number in sorted(self.count().items()):
            family.add_metric(labels, number)
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily("cadre_condition", "Objects by condition", labels=["kind", "type", "status"])
