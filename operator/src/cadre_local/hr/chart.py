"""The part of a chart that the export decides: who there is, which units, who is where; the rest stays.

Persons are found again by identity, units by title and place, so that names in use never change. Of members
only Head and Member follow the export; other roles (Approver, Auditor, AgentRequester) are given in the chart
and stay with whoever is still in the company, unless the export has a column for them.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date

from cadre_api.protocol.base import type_json
from cadre_api.v1alpha1 import API_VERSION
from cadre_local.hr.rows import Employee
from cadre_local.objects import dig, items_of, key_of

LEVELS = ("Organization", "Division", "Department", "Team")
"""Types of units from the company down; whatever is deeper is a Team."""
_OURS = frozenset({"Head", "Member"})
Unit = tuple[str, ...]


@dataclass(slots=True)
class Import:
    """What the export makes of a chart."""

    documents: list[type_json] = field(default_factory=list)
    """Persons and OrgNodes that are new or changed."""
    changes: list[str] = field(default_factory=list)
    """One line each: `+ joins`, `> moves`, `- leaves`, `~ changes`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the caller decides."""

    namespace: str
    today: date
    levels: tuple[str, ...] = LEVELS


def build(employees: Sequence[Employee], chart: Sequence[type_json], rules: Rules) -> Import:
    """Compare the export with a chart (empty = there is none) and say what has to be written."""
    here = [employee for employee in employees if employee.end is None or employee.end >= rules.today]
    names = _person_names(here, chart, rules.namespace)
    units = _unit_names(here, chart, rules.namespace)
    result = Import()
    before = _places(chart)
    _persons(result, here, chart, names, rules)
    _nodes(result, here, chart, _Naming(names, units), rules)
    _moves(result, here, before, _Naming(names, units), chart)
    return result


@dataclass(frozen=True, slots=True)
class _Naming:
    persons: Mapping[str, str]
    """Employee id -> Person."""
    units: Mapping[Unit, str]
    """Unit -> OrgNode."""


def slug(text: str) -> str:
    """A DNS label out of a text: `Müller & Söhne` → `muller-sohne`."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:63].strip("-")


def _person_names(here: Iterable[Employee], chart: Sequence[type_json], namespace: str) -> dict[str, str]:
    known = {
        (dig(d, "spec", "identity", "issuer"), dig(d, "spec", "identity", "subject")): dig(
            d, "metadata", "name"
        )
        for d in _of_kind(chart, "Person")
    }
    taken = set(known.values())
    names: dict[str, str] = {}
    for employee in here:
        name = known.get((employee.issuer, employee.subject), "")
        if not name:
            name = _free(slug(employee.email.partition("@")[0]) or slug(employee.name), employee.id, taken)
        taken.add(name)
        names[employee.id] = name
    return names


def _free(wanted: str, more: str, taken: set[str]) -> str:
    if wanted and wanted not in taken:
        return wanted
    longer = "-".join(part for part in (wanted[:40], slug(more)) if part) or "person"
    number = 2
    found = longer
    while found in taken:
        found, number = f"{longer}-{number}", number + 1
    return found


def _unit_names(here: Iterable[Employee], chart: Sequence[type_json], namespace: str) -> dict[Unit, str]:
    nodes = _of_kind(chart, "OrgNode")
    by_name = {dig(node, "metadata", "name"): node for node in nodes}
    known = {_titles(node, by_name): dig(node, "metadata", "name") for node in nodes}
    taken = set(by_name)
    names: dict[Unit, str] = {}
    for unit in sorted({employee.unit[:n] for employee in here for n in range(1, len(employee.unit) + 1)}):
        folded = tuple(title.casefold() for title in unit)
        above = slug(unit[-2]) if len(unit) > 1 else ""
        name = known.get(folded, "")
        if not name:
            wanted = slug(unit[-1]) or "unit"
            name = (
                wanted if wanted not in taken else _free("-".join(filter(None, (above, wanted))), "", taken)
            )
        taken.add(name)
        names[unit] = name
    return names


def _titles(node: type_json, by_name: Mapping[str, type_json]) -> Unit:
    titles: list[str] = []
    current: type_json | None = node
    while current is not None and len(titles) < 64:
        titles.append((dig(current, "spec", "title") or dig(current, "metadata", "name")).casefold())
        current = by_name.get(dig(current, "spec", "parentRef", "name"))
    return tuple(reversed(titles))


def _persons(
    result: Import,
    here: Sequence[Employee],
    chart: Sequence[type_json],
    names: Mapping[str, str],
    rules: Rules,
) -> None:
    known = {dig(d, "metadata", "name"): d for d in _of_kind(chart, "Person")}
    for employee in here:
        name = names[employee.id]
        document = deepcopy(known[name]) if name in known else _new("Person", name, rules.namespace)
        spec = _spec(document)
        spec |= {
            "identity": {"issuer": employee.issuer, "subject": employee.subject},
            "displayName": employee.name,
        }
        spec |= {"email": employee.email} if employee.email else {}
        spec |= {"clearance": list(employee.clearance)} if employee.clearance else {}
        if document != known.get(name):
            result.documents.append(document)
            if name in known:
                result.changes.append(f"~ {name} {employee.name}: details change")
    gone = sorted(set(known) - set(names.values()))
    result.changes += [f"- {name} {dig(known[name], 'spec', 'displayName')} leaves" for name in gone]


