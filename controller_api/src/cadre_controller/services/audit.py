"""The audit as others use it: append, read, export as stored, sign checkpoints, take in what guards and
others report."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

import jwt

from cadre_api.protocol.base import type_json
from cadre_api.protocol.guard import GuardEvent
from cadre_controller.errors import InvalidInput, NotFound
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.guard_reports import STORY, reported
from cadre_controller.services.kernel import Facts, Kernel, task_channels
from cadre_controller.services.models import AuditRow
from cadre_controller.store.work import RowMissing, Statement, Work
from cadre_core.audit import GENESIS, merkle_root

FORMAT = "cadre-audit/1"
EXPORT_PAGE = 1000
OURS = frozenset(
    {"acp", "agent", "approval", "audit", "bundle", "chart", "checkpoint"}
    | {"guard", "mesh", "model", "pseudonym", "session", "task", "tool"}
)
"""First words of the actions that the controller and its guards write themselves."""


class AuditService:
    """One chain per tenant."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def public_jwk(self) -> dict[str, object]:
        """The key that checkpoints are verified with (RFC 8037)."""
        return public_jwk(self._kernel.keystore.audit_key().public_key().public_bytes_raw())

    async def append(
        self,
        actor: Actor,
        action: str,
        target: str,
        result: str = "ok",
        *,
        data: type_json | None = None,
        redactions: Mapping[str, int] | None = None,
        trace_id: str = "",
        personal: Mapping[str, str] | None = None,
    ) -> None:
        """Append one event by itself; `personal` values enter only as salted commitments."""
        facts = Facts(data, redactions, None, personal, trace_id)
        entry = self._kernel.audit(actor, action, target, result, facts)
        await self._kernel.submit(Work(actor.tenant, audit=(entry,)))

    async def list(
        self,
        tenant: str,
        *,
        after: int = 0,
        limit: int = 200,
        action: str = "",
        target: str = "",
        actor_id: str = "",
        trace_id: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[AuditRow, ...]:
        """Events in chain order; empty filters match everything."""
        rows = await self._kernel.db.fetch(
            tenant,
            "audit_list",
            tenant,
            after,
            action,
            target,
            actor_id,
            trace_id,
            since,
            until,
            min(limit, 1000),
        )
        return tuple(AuditRow(r["seq"], r["prev_hash"], r["hash"], r["canonical"]) for r in rows)

    async def export(self, tenant: str, *, after: int = 0) -> AsyncIterator[AuditRow]:
        """The chain as stored, page by page."""
        while page := await self.list(tenant, after=after, limit=EXPORT_PAGE):
            for row in page:
                yield row
            after = page[-1].seq

    def header(self, tenant: str) -> dict[str, object]:
        """First line of an export."""
        return {"format": FORMAT, "tenant": tenant, "publicKey": self.public_jwk()}

    async def checkpoint(self, tenant: str) -> str:
        """JWS (EdDSA, RFC 8037) over {tenant, seq, head, root, at}; `root` covers every event since the last
        checkpoint.

        Raises NotFound when the chain is empty.
        """
        kernel = self._kernel
        head = await kernel.db.fetch_one(tenant, "audit_head", tenant)
        if head is None:
            raise NotFound("AuditEmpty", "there is no audit event yet", "do something first")
        last = await kernel.db.fetch_one(tenant, "checkpoint_latest", tenant)
        if last is not None and last["seq"] == head["seq"]:
            return str(last["jws"])
        since = last["seq"] if last is not None else 0
        hashes = await kernel.db.fetch(tenant, "audit_hashes", tenant, since, head["seq"])
        now = kernel.clock.now()
        payload = {
            "format": FORMAT,
            "tenant": tenant,
            "since": since,
            "seq": head["seq"],
            "head": head["hash"],
            "root": merkle_root([row["hash"] for row in hashes]),
            "at": now.isoformat(),
        }
        jws = jwt.api_jws.encode(json.dumps(payload).encode(), kernel.keystore.audit_key(), algorithm="EdDSA")
        statement = Statement("checkpoint_insert", (tenant, head["seq"], jws, now))
        await kernel.submit(Work(tenant, (statement,)))
        return jws

    async def checkpoint_all(self, tenants: Sequence[str]) -> None:
        """Sign where every tenant's chain stands now."""
        for tenant in tenants:
            await self.checkpoint(tenant)

    async def ingest(
        self, actor: Actor, event_id: str, action: str, target: str, result: str, data: type_json
    ) -> bool:
        """An event of somebody else's, once per id; False when it was known.

        Raises InvalidInput(ReservedAction) for an action in our own words: it would read as our history.
        """
        if action.partition(".")[0] in OURS:
            raise InvalidInput(
                "ReservedAction", f"actions {action.partition('.')[0]}.* are Cadre's own", "name your system"
            )
        known = f"{actor.id}/{event_id}"
        entry = self._kernel.audit(actor, action, target, result, Facts(data, event_id=known))
        statement = Statement("audit_unknown", (actor.tenant, known))
        work = Work(actor.tenant, (statement,), frozenset({f"audit:{known}"}), audit=(entry,))
        try:
            await self._kernel.submit(work)
        except RowMissing:
            return False
        return True

    async def guard_events(self, identity: AgentIdentity, events: tuple[GuardEvent, ...]) -> int:
        """What a guard reports, once per event id: audit, and lines of the tasks' stories. Returns how many
        were new."""
        tenant = identity.tenant
        ids = {f"{identity.agent}/{event.id}": event for event in events}
        own = await self._own_tasks(identity, {event.task_id for event in events})
        ids = {key: reported(event, own) for key, event in ids.items()}
        rows = await self._kernel.db.fetch(tenant, "audit_known", tenant, list(ids))
        known = {row["event_id"] for row in rows}
        fresh = [(i, event) for i, event in ids.items() if i not in known]
        # Submitted in order and at once: they share a commit and keep their order in the story.
        return sum(await asyncio.gather(*(self._one_guard_event(identity, i, event) for i, event in fresh)))

    async def _own_tasks(self, identity: AgentIdentity, task_ids: set[str]) -> frozenset[str]:
        """Those that are tasks of the agent that reports: nobody tells another's story."""
        tenant, db = identity.tenant, self._kernel.db
        rows = [
            await db.fetch_one(tenant, "task_get", tenant, task_id) for task_id in sorted(task_ids) if task_id
        ]
        return frozenset(row["id"] for row in rows if row is not None and row["agent"] == identity.agent)

    async def _one_guard_event(self, identity: AgentIdentity, event_id: str, event: GuardEvent) -> int:
        tenant = identity.tenant
        facts = Facts(event.data, event.redactions, event_id=event_id)
        target = f"task:{event.task_id}" if event.task_id else f"agent:{identity.agent}"
        entry = self._kernel.audit(identity.actor, event.action, target, event.result, facts)
        statements = [Statement("audit_unknown", (tenant, event_id))]
        channels: tuple[str, ...] = ()
        if event.task_id and event.action in STORY:
            data = {**event.data, "redactions": event.redactions, "result": event.result}
            line = self._kernel.event(
                tenant, event.task_id, STORY[event.action], event.action, data, duration_ms=event.duration_ms
            )
            statements.append(Statement(line.query, line.row, expect_row=False))
            channels = task_channels(tenant, event.task_id)
        work = Work(
            tenant, tuple(statements), frozenset({f"audit:{event_id}"}), audit=(entry,), notify=channels
        )
        try:
            await self._kernel.submit(work)
        except RowMissing:
            return 0
        return 1


def public_jwk(raw: bytes) -> dict[str, object]:
    """JWK of an Ed25519 public key (RFC 8037)."""
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": text, "alg": "EdDSA", "use": "sig"}


__all__ = ["FORMAT", "GENESIS", "AuditService", "public_jwk"]
