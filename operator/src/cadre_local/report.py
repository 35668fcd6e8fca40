"""`cadre status` as data: what the supervisor recorded, what the controller says, and what really answers."""

import os
import socket
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from cadre_api.protocol.base import type_json
from cadre_api.protocol.tasks import ApprovalState, ApprovalView
from cadre_local.client.api import CadreApi
from cadre_local.client.usage import tokens_today
from cadre_local.errors import CadreError
from cadre_local.objects import dig
from cadre_local.objects import key_of as key_of_document
from cadre_local.paths import Home
from cadre_local.state import Child, RunState
from cadre_local.supervise.fleet import key_of, should_run

PROBE_TIMEOUT = 0.5
"""Seconds to reach a provider; enough for a handshake, short enough for a status."""


def build(home: Home, state: RunState, api: CadreApi | None, why_not: str = "") -> type_json:
    """Everything about an installation; `api` is None when the controller does not answer."""
    children = {child.name: child for child in state.children}
    return {
        "phase": state.phase.value,
        "supervisor": state.supervisor.pid,
        "home": str(home.root),
        "version": state.cadre_version,
        "ports": state.ports.model_dump(),
        "processes": [_process(child) for child in state.children if not child.name.startswith("guard:")],
        "database": {
            "kind": state.database,
            "listens": "unix socket only" if state.database == "embedded" else "external",
        },
        "keystore": keystore_kind(home, os.environ),
        "goose": {"path": state.goose, "version": state.goose_version},
        "model": "scripted (no model is asked)" if state.scripted else "providers of the chart",
        "controller": "answers" if api else f"does not answer: {why_not}",
        "providers": _providers(api) if api else [],
        "waitingApprovals": len(_waiting(api)) if api else 0,
        "nodes": _nodes(api) if api else [],
        "agents": _agents(api, children) if api else _guards_only(state.children),
    }


def keystore_kind(home: Home, environ: Mapping[str, str]) -> str:
    """How the keystore is sealed; never more than is true."""
    if not home.keystore.exists():
        return "not made yet"
    if environ.get("CADRE_KEYSTORE_PASSPHRASE"):
        return "file, sealed by a passphrase"
    if home.keystore_key.exists():
        return "file, sealed by a key file beside it (0600): protects backups, not against this user"
    return "file, sealed by a passphrase"


def provider_url(document: type_json) -> str:
    """Base URL of a ModelProvider document."""
    spec = document.get("spec")
    for dialect in ("openai", "ollama", "anthropic", "gemini"):
        settings = spec.get(dialect) if isinstance(spec, dict) else None
        if isinstance(settings, dict):
            return str(settings.get("baseURL") or settings.get("baseUrl") or "")
    return ""


def reachable(url: str) -> bool:
    """Whether something accepts a connection there; says nothing about credentials."""
    parts = urlsplit(url)
    if not parts.hostname:
        return False
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname, port), timeout=PROBE_TIMEOUT):
            return True
    except OSError:
        return False


def _process(child: Child) -> type_json:
    return {
        "name": child.name,
        "phase": child.phase.value,
        "pid": child.process.pid if child.process else None,
        "restarts": child.restarts,
        "detail": child.detail,
        "log": child.log,
    }


def _providers(api: CadreApi) -> list[type_json]:
    found = []
    for document in _documents(api, "ModelProvider"):
        url = provider_url(document)
        found.append({"name": key_of_document(document), "url": url, "reachable": reachable(url)})
    return found


def _nodes(api: CadreApi) -> list[type_json]:
    return [
        {
            "key": key_of_document(document),
            "type": dig(document, "spec", "type"),
            "title": dig(document, "spec", "title"),
            "parent": _parent(document),
        }
        for document in _documents(api, "OrgNode")
    ]


def _parent(document: type_json) -> str:
    """Key of the node above; empty at the root."""
    name = dig(document, "spec", "parentRef", "name")
    place = dig(document, "spec", "parentRef", "namespace") or dig(document, "metadata", "namespace")
    return f"{place}/{name}" if name else ""


def _waiting(api: CadreApi) -> Sequence[ApprovalView]:
    try:
        return api.approvals(ApprovalState.PENDING.value)
    except CadreError:
        return ()


def _documents(api: CadreApi, kind: str) -> Sequence[type_json]:
    try:
        return api.resources(kind)
    except CadreError:
        return ()


def _agents(api: CadreApi, children: Mapping[str, Child]) -> list[type_json]:
    tokens = tokens_today(api)
    return [_agent(row, children) | {"tokens": tokens.get(key_of(row), 0)} for row in api.agents()]


def _agent(row: type_json, children: Mapping[str, Child]) -> type_json:
    child = children.get(f"guard:{key_of(row)}")
    live = row.get("live") if should_run(row) else None
    known: type_json = dict(live) if isinstance(live, dict) else {}
    return {
        "key": key_of(row),
        "node": row.get("node", ""),
        "profile": row.get("profile", ""),
        "title": row.get("title", ""),
        "lifecycle": row.get("lifecycle", ""),
        "phase": known.get("state") or (child.phase.value if child else row.get("lifecycle", "")),
        "tasks": {"running": known.get("running", 0), "queued": known.get("queued", 0)},
        "boundary": known.get("boundary", {}),
        "reason": known.get("reason", ""),
        "restarts": child.restarts if child else 0,
        "pid": child.process.pid if child and child.process else None,
    }


def _guards_only(children: Sequence[Child]) -> list[type_json]:
    return [
        {"key": child.name.removeprefix("guard:"), "phase": child.phase.value, "restarts": child.restarts}
        for child in children
        if child.name.startswith("guard:")
    ]
