"""The audit chain inside a flush: heads locked in tenant order, last before COMMIT, so that no two commits
extend one head."""

from collections.abc import Mapping, Sequence
from typing import Any

from cadre_controller.store.work import AuditEntry
from cadre_core.audit import GENESIS, link_hash


async def append(connection: Any, queries: Mapping[str, str], entries: Sequence[AuditEntry]) -> None:
    """Seal the entries onto their tenants' chains in the order given."""
    if not entries:
        return
    tenants = sorted({entry.tenant for entry in entries})
    heads = await _locked(connection, queries, tenants)
    rows = [_seal_next(heads, entry) for entry in entries]
    salts = [(e.tenant, e.event_id, name, salt) for e in entries for name, salt in e.salts.items()]
    if salts:
        await connection.fetch(queries["audit_insert_salts"], *map(list, zip(*salts, strict=True)))
    advanced = [(tenant, *heads[tenant]) for tenant in tenants]
    columns = (*map(list, zip(*rows, strict=True)), *map(list, zip(*advanced, strict=True)))
    await connection.fetch(queries["audit_append"], *columns)


async def _locked(
    connection: Any, queries: Mapping[str, str], tenants: Sequence[str]
) -> dict[str, tuple[int, str]]:
    """The heads, locked; a tenant's first is made here."""
    found = await connection.fetch(queries["audit_lock_heads"], tenants)
    if len(found) < len(tenants):
        await connection.fetch(queries["audit_ensure_heads"], tenants, GENESIS)
        found = await connection.fetch(queries["audit_lock_heads"], tenants)
    return {row["tenant"]: (row["seq"], row["hash"]) for row in found}


def _seal_next(heads: dict[str, tuple[int, str]], entry: AuditEntry) -> tuple[object, ...]:
    seq, previous = heads[entry.tenant]
    link = link_hash(entry.tenant, seq + 1, previous, entry.canonical)
    heads[entry.tenant] = (seq + 1, link)
    return (
        entry.tenant,
        seq + 1,
        entry.event_id,
        previous,
        link,
        entry.canonical,
        entry.at,
        entry.actor_id,
        entry.action,
        entry.target,
        entry.result,
        entry.trace_id,
    )
