"""Runs of workflows: begun by a person, looked at whenever something changed, each look one commit.

A look reads what is recorded, asks the planner what follows, begins what is to begin, and records it. Whoever
crashes in between repeats the look: effects are keyed, and a record is written once.
"""

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from cadre_api.protocol.base import type_json
from cadre_api.protocol.workflows import ExecutionView, WorkflowView
from cadre_controller.errors import CadreError, Conflict, NotFound
from cadre_controller.ports import Actor, Masker
from cadre_controller.services.chart import ChartService
from cadre_controller.services.execution_rows import (
    FINAL,
    Begun,
    channels_of,
    current,
    execution_again,
    execution_update,
    execution_view,
    is_changed,
    record_of,
    step_put,
    workflow_view,
)
from cadre_controller.services.kernel import Facts, Kernel, system_actor
from cadre_controller.services.models import Page
from cadre_controller.services.owners import owner
from cadre_controller.services.run_follower import RunFollower
from cadre_controller.services.run_openings import RunOpenings
from cadre_controller.services.sessions import SessionService
from cadre_controller.services.step_effects import StepEffects
from cadre_controller.services.step_requests import CHANNEL
from cadre_controller.store.pool import Row
from cadre_controller.store.work import AuditEntry, Idempotency, RowMissing, Statement, Work
from cadre_core.canonical import digest
from cadre_core.workflow import (
    Definition,
    Plan,
    Record,
    Run,
    RunState,
    Start,
    StepState,
    plan,
    steps_to_repeat,
)

_LOG = logging.getLogger(__name__)
_LOOKS = 50
"""Looks in a row at one run, while each finds something to do."""
_BUSY = frozenset({429, 503})
_PAUSE = timedelta(seconds=5)


