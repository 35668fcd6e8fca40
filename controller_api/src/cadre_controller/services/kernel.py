"""What every service needs, and the few shapes of work they all build: audit entries and lines of a task's
story."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cadre_api.protocol.base import ActorType
from cadre_controller.errors import InvalidInput
from cadre_controller.keystore import KeyStore
from cadre_controller.ports import Actor, Clock, Ids
from cadre_controller.store.committer import Committer
from cadre_controller.store.pool import Database
from cadre_controller.store.wakeups import Wakeups
from cadre_controller.store.work import AuditEntry, Outcome, Statement, Work
from cadre_core.audit import AuditActor, AuditRecord, commitment
from cadre_core.canonical import CanonicalError, canonical_json

SALT_BYTES = 16


def system_actor(tenant: str, part: str) -> Actor:
    """A part of the controller acting by itself."""
    return Actor(tenant, ActorType.SYSTEM, f"system:{part}")


@dataclass(frozen=True, slots=True)
class Facts:
    """The less common fields of an audit record."""

    data: Mapping[str, object] | None = None
    redactions: Mapping[str, int] | None = None
    cost: Mapping[str, object] | None = None
    personal: Mapping[str, str] | None = None
    """Values that enter only as salted commitments; deleting the salts erases them."""
    trace_id: str = ""
    event_id: str = ""


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class Kernel:
    """Store, keys, time and ids."""

    db: Database
    committer: Committer
    keystore: KeyStore
    clock: Clock
    ids: Ids
    wakeups: Wakeups

    async def submit(self, work: Work) -> Outcome:
        """Commit; see Committer.submit."""
        return await self.committer.submit(work)

    def audit(
        self, actor: Actor, action: str, target: str, result: str = "ok", facts: Facts = NO_FACTS
    ) -> AuditEntry:
        """An entry for the actor's tenant, to be sealed when its work commits. Raises InvalidInput."""
        event_id = facts.event_id or self.ids.new("evt")
        at = self.clock.now()
        salts = {name: os.urandom(SALT_BYTES) for name in facts.personal or {}}
        trace_id = facts.trace_id or actor.trace_id
        record = AuditRecord(
            id=event_id,
            ts=at,
            tenant_id=actor.tenant,
            actor=AuditActor(actor.type.value, actor.id, actor.role),
            action=action,
            target=target,
            result=result,
            redactions=dict(facts.redactions or {}),
            cost=dict(facts.cost or {}),
            trace_id=trace_id,
            data=dict(facts.data or {}),
            commitments={name: commitment(salts[name], v) for name, v in (facts.personal or {}).items()},
        )
        try:
            canonical = canonical_json(record.as_json())
        except CanonicalError as error:
            raise InvalidInput(error.reason, f"{action}: {error}", "send plain JSON data") from None
        return AuditEntry(
            canonical, actor.tenant, event_id, at, actor.id, action, target, result, trace_id, salts
        )

    def event(
        self,
        tenant: str,
        task_id: str,
        kind: str,
        summary: str = "",
        data: Mapping[str, object] | None = None,
        *,
        at: datetime | None = None,
        duration_ms: float | None = None,
    ) -> Statement:
        """A line of a task's story; the text is masked by the caller."""
        when = at or self.clock.now()
        row = (tenant, task_id, when, kind, summary, dump(data or {}), duration_ms)
        return Statement("task_event_insert", row)


def dump(value: object) -> str:
    """JSON text for a jsonb column."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def task_channels(tenant: str, task_id: str, others: Sequence[str] = ()) -> tuple[str, ...]:
    """Who wants to know about a change of a task."""
    return (f"task:{tenant}:{task_id}", f"story:{tenant}", *others)


def queue_channel(tenant: str, agent: str) -> str:
    """Wakes the guards that wait for work of this agent."""
    return f"queue:{tenant}:{agent}"
