"""Human decisions: asked once per exact call, decided by those the chart names at that moment, never twice,
never by nobody."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from cadre_api.protocol.base import type_json
from cadre_api.protocol.guard import ApprovalWait, GuardRules
from cadre_api.protocol.tasks import ApprovalKind, ApprovalState, ApprovalView, DecisionCreate
from cadre_controller.errors import Conflict, Denied, InvalidInput, LeaseLost, NotFound
from cadre_controller.ports import Actor, Masker
from cadre_controller.services import panels
from cadre_controller.services.approval_links import unknown_link, use_link
from cadre_controller.services.approval_rows import ApprovalDraft, Verdict, approval_view, final_statements
from cadre_controller.services.chart import ChartService
from cadre_controller.services.edits import Edit
from cadre_controller.services.freezer import Freezer
from cadre_controller.services.kernel import Facts, Kernel, dump, queue_channel, system_actor, task_channels
from cadre_controller.services.models import HeldTask, Intent, Page, ToolApprovalRequest
from cadre_controller.services.panels import Question, Requirement
from cadre_controller.services.permits import Permits
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work
from cadre_core.model import ApprovalRule

_RACES = 10
_STEP_TIMEOUT = 8 * 3600
_NOTED = {"permit_insert": "permit", "approval_edit": "editedHash"}
_AT = {"permit_insert": 1, "approval_edit": 3}
"""What the audit says of a decision besides, and where its statement has it."""


class PermitUsedUp(Exception):  # noqa: N818 - a finding, named as it is
    """Another call took the permit's last use."""