class WorkflowService:
    """Start, list, show, cancel, retry, and go on."""

    def __init__(
        self,
        kernel: Kernel,
        chart: ChartService,
        sessions: SessionService,
        masker: Masker,
        effects: StepEffects,
    ) -> None:
        self._kernel = kernel
        self._chart = chart
        self._openings = RunOpenings(kernel, chart, sessions, masker)
        self._effects = effects
        self._follower = RunFollower(kernel, self._follow)
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def workflows(self, tenant: str) -> tuple[WorkflowView, ...]:
        """Those of the chart, by name."""
        found = self._chart.current(tenant).snapshot.workflows
        return tuple(workflow_view(found[key]) for key in sorted(found))

    def workflow(self, tenant: str, name: str) -> Definition:
        """By key, or by name where only one has it. Raises NotFound(UnknownWorkflow)."""
        found = self._chart.current(tenant).snapshot.workflows
        keys = [key for key in sorted(found) if key == name or key.partition("/")[2] == name]
        if len(keys) != 1:
            known = ", ".join(sorted(found)) or "none"
            raise NotFound("UnknownWorkflow", f"there is no one workflow {name}", f"use one of: {known}")
        return found[keys[0]]

    async def start(
        self, actor: Actor, name: str, given: type_json, *, idempotency_key: str = ""
    ) -> ExecutionView:
        """A durable run, or the one that this key began before.

        Raises NotFound(UnknownWorkflow), InvalidInput(BadParameters), MaskingFailed.
        """
        definition, tenant = self.workflow(actor.tenant, name), actor.tenant
        execution_id = self._kernel.ids.new("exe")
        opening = await self._openings.open(actor, definition, given, execution_id)
        facts = Facts({"workflow": definition.key, "definition": definition.version})
        entries = [self._kernel.audit(actor, "workflow.start", f"execution:{execution_id}", "ok", facts)]
        if opening.over is not None:
            states = {(r.name, r.item): r.state for r in opening.over.records}
            entries.append(self._looked(opening.row, opening.over, states))
        once = None
        if idempotency_key:
            wanted = digest({"actor": actor.id, "workflow": definition.key, "parameters": given})
            scope = f"executions.create:{actor.id}"
            once = Idempotency(tenant, scope, idempotency_key, wanted, {"id": execution_id})
        work = Work(tenant, opening.statements, audit=tuple(entries), idempotency=once)
        outcome = await self._kernel.submit(work)
        if outcome.replayed is not None:
            return await self.get(tenant, str(outcome.replayed["id"]))
        if opening.over is not None:
            return execution_view(opening.row, opening.steps)
        await self._try_on(tenant, execution_id)
        return await self.get(tenant, execution_id)

    async def get(self, tenant: str, execution_id: str) -> ExecutionView:
        """As stored (masked), with its timeline. Raises NotFound(UnknownExecution)."""
        row = await self._row(tenant, execution_id)
        steps = await self._kernel.db.fetch(tenant, "execution_steps", tenant, execution_id)
        return execution_view(row, steps)

    async def list(
        self,
        tenant: str,
        *,
        state: str = "",
        workflow: str = "",
        requester: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> Page[ExecutionView]:
        """Newest first, without timelines; `cursor` is the id the last page ended with."""
        rows = await self._kernel.db.fetch(
            tenant, "execution_list", tenant, state, workflow, requester, cursor, limit + 1
        )
        items = tuple(execution_view(row) for row in rows[:limit])
        return Page(items, items[-1].id if len(rows) > limit else "")

    async def cancel(self, actor: Actor, execution_id: str) -> ExecutionView:
        """Stop what runs and undo what is done. A run that has ended stays as it is. Raises NotFound."""
        row = await self._row(actor.tenant, execution_id)
        if row["state"] in FINAL or row["cancelled"]:
            return await self.get(actor.tenant, execution_id)
        change = execution_again(row, RunState(row["state"]), cancelled=True)
        await self._change(actor, execution_id, "workflow.cancel", (change,), {})
        return await self.get(actor.tenant, execution_id)

    async def retry(self, actor: Actor, execution_id: str, step: str) -> ExecutionView:
        """Run a step of an ended run again, with all that depends on it and all that was undone.

        Raises NotFound(UnknownExecution, UnknownStep), Conflict(NotEnded).
        """
        tenant, row = actor.tenant, await self._row(actor.tenant, execution_id)
        definition = self._openings.definition(row)
        normal = [s.name for s in definition.order]
        if step not in normal:
            raise NotFound("UnknownStep", f"there is no step {step}", f"use one of: {', '.join(normal)}")
        if row["state"] not in FINAL or row["parent_id"]:
            raise Conflict(
                "NotEnded",
                "only a run of its own that has ended can be repeated",
                f"repeat {row['parent_id']}" if row["parent_id"] else "cancel it, or wait",
            )
        rows = current(await self._kernel.db.fetch(tenant, "execution_steps", tenant, execution_id))
        names = steps_to_repeat(definition, _records(rows), step)
        repeat = (tenant, execution_id, ",".join(sorted(names)))
        again = execution_again(row, RunState.RUNNING, round_=row["round"] + 1)
        changes = (again, Statement("execution_steps_repeat", repeat, expect_row=False))
        await self._change(actor, execution_id, "workflow.retry", changes, {"steps": sorted(names)})
        return await self.get(tenant, execution_id)

    async def sweep(self, tenants: Sequence[str]) -> int:
        """Go on with every run in which something changed; returns how many."""
        rows = await self._kernel.db.fetch(tenants, "executions_due", self._kernel.clock.now())
        for row in rows:
            await self._try_on(row["tenant"], row["id"])
        return len(rows)

    async def follow(self) -> None:
        """Go on with runs as soon as what their steps wait for has changed, until cancelled."""
        await self._follower.run()

    async def _follow(self, tenant: str, execution_id: str) -> None:
        """Something happened to what a run waits for, which need not be its end."""
        await self._try_on(tenant, execution_id, if_ready=True)

    async def _try_on(self, tenant: str, execution_id: str, *, if_ready: bool = False) -> None:
        """Go on now; a run that cannot is tried again later, and holds up no other."""
        try:
            if not if_ready or await self._ready(tenant, execution_id):
                await self.go_on(tenant, execution_id)
        except Exception as error:
            reason = error.reason if isinstance(error, CadreError) else type(error).__name__
            _LOG.warning("a workflow cannot go on", extra={"execution": execution_id, "reason": reason})

    async def go_on(self, tenant: str, execution_id: str) -> None:
        """Look at a run as long as there is something to do now; in this process one look at a time."""
        async with self._locks.setdefault((tenant, execution_id), asyncio.Lock()):
            for _ in range(_LOOKS):
                row = await self._row(tenant, execution_id)
                if row["state"] in FINAL:
                    self._follower.forget(tenant, execution_id)
                    return
                if not await self._look(row) and not await self._ready(tenant, execution_id):
                    return

    async def _ready(self, tenant: str, execution_id: str) -> bool:
        """Whether what a run waits for has happened."""
        now = self._kernel.clock.now()
        return bool(await self._kernel.db.fetch(tenant, "execution_ready", tenant, execution_id, now))

    async def _look(self, row: Row) -> bool:
        """One look; returns whether another one is due at once. A look that finds nothing changes nothing."""
        tenant, kernel = row["tenant"], self._kernel
        definition, now = self._openings.definition(row), kernel.clock.now()
        rows = current(await kernel.db.fetch(tenant, "execution_steps", tenant, row["id"]))
        ended = await self._ended(row, rows)
        if await self._adopt(row, definition, rows, ended):
            return True
        records = _records(rows) | {record.key: record for record in ended}
        following = plan(definition, Run(row["params"], records, row["cancelled"]), now)
        await self._stop(row, rows, following)
        begun, busy = await self._begin(row, definition, following)
        statements = tuple(statement for b in begun for statement in b.opening)
        facts = [Begun(record) for record in (*ended, *following.records)]
        # what the planner found out counts more than how the effect ended meanwhile
        latest = {b.record.key: b for b in (*facts, *begun)}
        puts = tuple(step_put(row, definition, b, now) for b in latest.values())
        more = bool(following.stops) or any(b.record.done for b in begun)
        if busy:
            following = _later(following, now + _PAUSE)
        update = execution_update(row, following, now, poked=more and not busy)
        if puts or statements or is_changed(row, following):
            try:
                await kernel.submit(self._work(row, following, (update, *puts, *statements), latest))
            except RowMissing as error:
                if error.query != "execution_update":
                    raise
                return True
        for child in (b.ref for b in begun if b.ref and definition.by_name[b.record.name].workflow):
            self._follower.want(tenant, child)
        self._follower.expect(tenant, row["id"], channels_of(row, definition, rows, latest), following.due)
        return more and not busy

    async def _ended(self, row: Row, rows: Sequence[Row]) -> tuple[Record, ...]:
        running = [found for found in rows if found["state"] == StepState.RUNNING]
        looked = [await self._effects.look(row, found) for found in running]
        return tuple(record for record in looked if record is not None)

    async def _adopt(
        self, row: Row, definition: Definition, rows: Sequence[Row], ended: Sequence[Record]
    ) -> bool:
        """Record what a look began that was cut before it recorded it, so that it is stopped with the run: a
        run that goes on would find it again by beginning it, one that is stopped begins nothing.
        """
        good = {record.key: record for record in ended if record.state is StepState.SUCCEEDED}
        if not row["cancelled"] and len(good) == len(ended):
            return False
        now = self._kernel.clock.now()
        starts = plan(definition, Run(row["params"], _records(rows) | good, False), now).starts
        refs = await asyncio.gather(*(self._effects.begun(row, start) for start in starts))
        puts = tuple(
            step_put(row, definition, Begun(Record(s.step.name, s.item, StepState.RUNNING), ref), now)
            for s, ref in zip(starts, refs, strict=True)
            if ref
        )
        if not puts:
            return False
        unchanged = execution_again(row, RunState(row["state"]), cancelled=row["cancelled"])
        try:
            await self._kernel.submit(Work(row["tenant"], (unchanged, *puts)))
        except RowMissing as error:
            if error.query != "execution_update":
                raise
        return True

    async def _stop(self, row: Row, rows: Sequence[Row], following: Plan) -> None:
        wanted = {record.key for record in following.stops}
        for found in rows:
            if (found["name"], found["item"]) not in wanted or found["state"] != StepState.RUNNING:
                continue
            if found["kind"] == "workflow":
                await self.cancel(system_actor(row["tenant"], "workflows"), found["ref"])
            else:
                await self._effects.stop(row, found)

    async def _begin(
        self, row: Row, definition: Definition, following: Plan
    ) -> tuple[tuple[Begun, ...], bool]:
        """Begin what is to begin; a refusal fails the step, an overload puts it off."""
        begun: list[Begun] = []
        for start in following.starts:
            try:
                actor = owner(self._chart, row["tenant"], row["requester"], row["person"])
                if start.step.workflow is not None:
                    begun.append(await self._child(row, definition, actor, start))
                else:
                    begun.append(await self._effects.begin(row, definition, actor, start))
            except CadreError as refusal:
                if refusal.status in _BUSY:
                    return tuple(begun), True
                begun.append(Begun(_refused(start, refusal)))
        return tuple(begun), False

    async def _child(self, row: Row, definition: Definition, actor: Actor, start: Start) -> Begun:
        """A run that belongs to a step; it begins in the commit that records the step."""
        called = start.step.workflow
        assert called is not None
        other = self.workflow(row["tenant"], definition.key_of(called.workflow_ref))
        key = f"{row['tenant']}\x00{row['id']}\x00{row['round']}\x00{start.step.name}"
        child_id = f"exe_{hashlib.sha256(key.encode()).hexdigest()[:26]}"
        opening = await self._openings.open(actor, other, dict(start.values), child_id, row)
        record = Record(start.step.name, start.item, StepState.RUNNING, due=start.due)
        return Begun(record, child_id, opening.statements)

    async def _change(
        self,
        actor: Actor,
        execution_id: str,
        action: str,
        statements: tuple[Statement, ...],
        data: dict[str, object],
    ) -> None:
        entry = self._kernel.audit(actor, action, f"execution:{execution_id}", "ok", Facts(data))
        try:
            await self._kernel.submit(Work(actor.tenant, statements, audit=(entry,)))
        except RowMissing:
            raise Conflict("StateChanged", "the run went on meanwhile", "try again") from None
        await self._try_on(actor.tenant, execution_id)

    def _work(
        self,
        row: Row,
        following: Plan,
        statements: tuple[Statement, ...],
        latest: Mapping[tuple[str, int], Begun],
    ) -> Work:
        tenant, target = row["tenant"], f"execution:{row['id']}"
        states = {key: b.record.state for key, b in latest.items()}
        changed = states or following.state.value != row["state"]
        entries = (self._looked(row, following, states),) if changed else ()
        begins = any(s.query == "request_insert" for s in statements)
        channels = (f"execution:{tenant}:{row['id']}", *([CHANNEL] if begins else []))
        return Work(tenant, statements, frozenset({target}), audit=entries, notify=channels)

    def _looked(self, row: Row, following: Plan, states: Mapping[tuple[str, int], StepState]) -> AuditEntry:
        """What a look recorded, for the audit."""
        steps = [f"{name}:{item}:{state.value}" for (name, item), state in sorted(states.items())]
        facts = Facts({"steps": steps, "reason": following.reason, "round": row["round"]})
        actor, target = system_actor(row["tenant"], "workflows"), f"execution:{row['id']}"
        return self._kernel.audit(actor, "workflow.look", target, following.state.value, facts)

    async def _row(self, tenant: str, execution_id: str) -> Row:
        row = await self._kernel.db.fetch_one(tenant, "execution_get", tenant, execution_id)
        if row is None:
            raise NotFound("UnknownExecution", f"there is no run {execution_id}", "list the executions")
        return row


def _records(rows: Sequence[Row]) -> dict[tuple[str, int], Record]:
    return {(row["name"], row["item"]): record_of(row) for row in rows}


def _refused(start: Start, refusal: CadreError) -> Record:
    return Record(
        start.step.name,
        start.item,
        StepState.FAILED,
        reason=refusal.reason,
        message=refusal.message,
    )


def _later(following: Plan, at: datetime) -> Plan:
    """The same, to be looked at again then."""
    return replace(following, due=min(at, following.due or at))
