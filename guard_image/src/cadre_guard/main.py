"""Wiring: one guard for one agent."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator

import aiohttp

from cadre_api.protocol.guard import BundleAck
from cadre_guard.analysis.node import NodeScanner
from cadre_guard.analysis.scanner import Scanner, sidecar
from cadre_guard.bundle import BundleStore
from cadre_guard.controller.client import ControllerClient
from cadre_guard.controller.identity import Identity
from cadre_guard.controller.trust import follow_authorities, trust_context
from cadre_guard.errors import ConfigurationError, GuardError
from cadre_guard.events import EventLog
from cadre_guard.health import health_app, serving
from cadre_guard.logs import configure_logging
from cadre_guard.masking.masker import Masker
from cadre_guard.memory import settle_memory, use_few_arenas
from cadre_guard.model.call import ModelPath
from cadre_guard.model.journal import CallJournal
from cadre_guard.place.desktop import Desktop
from cadre_guard.place.egress import EgressOpenError
from cadre_guard.place.opening import first_contact, leave_word, open_place, prove_sealed
from cadre_guard.place.pod import Pod
from cadre_guard.place.probes import PodProbes
from cadre_guard.sandbox.kernel import hide_from_ptrace
from cadre_guard.settings import Settings, read_settings
from cadre_guard.telemetry import Telemetry
from cadre_guard.turn.host import start_host
from cadre_guard.turn.run import TurnRunner
from cadre_guard.turn.tools import ToolGate
from cadre_guard.turn.worker import Worker

log = logging.getLogger(__name__)

_BUNDLE_WAIT_SECONDS = 25.0
_LAST_WORDS_SECONDS = 2.0
_RENEW_PAUSE_SECONDS = 2.0


def main() -> int:
    """`python -m cadre_guard`; 2 = cannot start like this, 3 = the pod's network is open, with one line."""
    try:
        settings = read_settings(os.environ)
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (ConfigurationError, OSError) as error:
        print(f"cadre_guard: {error}", file=sys.stderr)  # noqa: T201 - before logging exists
        return 2
    configure_logging(settings.log_level)
    use_few_arenas()
    settle_memory()
    # memory of this process holds values: other processes of the same user must not read it
    hide_from_ptrace()
    try:
        asyncio.run(_serve(settings))
    except GuardError as error:
        print(f"cadre_guard: {error.reason}: {error.message}", file=sys.stderr)  # noqa: T201 - the one clear line
        if settings.pod is not None:
            leave_word(settings.pod, error.reason)
        return 3 if isinstance(error, EgressOpenError) else 2
    return 0


async def _serve(settings: Settings) -> None:
    instance = str(uuid.uuid4())
    trust = trust_context(settings.ca_file)
    async with contextlib.AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0, ssl=trust)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        identity = Identity(
            settings.controller,
            http,
            agent=settings.agent,
            instance=instance,
            bootstrap_file=settings.bootstrap_file,
        )
        controller = ControllerClient(settings.controller, http, identity)
        place = await stack.enter_async_context(open_place(settings))
        masker = Masker(controller, _scanner(settings, http, identity))
        stack.callback(masker.close)
        await masker.start()
        if settings.ca_file is not None and not isinstance(trust, bool):
            following = asyncio.create_task(follow_authorities(settings.ca_file, trust))
            stack.callback(following.cancel)
        await _work(settings, instance, controller, masker, place)


def _scanner(settings: Settings, http: aiohttp.ClientSession, identity: Identity) -> Scanner:
    node = settings.analyzer
    return NodeScanner(node.url, http, identity, node.seconds) if node is not None else sidecar()


