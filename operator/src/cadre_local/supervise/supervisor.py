"""The life of an installation: database, model, controller, chart, guards; up in order, down in reverse."""

import asyncio
import logging
import os
import secrets
import signal
from collections.abc import Awaitable, Callable, Iterable

from cadre_local import charts, postgres, state
from cadre_local.client.api import CadreApi
from cadre_local.client.http import Endpoint, HttpClient
from cadre_local.errors import CadreError, Exit
from cadre_local.lock import acquire
from cadre_local.paths import write_private
from cadre_local.state import Child, Phase
from cadre_local.supervise import orphans, programs
from cadre_local.supervise.child import ManagedChild
from cadre_local.supervise.fleet import Fleet
from cadre_local.supervise.journal import Journal
from cadre_local.supervise.options import UpOptions
from cadre_local.supervise.spec import ProgramSpec

TICK = 1.0
"""Seconds between looks at the chart and at the processes."""
AGENTS_READY_WITHIN = 120.0
_log = logging.getLogger(__name__)


class Supervisor:
    """Runs one installation until told to stop."""

    def __init__(self, options: UpOptions) -> None:
        self._options = options
        self._home = options.state_home
        self._children: list[ManagedChild] = []
        known = state.load(self._home)
        self._tenant = known.tenant if known else ""
        self._secret = secrets.token_urlsafe(32)
        self._api = CadreApi(HttpClient(Endpoint(programs.public_url(options.ports.public), timeout=20)))
        self._journal = Journal(options, self._views)
        self._fleet = Fleet(options, self._api, self._log_in, self._journal.write)

    async def run(self) -> Exit:
        """Start, serve, stop; the exit code says whether it ever failed."""
        lock = acquire(self._home.lock)
        orphans.adopt()
        work = asyncio.create_task(self._serve(), name="serve")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, work.cancel)
        try:
            return await self._outcome(work)
        finally:
            await self._shut_down()
            lock.release()

    async def _outcome(self, work: "asyncio.Task[None]") -> Exit:
        try:
            await work
        except asyncio.CancelledError:
            return Exit.OK
        except CadreError as error:
            _log.error("start failed", extra={"reason": error.reason, "error": error.message})
            self._journal.phase(Phase.FAILED, error)
            return error.code
        return Exit.OK

    async def _serve(self) -> None:
        write_private(self._home.desktop_token, self._secret)
        self._journal.tenant(self._tenant)
        url = await self._start_database_and_model()
        await self._start("controller", programs.controller(self._options, url, os.environ))
        await asyncio.to_thread(self._log_in)
        await self._apply()
        await self._first_guards()
        self._journal.phase(Phase.READY)
        await self._watch()

    async def _start_database_and_model(self) -> str:
        """Both at once: neither needs the other."""
        try:
            async with asyncio.TaskGroup() as group:
                if not self._options.database_url:
                    group.create_task(self._start_postgres())
                if self._options.scripted:
                    spec = programs.scripted_model(self._options, os.environ)
                    group.create_task(self._start("scripted model", spec))
        except ExceptionGroup as failed:
            first = failed.exceptions[0]
            raise (first if isinstance(first, CadreError) else failed) from failed
        return self._options.database_url or postgres.socket_url(self._home)

    async def _start_postgres(self) -> None:
        with self._journal.step("postgres"):
            if not (self._home.pg / "PG_VERSION").exists():
                self._journal.note("postgres", "making a new database")
            spec = await asyncio.to_thread(postgres.prepare, self._home)
            await self._launch(spec)

    async def _start(self, step: str, spec: ProgramSpec) -> None:
        with self._journal.step(step):
            await self._launch(spec)

    async def _launch(self, spec: ProgramSpec) -> None:
        child = ManagedChild(spec, self._journal.write)
        self._children.append(child)
        child.start()
        await child.until_ready()

    async def _apply(self) -> None:
        if self._options.chart is None:
            return
        with self._journal.step("chart"):
            documents = await asyncio.to_thread(charts.read_documents, self._options.chart)
            applied = await asyncio.to_thread(self._api.apply, documents)
            self._tenant = str(applied.get("tenant", ""))
            self._journal.tenant(self._tenant)
            await asyncio.to_thread(self._log_in)
            charts.remember(self._home, self._options.chart, documents)

    async def _first_guards(self) -> None:
        with self._journal.step("agents"):
            deadline = asyncio.get_running_loop().time() + AGENTS_READY_WITHIN
            await self._fleet.reconcile()
            while self._fleet.late and not self._fleet.hopeless:
                self._journal.note("agents", f"{len(self._fleet.serving)} of {len(self._fleet.wanted)} ready")
                if asyncio.get_running_loop().time() > deadline:
                    break
                await asyncio.sleep(0.25)
                await self._fleet.reconcile()
            self._settle()

    def _settle(self) -> None:
        """All ready, or some (said, and kept running), or none: that start failed."""
        late, serving = self._fleet.late, len(self._fleet.serving)
        if late:
            failure = self._agents_late(late)
            if not serving:
                raise failure
            self._journal.warn(failure.line())
        self._journal.note(
            "agents", f"{serving} of {serving + len(late)} ready" if late else f"{serving} ready"
        )

    def _agents_late(self, late: tuple[str, ...]) -> CadreError:
        why = self._fleet.hopeless
        message = f"not ready: {', '.join(late)}" + (f"; {why[0].message}" if why else "")
        return CadreError("AgentsNotReady", message, f"read {self._home.logs}/guard.*.log", Exit.TIMED_OUT)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            await self._fleet.reconcile()
            orphans.end_orphans(self._ours())
            self._journal.write()

    async def _shut_down(self) -> None:
        if self._journal.current is not Phase.FAILED:
            self._journal.phase(Phase.STOPPING)
        await _uninterrupted(self._fleet.stop)
        for child in reversed(self._children):
            await _uninterrupted(child.stop)
        orphans.end_orphans(())
        for secret in (self._home.desktop_token, *self._home.bootstrap.iterdir()):
            secret.unlink(missing_ok=True)
        if self._journal.current is not Phase.FAILED:
            self._journal.phase(Phase.STOPPED)
        self._journal.write()

    def _log_in(self) -> None:
        self._api.log_in(self._secret, "", self._tenant)

    def _views(self) -> Iterable[Child]:
        return [*(child.view() for child in self._children), *self._fleet.children()]

    def _ours(self) -> set[int]:
        return {child.pid for child in self._children if child.pid} | self._fleet.pids()


async def _uninterrupted(action: Callable[[], Awaitable[None]]) -> None:
    """Finish even when a second Ctrl-C arrives, and never let one failure keep the rest running."""
    try:
        await asyncio.shield(asyncio.ensure_future(action()))
    except OSError as error:
        _log.error("stop failed", extra={"error": str(error)})
