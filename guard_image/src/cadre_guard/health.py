"""Is the guard alive, and may it be given work: for probes, on a listener of its own when one is set."""

import contextlib
import resource
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from cadre_guard.turn.worker import WorkerState

_MEMORY = Path("/sys/fs/cgroup/memory.current")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


def health_app(state: WorkerState) -> web.Application:
    """`/health`: the loop answers. `/ready`: the agent is up."""

    async def health(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", **usage()})

    async def ready(request: web.Request) -> web.Response:
        ok = state.state in ("Idle", "Busy") and not state.reason
        body = {"state": state.state, "reason": state.reason, "boundary": state.boundary}
        return web.json_response(body, status=200 if ok else 503)

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    return app


def usage() -> dict[str, float | int | None]:
    """CPU seconds and bytes of memory of this container; None where the kernel does not tell."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpuSeconds": round(spent.ru_utime + spent.ru_stime, 3),
        "memoryBytes": _bytes(_MEMORY),
        "memoryLimitBytes": _bytes(_MEMORY_LIMIT),
    }


@contextlib.asynccontextmanager
async def serving(app: web.Application, listen: tuple[str, int]) -> AsyncIterator[None]:
    """Serve `app` while the block runs."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, *listen).start()
        yield
    finally:
        await runner.cleanup()


def _bytes(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
