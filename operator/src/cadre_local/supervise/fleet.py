"""One guard per running agent: what the chart asks for, against what runs, once a second."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cadre_local.client.api import CadreApi
from cadre_local.errors import CadreError
from cadre_local.state import Child, Phase
from cadre_local.supervise import programs
from cadre_local.supervise.child import ManagedChild
from cadre_local.supervise.options import UpOptions

READY_STATES = frozenset({"Idle", "Busy"})
"""What a guard says when its agent can work."""
_log = logging.getLogger(__name__)


class Fleet:
    """The guards of one installation."""

    def __init__(
        self, options: UpOptions, api: CadreApi, log_in: Callable[[], None], changed: Callable[[], None]
    ) -> None:
        self._options = options
        self._api = api
        self._log_in = log_in
        self._changed = changed
        self._guards: dict[str, ManagedChild] = {}
        self._since = datetime.now(UTC)
        self.serving: frozenset[str] = frozenset()
        """Agents whose guard reported that it can work."""

    @property
    def wanted(self) -> frozenset[str]:
        """Agents that have a guard now."""
        return frozenset(self._guards)

    @property
    def late(self) -> tuple[str, ...]:
        """Agents that cannot work yet."""
        return tuple(sorted(self.wanted - self.serving))

    @property
    def hopeless(self) -> tuple[CadreError, ...]:
        """Why guards that are late will not come; empty while one may."""
        failures = [self._guards[agent].given_up for agent in self.late]
        return tuple(failure for failure in failures if failure) if all(failures) else ()

    def children(self) -> Iterable[Child]:
        """Views of all guards."""
        return [self._view(agent, guard) for agent, guard in sorted(self._guards.items())]

    def pids(self) -> set[int]:
        """Processes started here."""
        return {guard.pid for guard in self._guards.values() if guard.pid}

    async def reconcile(self) -> None:
        """Add and remove guards until they match the chart; keeps what runs while the controller is away."""
        try:
            rows = await asyncio.to_thread(self._rows)
        except CadreError as error:
            _log.debug("chart not readable now", extra={"reason": error.reason})
            return
        wanted = {key_of(row) for row in rows if should_run(row)}
        self.serving = frozenset(key_of(row) for row in rows if can_work(row, self._since)) & wanted
        await asyncio.gather(*(self._remove(agent) for agent in sorted(set(self._guards) - wanted)))
        for agent in sorted(wanted - set(self._guards)):
            self._add(agent)
        self._changed()

    async def stop(self) -> None:
        """End all guards at once."""
        await asyncio.gather(*(self._remove(agent) for agent in sorted(self._guards)))

    def _rows(self) -> tuple[dict[str, object], ...]:
        try:
            return self._api.agents()
        except CadreError as error:
            if getattr(error, "status", 0) != 401:
                raise
        self._log_in()
        return self._api.agents()

    def _add(self, agent: str) -> None:
        guard = ManagedChild(programs.guard(self._options, agent, os.environ), self._changed)
        self._guards[agent] = guard
        guard.start()
        _log.info("guard started", extra={"agent": agent})

    async def _remove(self, agent: str) -> None:
        guard = self._guards[agent]
        await guard.stop()
        self._guards.pop(agent, None)
        secret = self._options.state_home.bootstrap / agent.replace("/", ".")
        secret.unlink(missing_ok=True)
        _log.info("guard stopped", extra={"agent": agent})

    def _view(self, agent: str, guard: ManagedChild) -> Child:
        view = guard.view()
        if view.phase is Phase.READY and agent not in self.serving:
            return view.model_copy(
                update={"phase": Phase.STARTING, "detail": "process runs; the agent is not ready yet"}
            )
        return view


def key_of(row: dict[str, object]) -> str:
    """The agent's key in a row of `GET /api/v1/agents`."""
    return str(row.get("key") or row.get("agent") or "")


def should_run(row: dict[str, object]) -> bool:
    """Suspended agents, and those that wait for consent, have no process."""
    return bool(key_of(row)) and str(row.get("lifecycle", "Running")) == "Running"


def can_work(row: dict[str, object], since: datetime | None = None) -> bool:
    """Whether its guard said so, at `since` or later: what an earlier guard said last is no news."""
    live = row.get("live")
    if not isinstance(live, dict) or live_state(row) not in READY_STATES or live.get("reason"):
        return False
    return since is None or _moment(live.get("seenAt")) >= since


def _moment(value: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def live_state(row: dict[str, object]) -> str:
    """What the guard last said, if it ever did."""
    live = row.get("live")
    return str(live.get("state", "")) if isinstance(live, dict) else ""
