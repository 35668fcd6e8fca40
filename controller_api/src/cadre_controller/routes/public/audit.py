"""The audit chain: read, exported as stored, checkpointed, added to."""

import json
from collections.abc import AsyncIterator

from aiohttp import web

from cadre_controller.auth.visibility import may_audit
from cadre_controller.errors import Denied
from cadre_controller.routes.models import (
    AuditIngest,
    AuditPage,
    AuditQuery,
    AuditRowBody,
    Checkpoint,
    ExportQuery,
    Ingested,
)
from cadre_controller.routes.public.reader import I, Reader, reader
from cadre_controller.routes.sheets import HEADERS, csv_lines
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.services.models import AuditRow

TABLE = Table(Scope.PERSON)
_COLUMNS = (
    "seq", "ts", "actorType", "actorId", "actorRole", "action", "target", "result", "tokens", "usd",
    "traceId", "redactions", "hash",
)  # fmt: skip


@TABLE.get("/api/v1/audit/events", AuditQuery, AuditPage)
async def events(call: Call[AuditQuery]) -> Answer:
    """Links of the chain that match all conditions."""
    query = call.input
    rows = await call.runtime.services.audit.list(
        _auditor(call).actor.tenant,
        after=query.after,
        limit=query.limit,
        action=query.action,
        target=query.target,
        actor_id=query.actor_id,
        trace_id=query.trace_id,
        since=query.since,
        until=query.until,
    )
    return AuditPage(items=tuple(map(_row, rows)))


@TABLE.get("/api/v1/audit/export", ExportQuery, None)
async def export(call: Call[ExportQuery]) -> Answer:
    """The chain as ndjson (a header, then every link as stored), or as CSV for reading."""
    tenant, audit = _auditor(call).actor.tenant, call.runtime.services.audit
    if call.input.format == "csv":
        return await _sheet(call, audit.export(tenant, after=call.input.after))
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(call.request)
    await response.write(json.dumps(audit.header(tenant)).encode() + b"\n")
    async for row in audit.export(tenant, after=call.input.after):
        await response.write(_row(row).model_dump_json(by_alias=True).encode() + b"\n")
    await response.write_eof()
    return response


async def _sheet(call: Call[ExportQuery], rows: AsyncIterator[AuditRow]) -> web.StreamResponse:
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(call.request)
    await response.write(csv_lines([_COLUMNS]))
    async for row in rows:
        await response.write(csv_lines([_cells(row)]))
    await response.write_eof()
    return response


def _cells(row: AuditRow) -> tuple[object, ...]:
    event = json.loads(row.canonical)
    actor, cost = event["actor"], event.get("cost") or {}
    return (
        row.seq, event["ts"], actor["type"], actor["id"], actor["role"], event["action"], event["target"],
        event["result"], cost.get("tokens"), cost.get("usd"), event.get("traceId"),
        json.dumps(event.get("redactions") or {}, sort_keys=True), row.hash,
    )  # fmt: skip


@TABLE.get("/api/v1/audit/checkpoint", Nothing, Checkpoint)
async def checkpoint(call: Call[Nothing]) -> Answer:
    """A signed statement about the chain's head, to be kept elsewhere."""
    audit = call.runtime.services.audit
    jws = await audit.checkpoint(_auditor(call).actor.tenant)
    return Checkpoint(jws=jws, public_key=dict(audit.public_jwk()))


@TABLE.post("/api/v1/audit/ingest", AuditIngest, Ingested, max_body=256 * 1024)
async def ingest(call: Call[AuditIngest]) -> Answer:
    """Add an event of another system; the same id is added once."""
    who, given = _auditor(call), call.input
    await _refuse_values(call, who.actor.tenant)
    accepted = await call.runtime.services.audit.ingest(
        who.actor, given.id, given.action, given.target, given.result, given.data
    )
    return Ingested(accepted=accepted)


async def _refuse_values(call: Call[AuditIngest], tenant: str) -> None:
    """The chain cannot be cleaned afterwards: what holds a value does not enter it."""
    services, given = call.runtime.services, call.input
    text = json.dumps(given.model_dump(mode="json"), ensure_ascii=False)
    if left := await services.masker.leftovers(text, services.chart.guard_rules(tenant, "")):
        raise Denied("ValuesInEvent", f"the event holds {', '.join(left)}", "send ids instead of values")


def _auditor(call: Call[I]) -> Reader:
    who = reader(call)
    if not may_audit(who.chart.snapshot, who.actor):
        raise Denied(
            "NotAnAuditor", "the audit is for auditors", "ask the head of the root for the role Auditor"
        )
    return who


def _row(row: AuditRow) -> AuditRowBody:
    """`canonical` as text: it is JSON in RFC 8785 form, and its bytes are what the hash covers."""
    return AuditRowBody(seq=row.seq, prev_hash=row.prev_hash, hash=row.hash, canonical=row.canonical.decode())
