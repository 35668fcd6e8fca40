"""Chart objects as rows: plain JSON, except that whole Person documents are sealed under the tenant's map
key."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cadre_api.protocol.base import type_json
from cadre_controller.keystore import TenantKeys
from cadre_controller.services.kernel import dump
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Statement
from cadre_core.bundle import bundle_payload
from cadre_core.canonical import digest
from cadre_core.load import Resources
from cadre_core.model import Snapshot

SEALED_KINDS = frozenset({"Person"})


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A document and the file it came from."""

    document: type_json
    file: str


Objects: TypeAlias = Mapping[tuple[str, str], StoredObject]
"""(kind, key) -> object."""


def read_objects(resources: Resources) -> Objects:
    """Every object in its canonical JSON form."""
    return {
        (kind, key): StoredObject(
            model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"status"}),
            resources.where(kind, key, "").file,
        )
        for kind, models in resources.objects.items()
        for key, model in models.items()
    }


def write_objects(tenant: str, keys: TenantKeys, before: Objects, after: Objects) -> Iterator[Statement]:
    """Only what changed: a chart of thousands applies in the size of its difference."""
    for kind, key in before.keys() - after.keys():
        yield Statement("chart_object_delete", (tenant, kind, key))
    for (kind, key), found in after.items():
        if before.get((kind, key)) == found:
            continue
        text = dump(found.document)
        plain: str | None = None
        sealed: bytes | None = keys.seal(text.encode(), _context(tenant, kind, key))
        if kind not in SEALED_KINDS:
            plain, sealed = text, None
        yield Statement("chart_object_put", (tenant, kind, key, found.file, plain, sealed))


def document_of(tenant: str, keys: TenantKeys, row: Row) -> type_json:
    """The document of a stored row. Raises KeystoreError when it was sealed with another key."""
    if row["sealed"] is None:
        document: type_json = row["document"]
        return document
    opened: type_json = json.loads(keys.unseal(row["sealed"], _context(tenant, row["kind"], row["key"])))
    return opened


def bundle_digests(snapshot: Snapshot) -> dict[str, str]:
    """Agent -> digest of what its bundle says."""
    return {agent: digest(bundle_payload(snapshot, agent)) for agent in snapshot.agents}


def _context(tenant: str, kind: str, key: str) -> str:
    return f"chart\x00{tenant}\x00{kind}\x00{key}"