def _nodes(
    result: Import, here: Sequence[Employee], chart: Sequence[type_json], naming: _Naming, rules: Rules
) -> None:
    known = {dig(d, "metadata", "name"): d for d in _of_kind(chart, "OrgNode")}
    present = set(naming.persons.values())
    members = _members(here, naming)
    for unit, name in sorted(naming.units.items()):
        document = deepcopy(known[name]) if name in known else _unit(unit, name, naming, rules)
        _spec(document)["members"] = _merged(known.get(name, {}), members.get(unit, {}), present)
        if document != known.get(name):
            result.documents.append(document)
            if name not in known:
                result.changes.append(f"+ unit {name} ({' / '.join(unit)})")
    for name in sorted(set(known) - set(naming.units.values())):
        left = _merged(known[name], {}, present)
        if left != items_of(known[name], "spec", "members"):
            document = deepcopy(known[name])
            _spec(document)["members"] = left
            result.documents.append(document)
        result.changes.append(f"~ unit {name} has nobody in the export: it stays; delete it when it is gone")


def _unit(unit: Unit, name: str, naming: _Naming, rules: Rules) -> type_json:
    document = _new("OrgNode", name, rules.namespace)
    level = rules.levels[min(len(unit), len(rules.levels)) - 1]
    spec = _spec(document)
    spec |= {"type": level, "title": unit[-1]}
    if len(unit) > 1:
        spec["parentRef"] = {"name": naming.units[unit[:-1]]}
    return document


def _members(here: Sequence[Employee], naming: _Naming) -> dict[Unit, dict[str, tuple[str, ...]]]:
    """Unit -> Person -> roles."""
    by_key = {key: e for e in here for key in (e.id, e.email) if key}
    leading = {by_key[e.manager].id for e in here if e.manager in by_key and by_key[e.manager] is not e}
    found: dict[Unit, dict[str, tuple[str, ...]]] = {}
    for employee in here:
        manager = by_key.get(employee.manager)
        heads = employee.id in leading and (manager is None or manager.unit != employee.unit)
        roles = employee.roles or (("Head",) if heads else ("Member",))
        found.setdefault(employee.unit, {})[naming.persons[employee.id]] = roles
    return found


def _merged(node: type_json, wanted: Mapping[str, tuple[str, ...]], present: set[str]) -> list[type_json]:
    """Members as the export says, with the roles that only the chart gives."""
    roles: dict[str, list[str]] = {}
    for member in items_of(node, "spec", "members"):
        name, given = dig(member, "personRef", "name"), member.get("roles")
        kept = [str(r) for r in given if r not in _OURS] if isinstance(given, list | tuple) else []
        if name in present and (kept or name in wanted):
            roles[name] = kept
    for name, given in wanted.items():
        roles[name] = list(dict.fromkeys([*given, *roles.get(name, [])]))
    return [{"personRef": {"name": name}, "roles": given} for name, given in roles.items() if given]


def _moves(
    result: Import,
    here: Sequence[Employee],
    before: Mapping[str, set[str]],
    naming: _Naming,
    chart: Sequence[type_json],
) -> None:
    known = {dig(d, "metadata", "name") for d in _of_kind(chart, "Person")}
    for employee in here:
        name, unit = naming.persons[employee.id], naming.units[employee.unit]
        if name not in known:
            result.changes.append(f"+ {name} {employee.name} joins {unit}")
        elif before.get(name) and unit not in before[name]:
            result.changes.append(
                f"> {name} {employee.name} moves from {', '.join(sorted(before[name]))} to {unit}"
            )
    result.changes.sort(key=lambda line: "+>~-".index(line[0]))


def _places(chart: Sequence[type_json]) -> dict[str, set[str]]:
    """Person -> the nodes it is Head or Member of."""
    found: dict[str, set[str]] = {}
    for node in _of_kind(chart, "OrgNode"):
        for member in items_of(node, "spec", "members"):
            given = member.get("roles")
            if isinstance(given, list | tuple) and _OURS & set(given):
                found.setdefault(dig(member, "personRef", "name"), set()).add(dig(node, "metadata", "name"))
    return found


def _of_kind(chart: Sequence[type_json], kind: str) -> list[type_json]:
    return sorted((d for d in chart if d.get("kind") == kind), key=key_of)


def _new(kind: str, name: str, namespace: str) -> type_json:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {},
    }


def _spec(document: type_json) -> dict[str, object]:
    spec = document["spec"]
    assert isinstance(spec, dict)
    return spec
