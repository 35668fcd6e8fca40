"""Probes, metrics and the description of the API: open to whoever reaches the port."""

from aiohttp import web

from cadre_controller.openapi import document
from cadre_controller.routes.models import Health
from cadre_controller.routes.table import ROUTES, Answer, Call, Created, Nothing, Scope, Table

TABLE = Table(Scope.OPEN)


@TABLE.get("/health", Nothing, Health)
async def health(call: Call[Nothing]) -> Answer:
    """The process lives."""
    return Health(status="ok")


@TABLE.get("/ready", Nothing, Health)
async def ready(call: Call[Nothing]) -> Answer:
    """The controller serves; 503 while the database is away or it is stopping."""
    if call.runtime.stopping.is_set():
        return Created(Health(status="unavailable", reason="Stopping"), 503)
    if not await call.runtime.services.ready():
        return Created(Health(status="unavailable", reason="DatabaseUnavailable"), 503)
    return Health(status="ok")


@TABLE.get("/metrics", Nothing, None)
async def metrics(call: Call[Nothing]) -> Answer:
    """Prometheus metrics."""
    return web.Response(
        body=call.runtime.metrics.render(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


@TABLE.get("/openapi.json", Nothing, None)
async def openapi(call: Call[Nothing]) -> Answer:
    """This document."""
    return web.json_response(document(call.request.app[ROUTES], "Cadre"))
