"""Is the guard alive, and may it be given work: for probes, on a listener of its own when one is set."""

from aiohttp import web

from cadre_guard.turn.worker import WorkerState


def health_app(state: WorkerState) -> web.Application:
    """`/health`: the loop answers. `/ready`: the agent is up."""

    async def health(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(request: web.Request) -> web.Response:
        ok = state.state in ("Idle", "Busy") and not state.reason
        body = {"state": state.state, "reason": state.reason, "boundary": state.boundary}
        return web.json_response(body, status=200 if ok else 503)

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    return app
