"""The guard's main loop: the right agent alive, as much work as it may have, nothing left half said."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cadre_api.protocol.guard import AgentBundle, ClaimResponse, GuardStatus, Lease
from cadre_guard.bundle import BundleStore
from cadre_guard.controller.client import ControllerClient
from cadre_guard.controller.problems import AWAY_STATUSES
from cadre_guard.errors import GuardError
from cadre_guard.events import EventLog
from cadre_guard.turn.host import AgentHost, trust_set
from cadre_guard.turn.lease import TaskCancelledError
from cadre_guard.turn.run import TurnRunner
from cadre_guard.turn.turn import Turn

log = logging.getLogger(__name__)

_CLAIM_SECONDS = 20.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_IDLE_SECONDS = 1.0
_AWAY_PAUSE = 0.5
_QUIET_LOOK_SECONDS = 0.1
_DRAIN_SECONDS, _HAND_BACK_SECONDS = 5.0, 6.0
_STATUS_SECONDS = 15.0

_DRAINING = GuardError("GuardDraining", "the guard is shutting down; the task goes back")

StartHost = Callable[[AgentBundle], Awaitable[AgentHost]]


@dataclass(slots=True)
class WorkerState:
    """What health and status reports show."""

    state: str = "Starting"
    reason: str = ""
    boundary: dict[str, bool] = field(default_factory=dict)
    agent_version: str = ""


class Worker:
    """Claims and runs the work of one agent."""

    def __init__(
        self,
        instance: str,
        controller: ControllerClient,
        bundles: BundleStore,
        runner: TurnRunner,
        events: EventLog,
        start_host: StartHost,
    ) -> None:
        self._instance = instance
        self._controller = controller
        self._bundles = bundles
        self._runner = runner
        self._events = events
        self._start_host = start_host
        self._host: AgentHost | None = None
        self._suspect = False
        self._pause = _FIRST_PAUSE
        self._active: dict[str, tuple[Turn, asyncio.Task[None]]] = {}
        self._claiming: asyncio.Task[ClaimResponse] | None = None
        self._backlog: list[Lease] = []
        self._draining = asyncio.Event()
        self._quiet = False
        self._changed = asyncio.Event()
        self.state = WorkerState()

    def bundle_changed(self) -> None:
        """Look again at what is to be done."""
        self._changed.set()

    def drain(self) -> None:
        """Take no more work; `run` returns when what is under way has ended or was handed back."""
        self._draining.set()
        self._changed.set()

    async def quiesce(self, seconds: float) -> None:
        """Take no more work, until another agent comes; returns when no turn runs.

        Turns that wait for a human go back at once (the question stays open at the controller), the others
        when they are not done within `seconds`.
        """
        self._quiet = True
        self._changed.set()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._active and loop.time() < until + _HAND_BACK_SECONDS:
            for turn, _task in list(self._active.values()):
                if turn.holds or loop.time() >= until:
                    turn.stop(_DRAINING)
            await asyncio.sleep(_QUIET_LOOK_SECONDS)

    async def run(self) -> None:
        """Until drained."""
        reporter = asyncio.create_task(self._report_status())
        try:
            while not self._draining.is_set():
                try:
                    await self._step()
                except GuardError as error:
                    await self._recover(error)
            await self._finish_active()
        finally:
            reporter.cancel()
            await asyncio.gather(reporter, return_exceptions=True)
            await self._stop_host()

    async def _step(self) -> None:
        self._changed.clear()  # before looking: a change from here on interrupts the wait below
        if self._quiet and self._host is not None and self._host.alive:
            await self._release_claims()
            self._show("Draining")
            await self._wait_for_change()
            return
        bundle = self._bundles.usable()
        if bundle is None or bundle.lifecycle != "Running":
            self._show("Idle", "NoBundle" if bundle is None else bundle.lifecycle)
            await self._wait_for_change()
            return
        if not await self._ready_host(bundle):
            await self._wait_for_change()
            return
        while self._backlog:
            self._begin(self._backlog.pop(0), bundle)
        self._show("Busy" if self._active else "Idle")
        capacity = bundle.concurrency - len(self._active)
        if capacity <= 0:
            await self._wait_for_change()
            return
        await self._claim(capacity)

    async def _ready_host(self, bundle: AgentBundle) -> bool:
        """A live agent under this bundle's rights; False while turns of the old one still run."""
        host = self._host
        if host is not None and host.alive and not self._suspect and host.trust == trust_set(bundle):
            return True
        if self._active:
            return False
        if host is not None:
            crashed = self._suspect or not host.alive
            self._events.add("agent.restart", result="Crashed" if crashed else "Replaced")
            await self._stop_host(broken=crashed)
            if crashed:
                await self._back_off()
        self._show("Starting")
        self._host = await self._start_host(bundle)
        self._suspect = self._quiet = False
        self.state.boundary = dict(self._host.seat.boundary)
        self.state.agent_version = self._host.client.agent_version
        log.info(
            "agent started", extra={"boundary": self.state.boundary, "version": self.state.agent_version}
        )
        return True

    async def _claim(self, capacity: int) -> None:
        """Wait for work, or for a reason to look around; the question stays open meanwhile.

        A claim is never taken back while we live: an answer already on its way would be a lease lost until it
        expires. What it brings is begun only under the rights that hold by then.
        """
        if self._claiming is None:
            self._claiming = asyncio.create_task(self._controller.claim(capacity, _CLAIM_SECONDS))
        interrupt = asyncio.create_task(self._interrupted())
        await asyncio.wait({self._claiming, interrupt}, return_when=asyncio.FIRST_COMPLETED)
        interrupt.cancel()
        await asyncio.gather(interrupt, return_exceptions=True)
        if not self._claiming.done():
            return
        claiming, self._claiming = self._claiming, None
        answer = claiming.result()
        for task_id in answer.cancelled:
            if task_id in self._active:
                self._active[task_id][0].stop(TaskCancelledError())
        self._backlog.extend(answer.leases)

    async def _interrupted(self) -> None:
        """Something that makes waiting for work wrong: the end, new rights, a dead agent."""
        assert self._host is not None
        changed = asyncio.create_task(self._changed.wait())
        dead = asyncio.create_task(self._host.client.wait_closed())
        try:
            await asyncio.wait({changed, dead}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            dead.cancel()

    def _begin(self, lease: Lease, bundle: AgentBundle) -> None:
        turn = self._runner.open(lease, bundle)
        assert self._host is not None
        task = asyncio.create_task(self._run_turn(turn, self._host))
        self._active[lease.task_id] = (turn, task)

    async def _run_turn(self, turn: Turn, host: AgentHost) -> None:
        try:
            healthy = await self._runner.run(turn, host)
            if not healthy:
                self._suspect = True
            elif turn.failure is None:
                self._pause = _FIRST_PAUSE
        except Exception as error:  # a fault of ours: the lease runs out and the task is tried again
            log.error("turn failed", extra={"error": type(error).__name__, "task": turn.lease.task_id})
            self._suspect = True
        finally:
            self._active.pop(turn.lease.task_id, None)
            self._changed.set()

    async def _recover(self, error: GuardError) -> None:
        log.warning("waiting after a failure", extra={"reason": error.reason})
        if error.reason == "ControllerUnreachable" or error.status in AWAY_STATUSES:
            await self._sleep(_AWAY_PAUSE)
            return
        self._show("Failed", error.reason)
        await self._back_off()

    async def _back_off(self) -> None:
        await self._sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._draining.wait(), seconds)

    async def _wait_for_change(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), _IDLE_SECONDS)

    async def _finish_active(self) -> None:
        self._show("Draining")
        tasks = {task for _turn, task in self._active.values()}
        tasks.add(asyncio.create_task(self._release_claims()))
        await asyncio.wait(tasks, timeout=_DRAIN_SECONDS)
        for turn, _task in list(self._active.values()):
            turn.stop(_DRAINING)
        await asyncio.wait(tasks, timeout=_HAND_BACK_SECONDS)

    async def _release_claims(self) -> None:
        """Ask for nothing any more, and give back what came and was not begun."""
        claiming, self._claiming = self._claiming, None
        if claiming is not None:
            claiming.cancel()
            await asyncio.gather(claiming, return_exceptions=True)
        backlog, self._backlog = self._backlog, []
        await asyncio.gather(*(self._runner.hand_back(lease, _DRAINING) for lease in backlog))

    async def _stop_host(self, *, broken: bool = False) -> None:
        host, self._host = self._host, None
        if host is not None:
            await host.stop(broken=broken)

    def _show(self, state: str, reason: str = "") -> None:
        if (self.state.state, self.state.reason) != (state, reason):
            self.state.state, self.state.reason = state, reason

    async def _report_status(self) -> None:
        last = None
        while True:
            status = GuardStatus(
                instance=self._instance,
                state=self.state.state,
                agent_version=self.state.agent_version,
                boundary=self.state.boundary,
                bundle_generation=max(0, self._bundles.generation),
                reason=self.state.reason,
            )
            try:
                await self._controller.report_status(status)
            except GuardError as error:
                log.warning("status not reported", extra={"reason": error.reason})
            last = status
            await self._until_other(last)

    async def _until_other(self, last: GuardStatus) -> None:
        for _ in range(int(_STATUS_SECONDS / 0.25)):
            await asyncio.sleep(0.25)
            if (self.state.state, self.state.reason) != (last.state, last.reason):
                return
