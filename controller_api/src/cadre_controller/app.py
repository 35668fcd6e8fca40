"""The two applications: one for people, one for guards; same runtime, different gates."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from cadre_controller.auth.middleware import guard_gate, public_gate
from cadre_controller.keys import RUNTIME
from cadre_controller.middlewares import Observer, problems
from cadre_controller.routes import guard_tables, public_tables
from cadre_controller.routes.table import ROUTES, Route, add_routes
from cadre_controller.runtime import Runtime
from cadre_controller.services.callers import STOPPING


def public_app(runtime: Runtime) -> web.Application:
    """Persons, probes and documentation."""
    observer = Observer("public", runtime.metrics, runtime.clock)
    app = web.Application(middlewares=[problems(observer), public_gate(runtime.tokens, runtime.operator)])
    return _filled(app, runtime, add_routes(app, public_tables()))


def guard_app(runtime: Runtime) -> web.Application:
    """Guards only: every route but the token exchange needs their JWT."""
    observer = Observer("guard", runtime.metrics, runtime.clock)
    gate = guard_gate(runtime.tokens, runtime.services.freezer)
    app = web.Application(middlewares=[problems(observer), gate])
    app.cleanup_ctx.append(_waking)
    return _filled(app, runtime, add_routes(app, guard_tables()))


async def _waking(app: web.Application) -> AsyncIterator[None]:
    """Wake the guards that wait for work as soon as the controller begins to stop."""
    runtime = app[RUNTIME]

    async def wake() -> None:
        await runtime.stopping.wait()
        runtime.services.kernel.wakeups.wake((STOPPING,))

    task = asyncio.create_task(wake())
    yield
    task.cancel()
    await asyncio.wait([task])


def _filled(app: web.Application, runtime: Runtime, routes: tuple[Route, ...]) -> web.Application:
    app[RUNTIME] = runtime
    app[ROUTES] = routes

    async def stop(_: web.Application) -> None:
        runtime.stopping.set()

    app.on_shutdown.append(stop)
    return app
