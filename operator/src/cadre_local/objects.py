"""Resources as plain documents: names, fields, conditions; the same for a file, a desktop and a cluster."""

import json
from collections.abc import Iterable, Iterator, Sequence

from cadre_api.protocol.base import type_json

API_VERSION = "cadre.dev/v1alpha1"
"""Repeated here, as are the plurals, so that a listing does not load every schema."""
KINDS = {
    "orgnodes": "OrgNode",
    "roleprofiles": "RoleProfile",
    "agents": "Agent",
    "policies": "Policy",
    "persons": "Person",
    "modelproviders": "ModelProvider",
    "toolservers": "ToolServer",
    "workflows": "Workflow",
}
ALIASES = {
    "nodes": "orgnodes",
    "node": "orgnodes",
    "profiles": "roleprofiles",
    "profile": "roleprofiles",
    "policy": "policies",
    "people": "persons",
    "models": "modelproviders",
    "tools": "toolservers",
    "cdnode": "orgnodes",
    "cdprofile": "roleprofiles",
    "cdagent": "agents",
    "cdpolicy": "policies",
    "cdperson": "persons",
    "cdmodel": "modelproviders",
    "cdtool": "toolservers",
    "cdflow": "workflows",
} | {plural.removesuffix("s"): plural for plural in KINDS if plural != "policies"}
"""What people write for a kind -> plural; singular, short names, `agents.cadre.dev`."""


def plural_of(word: str) -> str:
    """The plural that is meant; empty when none is."""
    text = word.lower().removesuffix(".cadre.dev")
    return text if text in KINDS else ALIASES.get(text, "")


def key_of(document: type_json) -> str:
    """`namespace/name`."""
    name, namespace = dig(document, "metadata", "name"), dig(document, "metadata", "namespace")
    return f"{namespace}/{name}" if namespace else name


def dig(document: object, *path: str) -> str:
    """A nested text value; empty when anything on the way is missing."""
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return "" if document is None else str(document)


def items_of(document: object, *path: str) -> list[type_json]:
    """A nested list of objects; empty when anything on the way is missing."""
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return [item for item in document if isinstance(item, dict)] if isinstance(document, list | tuple) else []


def condition(document: type_json, kind: str) -> type_json:
    """A condition of the status; empty when it is not there."""
    return next((c for c in items_of(document, "status", "conditions") if c.get("type") == kind), {})


def trouble(document: type_json) -> str:
    """What is wrong with an object in one line: the first condition that is not as it should be.

    A controller that is away is one trouble of the whole, not one of each object.
    """
    for kind, bad in _TROUBLES.items():
        found = condition(document, kind)
        if found.get("status") == bad:
            message = str(found.get("message") or "")
            return f"{found.get('reason')}: {message}" if message else str(found.get("reason"))
    return ""


_TROUBLES = {
    "Accepted": "False",
    "Stalled": "True",
    "AwaitingApproval": "True",
    "EgressSealed": "False",
    "GuardReady": "False",
    "Ready": "False",
}
"""Condition -> the status that is worth telling, the cause before its consequence."""


def as_documents(objects: Iterable[type_json]) -> list[tuple[str, str]]:
    """Objects as (file, text) for the controller; JSON is YAML."""
    return [("chart", "\n---\n".join(json.dumps(item) for item in objects))]


def names(items: Sequence[type_json], field: str) -> Iterator[str]:
    """One field of many objects."""
    return (dig(item, field) for item in items)
