"""Columns of each kind of resource: few, the most asked-for first; with a live state where there is one."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console

from cadre_api.protocol.base import type_json
from cadre_local.objects import condition, dig, items_of, key_of
from cadre_local.render.tables import age, print_table

Cell = Callable[[type_json], str]


def print_resources(
    console: Console, plural: str, documents: Sequence[type_json], *, live: bool, wide: bool, short: bool
) -> None:
    """Print a listing; `live` = with what a cluster says about them, `short` = without the namespace."""
    columns = [("NAME", _name if short else key_of), *COLUMNS[plural], *(LIVE[plural] if live else ())]
    columns += WIDE.get(plural, ()) if wide else ()
    columns += [("AGE", _age)] if live else []
    rows = [[cell(document) for _, cell in columns] for document in documents]
    print_table(console, [title for title, _ in columns], rows, f"no {plural}", cut=True)


def print_agents(console: Console, rows: Sequence[type_json], phase: Cell) -> None:
    """Print agents as the controller of a desktop knows them."""
    cells = [
        (row.get("key"), row.get("node"), row.get("profile"), phase(row), row.get("owner")) for row in rows
    ]
    print_table(console, ("NAME", "NODE", "PROFILE", "PHASE", "OWNER"), cells, "no agents")


def _name(document: type_json) -> str:
    return dig(document, "metadata", "name")


def _age(document: type_json) -> str:
    created = dig(document, "metadata", "creationTimestamp")
    return age(datetime.fromisoformat(created), datetime.now(UTC)) if created else ""


def _field(*path: str, default: str = "") -> Cell:
    return lambda document: dig(document, *path) or default


def _status(kind: str) -> Cell:
    """True, or the reason why not."""

    def cell(document: type_json) -> str:
        found = condition(document, kind)
        return "True" if found.get("status") == "True" else str(found.get("reason") or "Unknown")

    return cell


def _list(field: str, *names: str) -> Cell:
    def cell(document: type_json) -> str:
        found = items_of(document, "spec", field)
        return ", ".join(next((dig(item, name) for name in names if dig(item, name)), "") for item in found)

    return cell


def _joined(field: str) -> Cell:
    def cell(document: type_json) -> str:
        spec = document.get("spec")
        found = spec.get(field) if isinstance(spec, dict) else None
        return ", ".join(map(str, found)) if isinstance(found, list | tuple) else ""

    return cell


def _counted(document: type_json) -> str:
    total = dig(document, "status", "agents", "total")
    return f"{dig(document, 'status', 'agents', 'ready') or 0}/{total}" if total else ""


Columns = Iterable[tuple[str, Cell]]
COLUMNS: dict[str, Columns] = {
    "orgnodes": (
        ("TYPE", _field("spec", "type")),
        ("TITLE", _field("spec", "title")),
        ("PARENT", _field("spec", "parentRef", "name")),
    ),
    "roleprofiles": (("TITLE", _field("spec", "title")), ("SKILLS", _list("skills", "name"))),
    "agents": (("NODE", _field("spec", "nodeRef", "name")), ("PROFILE", _field("status", "profile"))),
    "policies": (
        ("RULES", _list("rules", "name")),
        ("ENFORCEMENT", _field("spec", "enforcement", default="Enforce")),
    ),
    "persons": (("DISPLAY NAME", _field("spec", "displayName")), ("CLEARANCE", _joined("clearance"))),
    "modelproviders": (("MODELS", _list("models", "name")),),
    "toolservers": (("TOOLS", _list("tools", "name", "tool")), ("CLEARANCE", _joined("clearance"))),
    "workflows": (("STEPS", _list("steps", "name")),),
}
_READY: Columns = (("READY", _status("Ready")),)
LIVE: dict[str, Columns] = dict.fromkeys(COLUMNS, _READY) | {
    "orgnodes": (("AGENTS", _counted), *_READY),
    "agents": (("PHASE", _field("status", "phase", default="Pending")), *_READY),
}
WIDE: dict[str, Columns] = {
    "agents": (
        ("OWNER", _field("status", "owner")),
        ("MODEL", _field("status", "model")),
        ("GUARD", _field("status", "guardMode")),
        ("BUNDLE", _field("status", "bundle", "generation")),
    ),
}
