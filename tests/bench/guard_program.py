"""The guard's model endpoint as a process without an agent: leases are held, no goose asks, the bench does.

Everything between a request and the controller is the guard's own. Each lease is a turn that is found by its
task id in the header `agent-session-id`, as goose's sessions are.
"""

import asyncio
import contextlib
import importlib
import logging
import signal
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from aiohttp import web

from cadre_api.protocol.guard import AgentBundle, BundleAck, Completion, Lease
from cadre_guard.analysis.node import NodeScanner
from cadre_guard.analysis.scanner import sidecar
from cadre_guard.bundle import BundleStore
from cadre_guard.controller.client import ControllerClient
from cadre_guard.controller.identity import Identity
from cadre_guard.controller.trust import trust_context
from cadre_guard.errors import GuardError
from cadre_guard.events import EventLog
from cadre_guard.masking.masker import Masker
from cadre_guard.memory import settle_memory, use_few_arenas
from cadre_guard.model.call import ModelPath
from cadre_guard.model.endpoint import ModelEndpoint
from cadre_guard.model.journal import CallJournal
from cadre_guard.telemetry import Telemetry
from cadre_guard.turn.lease import keep_lease
from cadre_guard.turn.prompt import masked_texts
from cadre_guard.turn.run import TurnRunner
from cadre_guard.turn.tools import ToolGate
from cadre_guard.turn.turn import Turn, TurnRegistry
from cadre_guard.wire.dialects import OPENAI_CHAT
from tests.bench.processes import announce

_ANALYZER_SECONDS = 60.0
_BODY_LIMIT = 16 * 1024 * 1024
_CLAIM_SECONDS = 1.0


class TurnHolder:
    """Claims whatever is queued for the agent and keeps it until the end."""

    def __init__(self, controller: ControllerClient, masker: Masker, runner: TurnRunner) -> None:
        self._controller = controller
        self._masker = masker
        self._runner = runner
        self._beats: set[asyncio.Task[None]] = set()
        self.held: list[Turn] = []
        self.turns = TurnRegistry()

    async def run(self, bundle: AgentBundle) -> None:
        """Claim and hold, until cancelled."""
        while True:
            room = bundle.concurrency - len(self.held)
            if room <= 0:
                return
            answer = await self._controller.claim(min(room, 100), _CLAIM_SECONDS)
            for lease in answer.leases:
                await self._hold(lease, bundle)

    async def _hold(self, lease: Lease, bundle: AgentBundle) -> None:
        turn = self._runner.open(lease, bundle)
        await self._masker.fetch_values(turn.pairs, masked_texts(lease))
        self.turns.add(lease.task_id, turn)
        self._beats.add(asyncio.create_task(keep_lease(self._controller, turn)))
        self.held.append(turn)

    async def give_back(self) -> None:
        """End every turn as done."""
        for beat in self._beats:
            beat.cancel()
        for turn in self.held:
            done = Completion(fence=turn.lease.fence, result="done")
            with contextlib.suppress(GuardError):
                await self._controller.complete(turn.lease.task_id, done)

    async def count(self, _request: web.Request) -> web.Response:
        """How many turns are held."""
        return web.json_response(len(self.held))


async def serve(controller_url: str, agent: str, bootstrap: Path, analyzer: Sequence[str]) -> None:
    """Run until SIGTERM. `analyzer`: nothing, or the URL and the authority of one that reads texts."""
    trust = trust_context(Path(analyzer[1]) if analyzer else None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=trust)) as http:
        identity = Identity(
            controller_url, http, agent=agent, instance=str(uuid.uuid4()), bootstrap_file=bootstrap
        )
        controller = ControllerClient(controller_url, http, identity)
        scanner = NodeScanner(analyzer[0], http, identity, _ANALYZER_SECONDS) if analyzer else sidecar()
        masker = Masker(controller, scanner)
        try:
            await _work(controller, masker, agent)
        finally:
            masker.close()


async def _work(controller: ControllerClient, masker: Masker, agent: str) -> None:
    bundle = await _bundle(controller, masker, agent)
    events, telemetry = EventLog(controller), Telemetry(controller, agent)
    gate = ToolGate(controller, masker, events, telemetry)
    holder = TurnHolder(controller, masker, TurnRunner(controller, masker, gate, events, telemetry))
    path = ModelPath(controller, masker, CallJournal(events), telemetry)
    runner = await _listen(ModelEndpoint(bundle, holder.turns, path), holder)
    background = [asyncio.create_task(work) for work in (events.run(), telemetry.run(), holder.run(bundle))]
    await _until_told()
    for task in background:
        task.cancel()
    ended = await asyncio.gather(*background, return_exceptions=True)
    for error in ended:
        if isinstance(error, GuardError):
            print(f"guard_program: {error.reason}: {error.message}", file=sys.stderr)
    await holder.give_back()
    await runner.cleanup()


async def _bundle(controller: ControllerClient, masker: Masker, agent: str) -> AgentBundle:
    answer = await controller.next_bundle(-1, 25)
    assert answer is not None, "the controller has no bundle for this agent"
    with tempfile.TemporaryDirectory() as folder:
        store = BundleStore(Path(folder) / "bundle.json", agent)
        bundle = store.check(answer.jws, controller.identity.bundle_key)
    await masker.use(bundle)
    await controller.acknowledge(BundleAck(generation=bundle.generation, digest=bundle.digest, applied=True))
    return bundle


async def _listen(endpoint: ModelEndpoint, holder: TurnHolder) -> web.AppRunner:
    app = web.Application(client_max_size=_BODY_LIMIT)
    app.router.add_post("/v1/chat/completions", endpoint.serve(OPENAI_CHAT))
    app.router.add_get("/held", holder.count)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    announce(runner.addresses[0][1])
    return runner


async def _until_told() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    importlib.import_module("cadre_guard.main")  # so that this is as large as the real one
    use_few_arenas()
    settle_memory()
    asyncio.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:]))
