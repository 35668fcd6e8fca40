"""Tasks that come again: a sealed request and a cron expression; each run is permitted and routed anew."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import ValidationError

from cadre_api.protocol.tasks import TaskCreate
from cadre_controller.errors import CadreError, Conflict, InvalidInput, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.chart import ChartService
from cadre_controller.services.intake import Origin
from cadre_controller.services.kernel import Facts, Kernel
from cadre_controller.services.models import Page, Schedule
from cadre_controller.services.owners import owner
from cadre_controller.services.tasks import TaskService
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work
from cadre_core.cron import CronError, next_due, parse_cron, time_zone


class ScheduleService:
    """Create, list, pause, delete, run."""

    def __init__(self, kernel: Kernel, chart: ChartService, tasks: TaskService) -> None:
        self._kernel = kernel
        self._chart = chart
        self._tasks = tasks

    async def create(self, actor: Actor, name: str, cron: str, zone: str, task: TaskCreate) -> Schedule:
        """A schedule of the actor's own. Raises InvalidInput(BadSchedule), Conflict(NameTaken)."""
        if task.not_before is not None or task.session_id or task.dry_run:
            raise InvalidInput(
                "BadSchedule", "task: notBefore, sessionId and dryRun do not repeat", "leave them out"
            )
        # refused now rather than at the first run
        await self._tasks.create(actor, task.model_copy(update={"dry_run": True}))
        kernel, tenant, schedule_id = self._kernel, actor.tenant, self._kernel.ids.new("sch")
        now = kernel.clock.now()
        sealed = kernel.keystore.tenant(tenant).seal(
            task.model_dump_json(by_alias=True).encode(), _context(tenant, schedule_id)
        )
        row = (
            tenant, schedule_id, name, cron, zone, actor.person, actor.id, sealed, due_after(cron, zone, now),
            now,
        )  # fmt: skip
        facts = Facts({"cron": cron, "timeZone": zone})
        entry = kernel.audit(actor, "task.schedule", f"schedule:{schedule_id}", "ok", facts)
        try:
            await kernel.submit(Work(tenant, (Statement("schedule_insert", row),), audit=(entry,)))
        except RowMissing:
            raise Conflict("NameTaken", f"there is a schedule {name}", "use another name") from None
        return await self.get(tenant, schedule_id)

    async def get(self, tenant: str, schedule_id: str) -> Schedule:
        """One schedule, without its task. Raises NotFound."""
        return _schedule(await self._row(tenant, schedule_id))

    async def list(self, tenant: str, *, limit: int = 50, cursor: str = "") -> Page[Schedule]:
        """Newest first."""
        rows = await self._kernel.db.fetch(tenant, "schedule_list", tenant, cursor, limit + 1)
        items = tuple(_schedule(row) for row in rows[:limit])
        return Page(items, items[-1].id if len(rows) > limit else "")

    async def set_active(self, actor: Actor, schedule_id: str, active: bool) -> Schedule:
        """Pause it, or let it go on with its next time. Raises NotFound."""
        row = await self._row(actor.tenant, schedule_id)
        due = due_after(row["cron"], row["time_zone"], self._kernel.clock.now())
        state = "Active" if active else "Paused"
        await self._change(actor, "schedule_state", (actor.tenant, schedule_id, state, due), state)
        return await self.get(actor.tenant, schedule_id)

    async def delete(self, actor: Actor, schedule_id: str) -> None:
        """Forget it; tasks it made stay. Raises NotFound."""
        await self._change(actor, "schedule_delete", (actor.tenant, schedule_id), "Deleted")

    async def run_due(self, tenants: Sequence[str]) -> int:
        """Make the tasks that are due, once per time also with several controllers; missed times count as
        one."""
        rows = await self._kernel.db.fetch(tenants, "schedules_due", self._kernel.clock.now())
        for row in rows:
            await self._run(row)
        return len(rows)

    async def _run(self, row: Row) -> None:
        tenant, schedule_id, now = row["tenant"], row["id"], self._kernel.clock.now()
        task_id, reason = "", ""
        try:
            actor = owner(self._chart, tenant, row["actor"], row["person"])
            key = f"schedule:{schedule_id}:{row['next_at'].isoformat()}"
            made = await self._tasks.create(
                actor, self._task(row), idempotency_key=key, origin=Origin(schedule_id)
            )
            task_id = made.view.id
        except CadreError as refusal:
            if refusal.status in (429, 503):
                return
            reason = refusal.reason
        due = due_after(row["cron"], row["time_zone"], now)
        ran = Statement("schedule_ran", (tenant, schedule_id, row["version"], due, now, task_id, reason))
        try:
            await self._kernel.submit(Work(tenant, (ran,)))
        except RowMissing:
            return

    def _task(self, row: Row) -> TaskCreate:
        keys = self._kernel.keystore.tenant(row["tenant"])
        opened = keys.unseal(row["sealed"], _context(row["tenant"], row["id"]))
        try:
            return TaskCreate.model_validate_json(opened)
        except ValidationError as error:
            raise InvalidInput(
                "BadSchedule", "its task is not understood any more", "make it anew"
            ) from error

    async def _change(self, actor: Actor, query: str, row: tuple[object, ...], state: str) -> None:
        target = f"schedule:{row[1]}"
        entry = self._kernel.audit(actor, "task.schedule", target, state)
        try:
            await self._kernel.submit(Work(actor.tenant, (Statement(query, row),), audit=(entry,)))
        except RowMissing:
            raise _unknown(str(row[1])) from None

    async def _row(self, tenant: str, schedule_id: str) -> Row:
        row = await self._kernel.db.fetch_one(tenant, "schedule_get", tenant, schedule_id)
        if row is None:
            raise _unknown(schedule_id)
        return row


def due_after(cron: str, zone: str, now: datetime) -> datetime:
    """The next time. Raises InvalidInput(BadSchedule)."""
    try:
        return next_due(parse_cron(cron), time_zone(zone), now)
    except CronError as error:
        raise InvalidInput(
            "BadSchedule", str(error), "e.g. cron 0 9 * * 1-5, timeZone Europe/Berlin"
        ) from error


def _schedule(row: Row) -> Schedule:
    return Schedule(
        id=row["id"],
        name=row["name"],
        state=row["state"],
        cron=row["cron"],
        time_zone=row["time_zone"],
        owner=row["actor"],
        next_at=row["next_at"],
        last_at=row["last_at"],
        last_task=row["last_task"],
        last_reason=row["last_reason"],
        created_at=row["created_at"],
    )


def _unknown(schedule_id: str) -> NotFound:
    return NotFound("UnknownSchedule", f"there is no schedule {schedule_id}", "list the schedules")


def _context(tenant: str, schedule_id: str) -> str:
    return f"schedule\x00{tenant}\x00{schedule_id}"
