"""Approvers hear of what waits for them: at once, again as the time runs out, and by webhook or mail."""

from collections.abc import Sequence
from datetime import timedelta

from cadre_api.protocol.messages import MessageType, Severity
from cadre_controller.services import mails, webhooks
from cadre_controller.services.approval_links import new_link
from cadre_controller.services.approvals import ApprovalService
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Kernel, dump
from cadre_controller.services.messages import channel_of
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work

MOST = 3
"""Times that an approver is told of one level: at once, at half and at three quarters of the time."""


class Reminders:
    """A message in each approver's inbox and, where a webhook is set, a notification for it."""

    def __init__(self, kernel: Kernel, chart: ChartService, approvals: ApprovalService) -> None:
        self._kernel = kernel
        self._chart = chart
        self._approvals = approvals
        self.webhook = False
        """Whether somebody outside is told too."""
        self.mail = False
        """Whether each approver with an address is told by mail too."""

    async def sweep(self, tenants: Sequence[str]) -> int:
        """Tell the approvers of everything that is due; returns how many approvals."""
        rows = await self._kernel.db.fetch(tenants, "approvals_unreminded", self._kernel.clock.now())
        told = [await self._remind(row) for row in rows]
        return sum(told)

    async def _remind(self, row: Row) -> bool:
        kernel, tenant = self._kernel, row["tenant"]
        now = kernel.clock.now()
        left = max(row["expires_at"] - now, timedelta(0))
        following = (
            now + left / 2 if row["reminders"] + 1 < MOST else row["expires_at"] + timedelta(minutes=1)
        )
        key = (tenant, row["id"], row["reminders"], following)
        statements = [Statement("approval_remind", key)]
        ids = {person: i for i, person in self._chart.current(tenant).persons_by_id.items()}
        people = [ids[p] for p in (await self._approvals.get(tenant, row["id"])).approvers if p in ids]
        statements += [self._message(row, person) for person in people]
        if self.webhook:
            statements += self._notification(row, people)
        if self.mail:
            statements += self._mails(row, people)
        channels = tuple(channel_of(tenant, person) for person in people)
        try:
            await kernel.submit(Work(tenant, tuple(statements), notify=channels))
        except RowMissing:
            return False
        return True

    def _message(self, row: Row, person: str) -> Statement:
        now = self._kernel.clock.now()
        about = row["tool"] or row["step_id"] or row["kind"]
        text = f"Approval {row['id']} waits for you: {row['agent'] or 'somebody'} asks for {about}."
        severity = Severity.INFO if row["reminders"] == 0 else Severity.WARNING
        message = (
            row["tenant"], self._kernel.ids.new("msg"), "system:approvals", person, "",
            MessageType.APPROVAL.value, severity.value, row["session_id"], text, now, row["expires_at"], "",
        )  # fmt: skip
        return Statement("message_insert", message)

    def _notification(self, row: Row, people: Sequence[str]) -> list[Statement]:
        tenant, ends = row["tenant"], row["expires_at"]
        links = {person: new_link(tenant, row["id"], person, ends) for person in people}
        body = {
            "type": "approval.requested" if row["reminders"] == 0 else "approval.reminder",
            "tenant": row["tenant"],
            "approvalId": row["id"],
            "kind": row["kind"],
            "agent": row["agent"],
            "tool": row["tool"],
            "taskId": row["task_id"],
            "argumentsHash": row["arguments_hash"],
            "approvers": list(people),
            "links": {person: code for person, (code, _) in links.items()},
            "expiresAt": row["expires_at"].isoformat(),
        }
        note = (tenant, self._kernel.ids.new("ntf"), webhooks.KIND, "approvals", dump(body))
        kept = Statement("notification_insert", (*note, self._kernel.clock.now()))
        return [kept, *(statement for _, statement in links.values())]

    def _mails(self, row: Row, people: Sequence[str]) -> list[Statement]:
        """One for each approver who has an address, each with a link of its own."""
        live, tenant = self._chart.current(row["tenant"]), row["tenant"]
        statements: list[Statement] = []
        for person in people:
            if not live.snapshot.persons[live.persons_by_id[person]].email:
                continue
            code, link = new_link(tenant, row["id"], person, row["expires_at"])
            body = {
                "approvalId": row["id"],
                "agent": row["agent"],
                "about": row["tool"] or row["step_id"] or row["kind"],
                "reminder": row["reminders"] > 0,
                "link": code,
                "expiresAt": row["expires_at"].isoformat(),
            }
            note = (tenant, self._kernel.ids.new("ntf"), mails.KIND, person, dump(body))
            statements += [Statement("notification_insert", (*note, self._kernel.clock.now())), link]
        return statements
