"""What the kubelet asks in a pod: about us, and about the agent, which listens on loopback only.

`/drain` is the agent's preStop: it holds the agent's SIGTERM back until no turn runs. Anybody in the pod can
call it and gains an idle agent, nothing else. The kubelet asks once a second whether a container started; an
answer that is not yes is held back a while, so that it learns of the start in that moment.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from cadre_guard.health import usage
from cadre_guard.place.pod import Pod
from cadre_guard.turn.worker import WorkerState

log = logging.getLogger(__name__)

_HOLD_SECONDS = 2.0
"""Shorter than the kubelet's patience with a probe (`timeoutSeconds` in the pod's manifest)."""
_LOOK_SECONDS = 0.05
Quiesce = Callable[[], Awaitable[None]]


class PodProbes:
    """Handlers on the port that the pod's manifest names."""

    def __init__(self, pod: Pod, state: WorkerState, quiesce: Quiesce) -> None:
        self._pod = pod
        self._state = state
        self._quiesce = quiesce

    def app(self) -> web.Application:
        """All routes."""
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/started", self._started)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/agent/health", self._agent_health)
        app.router.add_get("/agent/ready", self._agent_ready)
        app.router.add_get("/agent/started", self._agent_started)
        app.router.add_get("/drain", self._drain)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", **usage()})

    async def _started(self, request: web.Request) -> web.Response:
        """The agent may start: identity proven, egress sealed, keys written, endpoints open."""
        return _answer(await self._held(self._pod.prepared.is_set), self._state)

    async def _ready(self, request: web.Request) -> web.Response:
        return _answer(self._pod.prepared.is_set() and _willing(self._state), self._state)

    async def _agent_ready(self, request: web.Request) -> web.Response:
        return _answer(self._pod.connected and _willing(self._state), self._state)

    async def _agent_started(self, request: web.Request) -> web.Response:
        met = await self._held(lambda: self._pod.connected and _willing(self._state))
        return _answer(met or await self._pod.up(), self._state)

    async def _held(self, came: Callable[[], bool]) -> bool:
        """Whether it came true before the answer must be given, or nothing will come any more."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _HOLD_SECONDS
        while not came() and loop.time() < until:
            if self._pod.refused or self._pod.closing.is_set():
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return came()

    async def _agent_health(self, request: web.Request) -> web.Response:
        return _answer(await self._pod.healthy(), self._state)

    async def _drain(self, request: web.Request) -> web.Response:
        # an agent that is to be replaced has no turn worth waiting for
        if self._pod.connected:
            log.info("draining before the agent ends")
            await self._quiesce()
        return web.json_response({"status": "drained"})


def _willing(state: WorkerState) -> bool:
    return state.state in ("Idle", "Busy") and not state.reason


def _answer(ok: bool, state: WorkerState) -> web.Response:
    body = {"state": state.state, "reason": state.reason}
    return web.json_response(body, status=200 if ok else 503)
