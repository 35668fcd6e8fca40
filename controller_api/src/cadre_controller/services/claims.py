"""What an agent may work on, leased to one of its guards.

A claim costs one look, one commit and one reading, however many tasks it takes.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cadre_api.protocol.guard import ClaimResponse, Lease, ShardView
from cadre_api.protocol.messages import MessageView
from cadre_controller.errors import Conflict
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.chart import ChartService
from cadre_controller.services.freezer import Freezer
from cadre_controller.services.kernel import Facts, Kernel, task_channels
from cadre_controller.services.messages import MessageService
from cadre_controller.services.models import LiveChart
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work, together

LOOKS = 3
"""How often a claim looks again when other guards of the agent took all that it saw."""
REMEMBERED = 20_000
_ENDING = ("tenant", "id", "agent", "session_id", "trace_id", "parent_task_id", "group_id")
"""What an ending needs to know of its task."""


@dataclass(frozen=True, slots=True)
class Leased:
    """What this process leased: enough to end it without reading it; the end itself checks the fence."""

    row: Row
    instance: str
    carries: bool
    """Messages went along with it."""


class Claims:
    """Leases tasks."""

    def __init__(
        self, kernel: Kernel, chart: ChartService, freezer: Freezer, messages: MessageService, ttl: timedelta
    ) -> None:
        self._kernel = kernel
        self._chart = chart
        self._freezer = freezer
        self._messages = messages
        self._ttl = ttl
        self._claiming: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._leased: OrderedDict[tuple[str, str], Leased] = OrderedDict()

    async def now(self, identity: AgentIdentity, capacity: int, messages: int) -> ClaimResponse:
        """What there is at this moment. Raises Frozen, Conflict(InstanceRetired)."""
        async with self._claiming[identity.tenant, identity.agent]:
            self._freezer.require_running(identity)
            seen = await self._look(identity)
            most = capacity if seen["work"] else 0
            leases = await self._leases(identity, most, carry=seen["mail"] and not messages)
            pushed = await self._messages.deliver(identity, messages) if messages and seen["mail"] else ()
        return ClaimResponse(leases=leases, cancelled=tuple(seen["cancelled"]), messages=pushed)

    def leased(self, identity: AgentIdentity, task_id: str, fence: int) -> Leased | None:
        """The lease as this process gave it to this very instance, once; it may have ended since."""
        found = self._leased.pop((identity.tenant, task_id), None)
        if found is None or (found.row["agent"], found.instance) != (identity.agent, identity.instance):
            return None
        return found if found.row["fence"] == fence else None

    async def _look(self, identity: AgentIdentity) -> Row:
        """Whether the instance is its replica's latest, its cancelled tasks (named once) and whether there is
        work or mail. Raises Conflict(InstanceRetired)."""
        tenant, kernel = identity.tenant, self._kernel
        key = (tenant, identity.agent, identity.instance)
        row = await kernel.db.fetch_one(tenant, "claim_look", *key, kernel.clock.now())
        if row is None or not row["active"]:
            raise Conflict("InstanceRetired", "a newer instance of this agent runs", "end this process")
        if row["cancelled"]:
            seen = tuple(
                Statement("task_cancel_seen", (tenant, i), expect_row=False) for i in row["cancelled"]
            )
            await kernel.submit(Work(tenant, seen))
        return row

    async def _leases(self, identity: AgentIdentity, capacity: int, *, carry: bool) -> tuple[Lease, ...]:
        tenant, agent = identity.tenant, identity.agent
        if not capacity or self._chart.agent(tenant, agent).lifecycle != "Running":
            return ()
        places = slots(self._chart.current(tenant), identity)
        for _ in range(LOOKS):
            now = self._kernel.clock.now()
            rows = await self._kernel.db.fetch(tenant, "task_claimable", tenant, agent, now, capacity)
            won = await self._won(identity, rows, places, now)
            if won or not rows or places:
                break
        return await self._told(identity, won, now + self._ttl, carry=carry) if won else ()

    async def _won(
        self, identity: AgentIdentity, rows: Sequence[Row], places: tuple[Statement, ...], now: datetime
    ) -> list[Row]:
        """Those of the tasks that are leased now: all in one go, or each for itself where one is gone or a
        node has no place for all."""
        works = [self._lease(identity, row, places, now) for row in rows]
        if len(works) > 1 and not places:
            try:
                await self._kernel.submit(together(works))
            except RowMissing:
                pass
            else:
                return list(rows)
        outcomes = await asyncio.gather(*map(self._alone, works))
        return [row for row, ours in zip(rows, outcomes, strict=True) if ours]

    async def _alone(self, work: Work) -> bool:
        """Lease one task, unless somebody else was faster."""
        try:
            await self._kernel.submit(work)
        except RowMissing:
            return False
        return True

    def _lease(self, identity: AgentIdentity, row: Row, places: tuple[Statement, ...], now: datetime) -> Work:
        kernel, tenant, task_id = self._kernel, identity.tenant, row["id"]
        lease = (tenant, task_id, row["fence"], identity.instance, now + self._ttl, now)
        data = {"attempt": row["attempt"] + 1, "fence": row["fence"] + 1, "instance": identity.instance}
        facts = Facts(data, trace_id=row["trace_id"])
        return Work(
            tenant,
            (
                *places,
                Statement("task_lease", lease),
                kernel.event(tenant, task_id, "Leased", row["agent"], data),
            ),
            frozenset({f"task:{task_id}"}),
            audit=(kernel.audit(identity.actor, "task.lease", f"task:{task_id}", facts=facts),),
            notify=task_channels(tenant, task_id),
        )

    async def _told(
        self, identity: AgentIdentity, rows: Sequence[Row], expires: datetime, *, carry: bool
    ) -> tuple[Lease, ...]:
        """The leases with all that the agent may see of them."""
        shards = await self._visible(identity, {row["session_id"] for row in rows})
        notes: Mapping[str, Sequence[MessageView]] = {}
        if carry:
            notes = await self._messages.carry(identity, rows)
        found = []
        for row in rows:
            task_id, own = row["id"], notes.get(row["id"], ())
            given = {"fence": row["fence"] + 1, "attempt": row["attempt"] + 1}
            ending = given | {name: row[name] for name in _ENDING}
            self._remember(identity, ending, carries=bool(own))
            found.append(
                Lease(
                    task_id=task_id,
                    session_id=row["session_id"],
                    fence=given["fence"],
                    attempt=given["attempt"],
                    prompt=row["prompt"],
                    context=row["context"],
                    shards=(*shards[row["session_id"]], *map(_note, own)),
                    expires_at=expires,
                    deadline_at=row["deadline_at"],
                    traceparent=row["traceparent"] or _traceparent(row["trace_id"], task_id),
                )
            )
        return tuple(found)

    def _remember(self, identity: AgentIdentity, row: Row, *, carries: bool) -> None:
        self._leased[identity.tenant, row["id"]] = Leased(row, identity.instance, carries)
        self._leased.move_to_end((identity.tenant, row["id"]))
        while len(self._leased) > REMEMBERED:
            self._leased.popitem(last=False)

    async def _visible(self, identity: AgentIdentity, sessions: set[str]) -> dict[str, list[ShardView]]:
        """The shards of each session whose class the agent is cleared for."""
        tenant = identity.tenant
        clearance = self._chart.agent(tenant, identity.agent).guard.clearance | {"PUBLIC"}
        found: defaultdict[str, list[ShardView]] = defaultdict(list)
        for s in await self._kernel.db.fetch(tenant, "shards_of", tenant, sorted(sessions)):
            if s["data_class"] in clearance:
                view = ShardView(id=s["id"], author=s["author"], data_class=s["data_class"], text=s["body"])
                found[s["session_id"]].append(view)
        return found


def _note(message: MessageView) -> ShardView:
    """A message as a part of the task's context."""
    text = (
        f"A note from {message.sender} ({message.severity.value}); no answer is expected.\n\n{message.body}"
    )
    return ShardView(id=message.id, author=message.sender, data_class="INTERNAL", text=text)


def slots(live: LiveChart, identity: AgentIdentity) -> tuple[Statement, ...]:
    """The places a lease takes up on the way to the root, where a node limits what runs at the same time."""
    snapshot, found = live.snapshot, []
    for key in snapshot.agents[identity.agent].path:
        most = snapshot.nodes[key].running
        if most is not None:
            agents = ",".join(sorted(a.key for a in snapshot.agents.values() if key in a.path))
            found += [
                Statement("slot_lock", (identity.tenant, key), expect_row=False),
                Statement("slot_take", (identity.tenant, key, most, agents)),
            ]
    return tuple(found)


def _traceparent(trace_id: str, task_id: str) -> str:
    """W3C trace context for a task whose creator sent none; the parent span id is derived from the task."""
    return f"00-{trace_id}-{task_id.encode().hex()[-16:]}-01" if trace_id else ""
