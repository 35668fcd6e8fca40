"""Counters for Prometheus: what was found, refused, waited for; labels are types and reasons."""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from cadre_guard.standalone.masker import StandaloneMasker

_SIZES = ((1024, "1k"), (4096, "4k"), (20_480, "20k"), (102_400, "100k"))
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class GuardMetrics(Collector):
    """Read from the masker when they are asked for."""

    def __init__(self, masker: StandaloneMasker) -> None:
        self._masker = masker
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._latency = Histogram(
            "cadre_guard_request_seconds",
            "Time from a request's head to its answer's end, by size of its body.",
            ("size",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    @override
    def collect(self) -> Iterator[Metric]:
        """Everything but the latency, which counts itself."""
        masker, counts, cache = self._masker, self._masker.analysis.counts, self._masker.analysis.cache
        yield _labelled("cadre_guard_entities", "Findings by entity type.", "type", masker.found)
        yield _labelled("cadre_guard_blocked", "Refusals by entity type or reason.", "reason", masker.blocked)
        yield CounterMetricFamily("cadre_guard_texts_scanned", "Texts that were analysed.", counts.scanned)
        yield CounterMetricFamily("cadre_guard_characters_scanned", "Their length.", counts.characters)
        yield CounterMetricFamily("cadre_guard_scan_seconds", "Time spent on them.", counts.seconds)
        yield CounterMetricFamily("cadre_guard_scan_failures", "Scans that failed closed.", counts.failures)
        yield CounterMetricFamily("cadre_guard_cache_hits", "Texts known from before.", cache.hits)
        yield CounterMetricFamily("cadre_guard_cache_misses", "Texts that were new.", cache.misses)
        yield GaugeMetricFamily("cadre_guard_queue", "Jobs that wait or run.", masker.analysis.waiting)

    def observe(self, size: int, seconds: float) -> None:
        """Note one request."""
        label = next((name for limit, name in _SIZES if size <= limit), "more")
        self._latency.labels(label).observe(seconds)

    async def serve(self, request: web.Request) -> web.Response:
        """`GET /metrics`."""
        return web.Response(body=generate_latest(self._registry), content_type="text/plain")


def _labelled(name: str, text: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, count in sorted(counts.items()):
        family.add_metric([key], count)
    return family
