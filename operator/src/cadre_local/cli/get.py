"""`cadre get KIND`: resources of the chart with their live state."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click
from rich.console import Console

from cadre_api.protocol.base import type_json
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import CadreError
from cadre_local.render.tables import print_approvals, print_table, print_tasks
from cadre_local.report import dig, name_of
from cadre_local.supervise.fleet import key_of, live_state, should_run

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
    "profiles": "roleprofiles",
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
}
Row = tuple[object, ...]
COLUMNS: dict[str, tuple[tuple[str, ...], Callable[[type_json], Row]]] = {
    "orgnodes": (
        ("NAME", "TYPE", "TITLE", "PARENT"),
        lambda d: (
            name_of(d),
            dig(d, "spec", "type"),
            dig(d, "spec", "title"),
            dig(d, "spec", "parentRef", "name"),
        ),
    ),
    "roleprofiles": (
        ("NAME", "TITLE", "SKILLS"),
        lambda d: (name_of(d), dig(d, "spec", "title"), _names(d, "skills")),
    ),
    "policies": (
        ("NAME", "RULES", "ENFORCEMENT"),
        lambda d: (name_of(d), _names(d, "rules"), dig(d, "spec", "enforcement") or "Enforce"),
    ),
    "persons": (
        ("NAME", "DISPLAY NAME", "CLEARANCE"),
        lambda d: (name_of(d), dig(d, "spec", "displayName"), _joined(d, "clearance")),
    ),
    "modelproviders": (("NAME", "MODELS"), lambda d: (name_of(d), _names(d, "models"))),
    "toolservers": (
        ("NAME", "TOOLS", "CLEARANCE"),
        lambda d: (name_of(d), _names(d, "tools"), _joined(d, "clearance")),
    ),
    "workflows": (("NAME", "STEPS"), lambda d: (name_of(d), _names(d, "steps"))),
}


@click.command(cls=Command)
@click.argument(
    "kind", metavar="KIND", type=click.Choice([*KINDS, *ALIASES, "tasks", "approvals"], case_sensitive=False)
)
@click.argument("name", required=False)
@pass_session
def get(session: Session, kind: str, name: str | None) -> None:
    """List resources with their live state.

    KIND: orgnodes, roleprofiles, agents, policies, persons, modelproviders, toolservers, workflows, tasks,
    approvals.
    """
    api = session.api()
    plural, now = ALIASES.get(kind, kind), datetime.now(UTC)
    if plural == "tasks":
        tasks = (api.task(name),) if name else api.tasks()
        session.emit({"items": tasks}, lambda console: print_tasks(console, tasks, now))
    elif plural == "approvals":
        waiting = (api.approval(name),) if name else api.approvals()
        session.emit({"items": waiting}, lambda console: print_approvals(console, waiting, now))
    elif plural == "agents":
        rows = _named(api.agents(), name, key_of)
        session.emit({"items": rows}, lambda console: _print_agents(console, rows))
    else:
        documents = _named(api.resources(KINDS[plural]), name, name_of)
        session.emit({"items": documents}, lambda console: _print_documents(console, plural, documents))


def _phase(row: type_json) -> str:
    """What a guard that is gone said last is no news."""
    return (live_state(row) if should_run(row) else "") or str(row.get("lifecycle", ""))


def _named(items: Sequence[type_json], name: str | None, key: Callable[[type_json], str]) -> list[type_json]:
    found = [item for item in items if not name or key(item) == name or key(item).endswith(f"/{name}")]
    if name and not found:
        known = ", ".join(sorted(key(item).rpartition("/")[2] for item in items))
        raise CadreError("NotFound", f"there is none named {name}", f"use one of {known}" if known else "")
    return found


def _print_agents(console: Console, rows: Sequence[type_json]) -> None:
    cells = [
        (
            key_of(row),
            row.get("node"),
            row.get("profile"),
            _phase(row),
            row.get("owner"),
        )
        for row in rows
    ]
    print_table(console, ("NAME", "NODE", "PROFILE", "PHASE", "OWNER"), cells, "no agents")


def _print_documents(console: Console, plural: str, documents: Sequence[type_json]) -> None:
    columns, cells = COLUMNS[plural]
    print_table(console, columns, [cells(document) for document in documents], f"no {plural}")


def _names(document: type_json, field: str) -> str:
    spec = document.get("spec")
    items = spec.get(field) if isinstance(spec, dict) else None
    return (
        ", ".join(dig(item, "name") or dig(item, "tool") for item in items) if isinstance(items, list) else ""
    )


def _joined(document: type_json, field: str) -> str:
    spec = document.get("spec")
    items = spec.get(field) if isinstance(spec, dict) else None
    return ", ".join(str(item) for item in items) if isinstance(items, list) else ""