async def _work(
    settings: Settings, instance: str, controller: ControllerClient, masker: Masker, place: Desktop | Pod
) -> None:
    events = EventLog(controller)
    telemetry = Telemetry(controller, settings.agent)
    gate = ToolGate(controller, masker, events, telemetry)
    path = ModelPath(controller, masker, CallJournal(events), telemetry)
    bundles = BundleStore(settings.state_dir / "bundle.json", settings.agent)
    runner = TurnRunner(controller, masker, gate, events, telemetry)
    worker = Worker(
        instance, controller, bundles, runner, events, lambda bundle: start_host(place, bundle, path, gate)
    )
    _drain_on_signals(worker, place)
    async with _probes(settings, place, worker):
        try:
            if isinstance(place, Pod):
                await first_contact(controller, place.closing)
            background = [
                asyncio.create_task(_follow_bundles(controller, bundles, masker, worker, place)),
                asyncio.create_task(events.run()),
                asyncio.create_task(telemetry.run()),
            ]
            try:
                await _make_sure(settings, place)
                await _until_drained(worker, background[0])
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
        except EgressOpenError as error:
            events.add("guard.egressOpen", result=error.reason, target=error.target)
            raise
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    await asyncio.gather(events.flush(), telemetry.flush())


def _drain_on_signals(worker: Worker, place: Desktop | Pod) -> None:
    def drain() -> None:
        worker.drain()
        if isinstance(place, Pod):
            place.close()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain)


async def _make_sure(settings: Settings, place: Desktop | Pod) -> None:
    """In a pod no agent starts before we know that it is shut; our own rules may load meanwhile."""
    if isinstance(place, Pod) and settings.pod is not None:
        await prove_sealed(place, settings.pod)


async def _until_drained(worker: Worker, bundles: "asyncio.Task[None]") -> None:
    """Run the worker; a refusal of our identity or bundles by the controller ends it with that error."""
    run = asyncio.create_task(worker.run())
    await asyncio.wait({run, bundles}, return_when=asyncio.FIRST_COMPLETED)
    if not run.done():
        worker.drain()
        await run
        bundles.result()
    run.result()


async def _follow_bundles(
    controller: ControllerClient, bundles: BundleStore, masker: Masker, worker: Worker, place: Desktop | Pod
) -> None:
    """Take every newer bundle; a refused one leaves the old in force and says so."""
    while True:
        asked = bundles.ask_after()
        try:
            answer = await controller.next_bundle(asked, _BUNDLE_WAIT_SECONDS)
        except GuardError as error:
            if error.status in (401, 403):
                raise
            log.warning("no bundle", extra={"reason": error.reason})
            await asyncio.sleep(_RENEW_PAUSE_SECONDS)
            continue
        if answer is None:
            continue
        applied = await _apply_bundle(answer.jws, controller, bundles, masker, place)
        worker.bundle_changed()
        if not applied or asked < 0:
            await asyncio.sleep(_RENEW_PAUSE_SECONDS)


async def _apply_bundle(
    jws: str, controller: ControllerClient, bundles: BundleStore, masker: Masker, place: Desktop | Pod
) -> bool:
    ack = BundleAck(generation=max(bundles.generation, 0), digest="", applied=False)
    try:
        bundle = bundles.check(jws, controller.identity.bundle_key)
        ack = BundleAck(generation=bundle.generation, digest=bundle.digest, applied=True)
        if isinstance(place, Pod):
            place.expect(bundle)
        await masker.use(bundle)
        bundles.activate(bundle)
    except GuardError as error:
        log.error("bundle refused", extra={"reason": error.reason})
        ack = ack.model_copy(update={"applied": False, "reason": error.reason})
    try:
        await controller.acknowledge(ack)
    except GuardError as error:
        log.warning("bundle not acknowledged", extra={"reason": error.reason})
    return ack.applied


@contextlib.asynccontextmanager
async def _probes(settings: Settings, place: Desktop | Pod, worker: Worker) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        if isinstance(place, Pod) and settings.pod is not None:
            drain_seconds = settings.pod.drain_seconds
            probes = PodProbes(place, worker.state, lambda: worker.quiesce(drain_seconds))
            await stack.enter_async_context(serving(probes.app(), settings.pod.probes))
        if settings.health_listen is not None:
            app = health_app(worker.state)
            await stack.enter_async_context(serving(app, settings.health_listen))
        yield
