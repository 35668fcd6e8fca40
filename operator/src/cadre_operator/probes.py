"""Health, readiness and metrics over HTTP, for the kubelet and Prometheus."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from cadre_operator.metrics import Metrics

_LAG_EVERY = 1.0


@dataclass(slots=True)
class Health:
    """What the probes look at."""

    clock: Callable[[], float]
    ages: Callable[[], dict[str, float]]
    """Seconds of silence by watch."""
    limit: float
    """Longest silence of a watch that is believed."""
    ready: Callable[[], str]
    """Why this replica is not ready; empty = it is."""
    metrics: Metrics

    def problem(self) -> str:
        """Return why this replica should be restarted; empty = no reason."""
        silent = {path: age for path, age in self.ages().items() if age > self.limit}
        if silent:
            path = max(silent, key=lambda name: silent[name])
            return f"no event nor bookmark on {path} for {silent[path]:.0f} s"
        return ""

    async def measure_lag(self) -> None:
        """Measure how late the event loop runs, until cancelled."""
        while True:
            before = self.clock()
            await asyncio.sleep(_LAG_EVERY)
            self.metrics.loop_lag.set(max(0.0, self.clock() - before - _LAG_EVERY))


HEALTH = web.AppKey("health", Health)


def application(health: Health) -> web.Application:
    """Return the application with /health, /ready and /metrics."""
    app = web.Application()
    app[HEALTH] = health
    app.router.add_get("/health", _health)
    app.router.add_get("/ready", _ready)
    app.router.add_get("/metrics", _metrics)
    return app


async def _health(request: web.Request) -> web.Response:
    return _answer(request.app[HEALTH].problem())


async def _ready(request: web.Request) -> web.Response:
    return _answer(request.app[HEALTH].ready())


def _answer(problem: str) -> web.Response:
    return web.Response(status=503 if problem else 200, text=f"{problem or 'ok'}\n")


async def _metrics(request: web.Request) -> web.Response:
    body = request.app[HEALTH].metrics.text()
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
