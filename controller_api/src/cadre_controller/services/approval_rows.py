"""Approvals as rows and as views, and what a final decision does to the task that waits for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cadre_api.protocol.base import type_json
from cadre_api.protocol.tasks import ApprovalKind, ApprovalState, ApprovalView, Vote
from cadre_controller.services import panels
from cadre_controller.services.kernel import dump
from cadre_controller.services.panels import Requirement
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Statement


@dataclass(frozen=True, slots=True)
class Verdict:
    """The approval after a vote or a deadline."""

    state: ApprovalState
    requirements: tuple[Requirement, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDraft:
    """An approval to be asked for; `arguments` are masked."""

    kind: ApprovalKind
    session_id: str
    node: str
    requester: str
    requirements: tuple[Requirement, ...]
    task_id: str = ""
    step_id: str = ""
    agent: str = ""
    tool: str = ""
    arguments: type_json = field(default_factory=dict)
    arguments_hash: str = ""
    ordinal: int = 0

    def row(
        self, tenant: str, approval_id: str, state: str, now: datetime, reason: str
    ) -> tuple[object, ...]:
        """Columns of `approval_insert`."""
        return (
            tenant, approval_id, self.kind.value, state, self.session_id, self.task_id, self.step_id,
            self.agent,
            self.node, self.requester, self.tool, dump(self.arguments), self.arguments_hash, self.ordinal,
            dump([r.to_json() for r in self.requirements]), now, panels.next_due(self.requirements, now),
            reason,
        )  # fmt: skip

    def facts(self) -> dict[str, object]:
        """What the audit keeps of the request: hashes and ids, no arguments."""
        return {
            "kind": self.kind.value,
            "session": self.session_id,
            "task": self.task_id,
            "step": self.step_id,
            "tool": self.tool,
            "argumentsHash": self.arguments_hash,
            "rules": [r.rule_id for r in self.requirements],
        }


def approval_view(
    row: Row, requirements: tuple[Requirement, ...], approvers: tuple[str, ...], persons: Mapping[str, str]
) -> ApprovalView:
    """An approval for the wire; votes show chart keys where the person is still in the chart."""
    votes = tuple(
        Vote(
            person=persons.get(vote["person"], vote["person"]),
            decision=ApprovalState(vote["decision"]),
            comment=vote["comment"],
            at=vote["at"],
        )
        for vote in row["votes"]
    )
    return ApprovalView(
        id=row["id"],
        tenant=row["tenant"],
        kind=ApprovalKind(row["kind"]),
        state=ApprovalState(row["state"]),
        session_id=row["session_id"],
        task_id=row["task_id"],
        step_id=row["step_id"],
        agent=row["agent"],
        tool=row["tool"],
        arguments=row["arguments"],
        arguments_hash=row["arguments_hash"],
        edited=row["edited"],
        edited_hash=row["edited_hash"],
        rules=tuple(r.rule_id for r in requirements),
        approvers=approvers,
        quorum=max((r.rule.quorum for r in requirements), default=1),
        votes=votes,
        requested_at=row["requested_at"],
        expires_at=row["expires_at"],
        decided_at=row["decided_at"],
        reason=row["reason"],
    )


def final_statements(row: Row, verdict: Verdict, now: datetime, grace: timedelta) -> tuple[Statement, ...]:
    """Let the waiting task go on, in the same commit as the decision; a task that has ended meanwhile stays
    as it is."""
    tenant, task_id, approval = row["tenant"], row["task_id"], row["id"]
    if not task_id:
        return ()
    if row["kind"] == ApprovalKind.ROUTE_TASK:
        return (_entry(row, verdict, now),)
    if row["kind"] != ApprovalKind.OUTCOME_UNKNOWN:
        return (Statement("task_resume", (tenant, task_id, approval, now), expect_row=False),)
    if verdict.state is ApprovalState.APPROVED:
        intent = (tenant, task_id, row["tool"], row["arguments_hash"], row["ordinal"])
        rerun = (tenant, task_id, approval, now + grace, now)
        return (
            Statement("task_outcome_rerun", rerun, expect_row=False),
            Statement("intent_approve", intent, expect_row=False),
        )
    message = "nobody confirmed that the interrupted call may run again"
    return (Statement("task_outcome_refused", (tenant, task_id, approval, message, now), expect_row=False),)


def _entry(row: Row, verdict: Verdict, now: datetime) -> Statement:
    """A held task is queued, or refused for good."""
    key = (row["tenant"], row["task_id"], row["id"])
    if verdict.state is ApprovalState.APPROVED:
        return Statement("task_release", (*key, now), expect_row=False)
    message = "the person asked did not agree" if verdict.state is ApprovalState.DENIED else "nobody agreed"
    reason = "ApprovalDenied" if verdict.state is ApprovalState.DENIED else "ApprovalExpired"
    return Statement("task_refuse", (*key, reason, message, now), expect_row=False)
