"""What the kubelet and Prometheus ask of an analyzer, on a port of its own that guards do not reach."""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from cadre_guard.analysis.server.app import Analyzer


class Probes(Collector):
    """Health, readiness and counters, without a value, a text or the name of a tenant."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self.listening = False
        """Guards may come."""

    def app(self) -> web.Application:
        """`/health`, `/ready`, `/metrics`."""
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        stale = self._analyzer.authority.stale
        return _state("ControllerAway" if stale else "")

    async def _ready(self, request: web.Request) -> web.Response:
        if not self._analyzer.authority.known:
            return _state("NoKeys")
        return _state("" if self.listening else "NotListening")

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), content_type="text/plain")

    @override
    def collect(self) -> Iterator[Metric]:
        """Read when it is asked for."""
        pool, tenants = self._analyzer.pool, self._analyzer.tenants
        caches = [tenant.cache for tenant in tenants.all()]
        counts = pool.counts
        yield _counter("texts_scanned", "Texts that were analysed.", counts.scanned)
        yield _counter("characters_scanned", "Their length.", counts.characters)
        yield _counter("scan_seconds", "Time spent on them.", counts.seconds)
        yield _counter("scan_failures", "Scans that failed closed.", counts.failures)
        yield _gauge(
            "cache_hits",
            "Texts known from before, of the tenants that are known.",
            sum(c.hits for c in caches),
        )
        yield _gauge("cache_entries", "Texts whose spans are remembered.", sum(map(len, caches)))
        yield _gauge("queue", "Jobs that wait or run.", pool.waiting)
        yield _gauge("tenants", "Tenants that are known.", len(tenants))
        answers = CounterMetricFamily(_name("answers"), "Answers by status.", labels=["status"])
        for status, count in sorted(self._analyzer.answers.items()):
            answers.add_metric([status], count)
        yield answers


def _state(reason: str) -> web.Response:
    body = {"status": "ok"} if not reason else {"status": "failed", "reason": reason}
    return web.json_response(body, status=503 if reason else 200)


def _name(name: str) -> str:
    return f"cadre_analyzer_{name}"


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(_name(name), text, value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_name(name), text, value)