class ApprovalService:
    """Request, decide, wait, escalate."""

    def __init__(self, kernel: Kernel, chart: ChartService, masker: Masker, freezer: Freezer) -> None:
        self._kernel = kernel
        self._chart = chart
        self._masker = masker
        self._freezer = freezer
        self.permits = Permits(kernel)

    async def request_tool(self, held: HeldTask, request: ToolApprovalRequest) -> ApprovalView:
        """The approval of this exact call of this task: found again, or asked for now. Raises LeaseLost."""
        found = await self.find_tool(held, request)
        if found is not None:
            if found.state is ApprovalState.PENDING:
                await self._hold_task(held, found.id)
            return found
        draft = ApprovalDraft(
            kind=ApprovalKind.TOOL_CALL,
            session_id=held.session_id,
            task_id=held.id,
            agent=held.agent,
            node=self._node_of(held.tenant, held.agent),
            requester=held.requester,
            tool=request.tool,
            arguments=request.arguments,
            arguments_hash=request.arguments_hash,
            ordinal=request.ordinal,
            requirements=panels.requirements_of(request.rules, self._kernel.clock.now()),
        )
        permit = await self.permits.usable(held, request, self._answering(held.tenant, draft))
        try:
            await self._ask(held.tenant, draft, held, permit)
        except PermitUsedUp:
            await self._ask(held.tenant, draft, held)
        again = await self.find_tool(held, request)
        if again is None:
            raise LeaseLost(held.id)
        return again

    def _answering(self, tenant: str, draft: ApprovalDraft) -> list[str]:
        """Opaque ids of those who could answer every rule today, somewhere in its line."""
        live = self._chart.current(tenant)
        question = self._question(tenant, draft.node, draft.requester)
        lines = [
            {person for level in panels.chain(question, requirement) for person in level.persons}
            for requirement in draft.requirements
        ]
        able = set.intersection(*lines) if lines else set()
        return [
            opaque
            for opaque, person in live.persons_by_id.items()
            if person in able and not panels.barred(live.program, person, draft.node)
        ]

    async def find_tool(self, held: HeldTask, request: ToolApprovalRequest) -> ApprovalView | None:
        """The approval of this exact call, if it was ever asked for."""
        key = (held.tenant, held.id, request.tool, request.arguments_hash, request.ordinal)
        row = await self._kernel.db.fetch_one(held.tenant, "approval_of_tool", *key)
        return await self.get(held.tenant, row["id"]) if row is not None else None

    async def request_outcome(self, held: HeldTask, intent: Intent) -> ApprovalView:
        """Ask the node's head what to do about a call cut in the middle; ends the lease. Raises LeaseLost."""
        now = self._kernel.clock.now()
        rule = ApprovalRule("ReportingLine", "Head", "", 1, False, _STEP_TIMEOUT, "Escalate")
        draft = ApprovalDraft(
            kind=ApprovalKind.OUTCOME_UNKNOWN,
            session_id=held.session_id,
            task_id=held.id,
            agent=held.agent,
            node=self._node_of(held.tenant, held.agent),
            requester=held.requester,
            tool=intent.tool,
            arguments_hash=intent.arguments_hash,
            ordinal=intent.ordinal,
            requirements=panels.requirements_of([("builtin/outcome-unknown", rule)], now),
        )
        return await self.get(held.tenant, await self._ask(held.tenant, draft, held))

    async def request_step(
        self,
        actor: Actor,
        session_id: str,
        step_id: str,
        approver_role: str,
        payload: type_json,
        *,
        requester: str = "",
    ) -> ApprovalView:
        """Ask for a named step of a session, once per step; the payload is masked here.

        `requester`: the person for whom an agent asks. Raises Denied(StepChanged) when the step was asked
        with another payload: the answer to one text is no answer to another.
        """
        tenant = actor.tenant
        node, agent = await self._step_place(actor, session_id)
        masked = (await self._masker.mask_json(tenant, session_id, payload, self._rules(tenant, agent))).value
        arguments: type_json = masked if isinstance(masked, dict) else {"payload": masked}
        rule = ApprovalRule("ReportingLine", approver_role or "Head", "", 1, True, _STEP_TIMEOUT, "Escalate")
        draft = ApprovalDraft(
            kind=ApprovalKind.STEP,
            session_id=session_id,
            step_id=step_id,
            agent=agent,
            node=node,
            requester=requester or actor.id,
            arguments=arguments,
            requirements=panels.requirements_of([("builtin/step", rule)], self._kernel.clock.now()),
        )
        return await self.request_once(tenant, draft)

    async def request_once(self, tenant: str, draft: ApprovalDraft) -> ApprovalView:
        """The approval of a step of a session, found again or asked for now; its arguments are masked.

        Raises Denied(StepChanged).
        """
        key = (tenant, draft.session_id, draft.step_id)
        row = await self._kernel.db.fetch_one(tenant, "approval_of_step", *key)
        if row is None:
            await self._ask(tenant, draft, None)
            row = await self._kernel.db.fetch_one(tenant, "approval_of_step", *key)
        if row is None:
            raise Conflict("StateChanged", "the approval could not be created", "retry")
        stored = await self._row(tenant, row["id"])
        if stored["arguments"] != draft.arguments:
            raise Denied(
                "StepChanged", f"the step {draft.step_id} was asked with another text", "use another step id"
            )
        return self._view(stored)

    async def of_step(self, tenant: str, session_id: str, step_id: str) -> str:
        """The id of the approval that was asked for this step; empty = none."""
        row = await self._kernel.db.fetch_one(tenant, "approval_of_step", tenant, session_id, step_id)
        return str(row["id"]) if row is not None else ""

    async def withdraw(self, actor: Actor, approval_id: str) -> None:
        """Nobody needs the answer any more; one that was given stays. Raises NotFound."""
        row = await self._row(actor.tenant, approval_id)
        if row["state"] != ApprovalState.PENDING:
            return
        verdict = Verdict(ApprovalState.EXPIRED, _requirements(row), "Withdrawn")
        with suppress(RowMissing):
            await self._commit(actor, row, verdict, "approval.withdraw", (), {})

    async def get(self, tenant: str, approval_id: str) -> ApprovalView:
        """As stored (masked), with who may decide now. Raises NotFound."""
        return self._view(await self._row(tenant, approval_id))

    async def list(
        self,
        tenant: str,
        *,
        state: ApprovalState | None = None,
        task_id: str = "",
        session_id: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> Page[ApprovalView]:
        """Newest first; `cursor` is the id the last page ended with."""
        limit = min(limit, 200)
        rows = await self._kernel.db.fetch(
            tenant, "approval_list", tenant, state or "", task_id, session_id, cursor, limit + 1
        )
        items = tuple(self._view(row) for row in rows[:limit])
        return Page(items, items[-1].id if len(rows) > limit else "")

    async def decide(
        self,
        actor: Actor,
        approval_id: str,
        body: DecisionCreate,
        *,
        link: str = "",
        edit: Edit | None = None,
    ) -> ApprovalView:
        """One person's decision, by a `link` that it uses up or by themselves, with the arguments that were
        asked for or with an `edit`. A repetition of the same vote has no effect.

        Raises NotFound, Denied(NotAnApprover, SeparationOfDuties), Conflict(AlreadyDecided, AlreadyVoted,
        ArgumentsChanged, ApprovalExpired).
        """
        if body.decision not in (ApprovalState.APPROVED, ApprovalState.DENIED):
            raise InvalidInput("BadDecision", "decision must be Approved or Denied", "send one of the two")
        if body.always is not None and body.decision is not ApprovalState.APPROVED:
            raise InvalidInput("AlwaysAllowRefused", "a refusal allows nothing", "leave `always` out")
        if edit is not None and (body.decision is not ApprovalState.APPROVED or body.always is not None):
            raise InvalidInput("EditRefused", "changed arguments are for one call", "approve this call alone")
        for _ in range(_RACES):
            row = await self._row(actor.tenant, approval_id)
            if self._settled(actor, row, body):
                return self._view(row)
            verdict = self._verdict(actor, row, body)
            try:
                await self._commit_vote(actor, row, body, verdict, link, edit)
            except RowMissing as error:
                if error.query == "link_use":
                    raise unknown_link() from None
                continue
            return await self.get(actor.tenant, approval_id)
        raise Conflict("StateChanged", "the approval is being decided by others", "read it again")

    async def wait(self, tenant: str, approval_id: str, wait_seconds: float) -> ApprovalWait:
        """The state, as soon as it is decided or the time is up. Raises NotFound."""

        async def look() -> Row | None:
            row = await self._row(tenant, approval_id)
            return row if row["state"] != ApprovalState.PENDING else None

        channels = (f"approval:{tenant}:{approval_id}",)
        row = await self._kernel.wakeups.until(channels, look, wait_seconds)
        if row is None:
            return ApprovalWait(id=approval_id, state=ApprovalState.PENDING)
        return ApprovalWait(id=approval_id, state=ApprovalState(row["state"]), reason=row["reason"])

    async def sweep(self, tenants: Sequence[str]) -> int:
        """Escalate what is overdue, expire it at the top, and drop what nobody waits for any more; what a
        frozen agent asked for stays.
        """
        frozen = self._freezer.all_agents(tenants)
        rows = await self._kernel.db.fetch(tenants, "approval_due", self._kernel.clock.now(), frozen)
        for row in rows:
            await self._overdue(row)
        return len(rows)

    async def _overdue(self, row: Row) -> None:
        question = self._question_of(row)
        requirements = _requirements(row)
        moved = panels.escalate(question, requirements)
        verdict = Verdict(ApprovalState.PENDING, moved or requirements, "Escalated")
        if moved is None:
            verdict = Verdict(ApprovalState.EXPIRED, requirements, "ApprovalTimeout")
        elif row["expires_at"] > question.now:
            verdict = Verdict(ApprovalState.EXPIRED, requirements, "TaskEnded")
        actor = system_actor(row["tenant"], "approvals")
        action = "approval.escalate" if verdict.state is ApprovalState.PENDING else "approval.expire"
        try:
            await self._commit(actor, row, verdict, action, (), {})
        except RowMissing:
            return

    def _settled(self, actor: Actor, row: Row, body: DecisionCreate) -> bool:
        """True when this very vote was counted before; raises when another state forbids it."""
        mine = next((vote for vote in row["votes"] if vote["person"] == actor.id), None)
        if mine is not None and mine["decision"] == body.decision:
            return True
        if row["state"] != ApprovalState.PENDING:
            raise Conflict("AlreadyDecided", f"it is {row['state']} already", "nothing is left to do")
        if mine is not None:
            raise Conflict("AlreadyVoted", "you have decided already", "one person decides once")
        if body.arguments_hash and body.arguments_hash != row["arguments_hash"]:
            raise Conflict("ArgumentsChanged", "the hash is not the one of this approval", "read it again")
        return False

    def _verdict(self, actor: Actor, row: Row, body: DecisionCreate) -> Verdict:
        """What the vote leads to; raises Denied when it is not this person's to give."""
        question = self._question_of(row)
        requirements = _requirements(row)
        if not actor.person or actor.person not in panels.approvers(question, requirements):
            if actor.person and actor.person in question.requesters:
                raise Denied("SeparationOfDuties", "who asks does not decide", "ask an approver named there")
            raise Denied("NotAnApprover", "you are not among those who may decide now", "see `approvers`")
        if panels.escalate(question, requirements) is None:
            raise Conflict("ApprovalExpired", "the time to decide is over", "ask the requester to repeat it")
        why = panels.barred(self._chart.current(actor.tenant).program, actor.person, row["node"])
        if why:
            raise Denied("PolicyDenied", why, "ask another approver")
        if body.decision is ApprovalState.DENIED:
            return Verdict(ApprovalState.DENIED, requirements, "DeniedByApprover")
        after = panels.approve(question, requirements, actor.person, actor.id)
        done = all(requirement.met for requirement in after)
        return Verdict(ApprovalState.APPROVED if done else ApprovalState.PENDING, after, "")

    async def _commit_vote(
        self,
        actor: Actor,
        row: Row,
        body: DecisionCreate,
        verdict: Verdict,
        link: str,
        edit: Edit | None,
    ) -> None:
        tenant, now = actor.tenant, self._kernel.clock.now()
        comment = ""
        if body.comment:
            rules = self._rules(tenant, row["agent"])
            comment = (await self._masker.mask(tenant, row["session_id"], body.comment, rules)).text
        vote = Statement("approval_vote", (tenant, row["id"], actor.id, body.decision.value, comment, now))
        personal = {"comment": body.comment} if body.comment else {}
        votes: tuple[Statement, ...] = (vote,)
        if body.always is not None:
            votes = (vote, self.permits.grant(actor, row, body.always, verdict.requirements))
        if edit is not None:
            panels.require_alone(actor.id, verdict.requirements, "EditRefused")
            votes = (*votes, edit.statement(tenant, row["id"]))
        if link:
            votes = (use_link(actor, link, now), *votes)
        await self._commit(actor, row, verdict, "approval.decide", votes, personal, body.decision.value)

    async def _commit(
        self,
        actor: Actor,
        row: Row,
        verdict: Verdict,
        action: str,
        statements: tuple[Statement, ...],
        personal: dict[str, str],
        decision: str = "",
    ) -> None:
        kernel, tenant = self._kernel, row["tenant"]
        now = kernel.clock.now()
        stored = dump([requirement.to_json() for requirement in verdict.requirements])
        due = panels.next_due(verdict.requirements, now)
        update = Statement(
            "approval_update",
            (tenant, row["id"], row["version"], verdict.state.value, stored, due, verdict.reason, now),
        )
        about = {"decision": decision, "state": verdict.state.value}
        about |= {_NOTED[s.query]: str(s.row[_AT[s.query]]) for s in statements if s.query in _NOTED}
        facts = Facts(_about(row) | about, personal=personal)
        entry = kernel.audit(actor, action, f"approval:{row['id']}", verdict.state.value, facts)
        effects: tuple[Statement, ...] = ()
        if verdict.state is not ApprovalState.PENDING:
            effects = final_statements(row, verdict, now, timedelta(hours=1))
        if row["task_id"]:
            data = {"approval": row["id"], "state": verdict.state.value, "by": actor.id, "tool": row["tool"]}
            kind = "ApprovalDecided" if action == "approval.decide" else "ApprovalEscalated"
            effects += (
                kernel.event(tenant, row["task_id"], kind, verdict.reason or verdict.state.value, data),
            )
        channels = (f"approval:{tenant}:{row['id']}", queue_channel(tenant, row["agent"]))
        await kernel.submit(
            Work(
                tenant,
                (*statements, update, *effects),
                frozenset({f"approval:{row['id']}", f"task:{row['task_id']}"}),
                audit=(entry,),
                notify=task_channels(tenant, row["task_id"], channels),
            )
        )

    async def _ask(self, tenant: str, draft: ApprovalDraft, held: HeldTask | None, permit: str = "") -> str:
        """Commit the request, the task's waiting and the audit together; returns its id. A loser of a race
        changes nothing."""
        kernel, approval_id = self._kernel, self._kernel.ids.new("apr")
        now = kernel.clock.now()
        question = self._question(tenant, draft.node, draft.requester)
        possible = all(panels.can_be_met(question, r) for r in draft.requirements)
        state = ApprovalState.PENDING if possible else ApprovalState.DENIED
        why = "" if possible else "NoApprover"
        used: tuple[Statement, ...] = ()
        if permit:
            state, why = ApprovalState.APPROVED, f"Permit {permit}"
            used = (self.permits.use(tenant, permit, now),)
        row = draft.row(tenant, approval_id, state.value, now, why)
        waiting = self._waiting(held, approval_id, draft, state)
        statements = [*used, Statement("approval_insert", row), *waiting]
        about = {"approvers": len(panels.approvers(question, draft.requirements)), "permit": permit}
        facts = Facts(draft.facts() | about)
        actor = system_actor(tenant, "approvals")
        entry = kernel.audit(actor, "approval.request", f"approval:{approval_id}", state.value, facts)
        channels = (f"approval:{tenant}:{approval_id}",)
        work = Work(
            tenant,
            tuple(statements),
            frozenset({f"task:{draft.task_id}"} if draft.task_id else ()),
            audit=(entry,),
            notify=task_channels(tenant, draft.task_id, channels),
        )
        try:
            await kernel.submit(work)
        except RowMissing as error:
            if error.query == "permit_use":
                raise PermitUsedUp from None
            if error.query != "approval_insert":
                raise LeaseLost(draft.task_id) from None
        return approval_id

    def _waiting(
        self, held: HeldTask | None, approval_id: str, draft: ApprovalDraft, state: ApprovalState
    ) -> Sequence[Statement]:
        if held is None:
            return []
        kernel, now = self._kernel, self._kernel.clock.now()
        data = {"approval": approval_id, "tool": draft.tool, "rules": [r.rule_id for r in draft.requirements]}
        told = kernel.event(held.tenant, held.id, "ApprovalRequested", draft.tool, data)
        key = (held.tenant, held.id, held.fence, approval_id)
        if draft.kind is ApprovalKind.OUTCOME_UNKNOWN:
            message = f"{draft.tool} was cut in the middle; a person decides whether it runs again"
            unknown = kernel.event(held.tenant, held.id, "OutcomeUnknown", draft.tool, data)
            return [Statement("task_outcome_unknown", (*key, message, now)), unknown, told]
        if state is not ApprovalState.PENDING:
            return [told]
        return [Statement("task_waiting", (*key, now)), told]

    async def _hold_task(self, held: HeldTask, approval_id: str) -> None:
        now = self._kernel.clock.now()
        statement = Statement("task_waiting", (held.tenant, held.id, held.fence, approval_id, now))
        work = Work(
            held.tenant,
            (statement,),
            frozenset({f"task:{held.id}"}),
            notify=task_channels(held.tenant, held.id),
        )
        try:
            await self._kernel.submit(work)
        except RowMissing:
            raise LeaseLost(held.id) from None

    async def _row(self, tenant: str, approval_id: str) -> Row:
        row = await self._kernel.db.fetch_one(tenant, "approval_get", tenant, approval_id)
        if row is None:
            raise NotFound("UnknownApproval", f"there is no approval {approval_id}", "list the approvals")
        return row

    def _view(self, row: Row) -> ApprovalView:
        requirements = _requirements(row)
        who = panels.approvers(self._question_of(row), requirements) if row["state"] == "Pending" else ()
        return approval_view(row, requirements, who, self._chart.current(row["tenant"]).persons_by_id)

    def _question_of(self, row: Row) -> Question:
        return self._question(row["tenant"], row["node"], row["requester"])

    def _question(self, tenant: str, node: str, requester: str) -> Question:
        return panels.question_of(self._chart.current(tenant), node, requester, self._kernel.clock.now())

    def _node_of(self, tenant: str, agent: str) -> str:
        return self._chart.agent(tenant, agent).node

    def _rules(self, tenant: str, agent: str) -> GuardRules:
        return self._chart.guard_rules(tenant, agent)

    async def _step_place(self, actor: Actor, session_id: str) -> tuple[str, str]:
        """Node and agent a step belongs to: the asking agent's, else the session's first agent, else the
        root."""
        row = await self._kernel.db.fetch_one(actor.tenant, "session_get", actor.tenant, session_id)
        if row is None:
            raise NotFound("UnknownSession", f"there is no session {session_id}", "create it first")
        snapshot = self._chart.current(actor.tenant).snapshot
        for participant in (actor.id, *row["participants"]):
            agent = participant.removeprefix("agent:")
            if agent in snapshot.agents:
                return snapshot.agents[agent].node, agent
        return snapshot.root, ""


def _requirements(row: Row) -> tuple[Requirement, ...]:
    return tuple(Requirement.from_json(stored) for stored in row["requirements"])


def _about(row: Row) -> dict[str, object]:
    return {
        "kind": row["kind"],
        "session": row["session_id"],
        "task": row["task_id"],
        "step": row["step_id"],
        "tool": row["tool"],
        "argumentsHash": row["arguments_hash"],
        "rules": [stored["ruleId"] for stored in row["requirements"]],
    }
