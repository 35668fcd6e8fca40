"""The status as a tree: machine first, then the chart with its agents where they sit."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from cadre_api.protocol.base import type_json
from cadre_local.render.tables import one_line

NAMESPACES = ("network", "mount", "pid", "ipc", "user")
GOOD = frozenset({"Ready", "Idle", "Busy"})
AT_REST = frozenset({"Suspended"})
"""Phases without a process, so that there is nothing to isolate."""


def render_status(console: Console, report: type_json) -> None:
    """Print the whole report."""
    top = _cluster(report) if "context" in report else _machine(report)
    console.print(top, soft_wrap=False)
    console.print(_company(report), soft_wrap=False)


def _machine(report: type_json) -> Tree:
    ports = _mapping(report.get("ports"))
    phase = _phase(_text(report, "phase"))
    tree = Tree(f"[bold]Cadre {_text(report, 'version')}[/] {phase} [dim]{_text(report, 'home')}[/]")
    tree.add(f"API port {ports.get('public')} · guard port {ports.get('guard')} · loopback only")
    for process in _items(report.get("processes")):
        tree.add(_process_line(process))
    database, goose = _mapping(report.get("database")), _mapping(report.get("goose"))
    tree.add(f"database {database.get('kind')}, {database.get('listens')}")
    tree.add(f"keystore {_text(report, 'keystore')}")
    tree.add(f"goose {goose.get('version')} [dim]{goose.get('path')}[/]")
    tree.add(f"model {_text(report, 'model')}")
    for provider in _items(report.get("providers")):
        mark = "[green]reachable[/]" if provider.get("reachable") else "[red]not reachable[/]"
        tree.add(f"provider {_text(provider, 'name')} {mark} [dim]{_text(provider, 'url')}[/]")
    _waiting(tree, report)
    return tree


def _cluster(report: type_json) -> Tree:
    tree = Tree(f"[bold]Cadre[/] in {_text(report, 'context')} [dim]{_text(report, 'cluster')}[/]")
    answers = _text(report, "controller") == "answers"
    who = _text(report, "person") or "administrator"
    said = f"[green]answers[/], you are {who}" if answers else f"[red]{_text(report, 'controller')}[/]"
    tree.add(f"controller {said}")
    behind = report.get("behind")
    if isinstance(behind, list) and behind:
        told = f"{len(behind)} objects are not in force at the controller yet"
        tree.add(f"[yellow]{told}[/] [dim]kubectl cadre describe KIND NAME[/]")
    if report.get("scope") != "all namespaces":
        tree.add(f"[dim]only {_text(report, 'scope')}: you may not see the others[/]")
    _waiting(tree, report)
    return tree


def _waiting(tree: Tree, report: type_json) -> None:
    if waiting := report.get("waitingApprovals"):
        tree.add(f"[bold yellow]approvals that wait: {waiting}[/] [dim]cadre approvals[/]")
    if waiting := report.get("waitingConsents"):
        tree.add(f"[bold yellow]consents that wait: {waiting}[/] [dim]kubectl cadre approvals[/]")


def _company(report: type_json) -> Tree:
    nodes, agents = list(_items(report.get("nodes"))), list(_items(report.get("agents")))
    quiet = not nodes and "context" not in report
    silent = f" [dim](controller {_text(report, 'controller')})[/]" if quiet else ""
    top = Tree(f"[bold]{len(agents)} agents[/]{silent}")
    placed: set[str] = set()
    agents = _shortened(agents)
    for node in nodes:
        if not node.get("parent"):
            _branch(top, node, nodes, agents, placed)
    for agent in agents:
        if _text(agent, "key") not in placed:
            top.add(_agent_line(agent))
    return top


def _shortened(agents: list[type_json]) -> list[type_json]:
    """With the name to show: without the namespace where all share one."""
    one = len({_text(agent, "key").partition("/")[0] for agent in agents}) <= 1
    return [
        {**agent, "shown": _text(agent, "key").rpartition("/")[2] if one else _text(agent, "key")}
        for agent in agents
    ]


def _branch(
    tree: Tree, node: type_json, nodes: list[type_json], agents: list[type_json], placed: set[str]
) -> None:
    key = _text(node, "key")
    name = key.rpartition("/")[2]
    branch = tree.add(f"{_text(node, 'title') or name} [dim]{_text(node, 'type')} {name}[/]{_wrong(node)}")
    for agent in agents:
        if _text(agent, "node") in {key, name}:
            placed.add(_text(agent, "key"))
            branch.add(_agent_line(agent))
    for child in nodes:
        if child.get("parent") in {key, name}:
            _branch(branch, child, nodes, agents, placed)


def _agent_line(agent: type_json) -> str:
    tasks = _mapping(agent.get("tasks"))
    parts = [
        f"[cyan]{_text(agent, 'shown')}[/]",
        _phase(_text(agent, "phase")),
        f"{tasks.get('running', 0)} running, {tasks.get('queued', 0)} queued",
    ]
    if agent.get("tokens"):
        parts.append(f"{count(agent['tokens'])} tokens today")
    if "ready" not in agent and _text(agent, "phase") not in AT_REST:
        parts.append(boundary_text(_mapping(agent.get("boundary"))))
    if agent.get("restarts"):
        parts.append(f"[yellow]{agent['restarts']} restarts[/]")
    return " · ".join(parts) + _wrong(agent)


def _wrong(record: type_json) -> str:
    reason = _text(record, "reason").removeprefix(f"{_text(record, 'phase')}: ")
    return f" · [yellow]{one_line(reason, 160)}[/]" if reason else ""


def count(number: object) -> str:
    """`950`, `12k`, `3.4M`."""
    value = int(number) if isinstance(number, int | str) else 0
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if value >= size:
            return f"{value / size:.1f}".removesuffix(".0") + unit
    return str(value)


def boundary_text(boundary: Mapping[str, object]) -> str:
    """Which walls around the agent hold, and which do not: as the guard measured, never as intended."""
    if not boundary:
        return "[dim]boundary not reported yet[/]"
    names = [*(name for name in NAMESPACES if name in boundary), *(set(boundary) - set(NAMESPACES))]
    open_walls = [name for name in names if not boundary[name]]
    holds = [name for name in names if boundary[name]]
    text = f"isolated: {', '.join(holds)}" if holds else "[red]not isolated[/]"
    return text + (f" [red]open: {', '.join(open_walls)}[/]" if holds and open_walls else "")


def _process_line(process: type_json) -> str:
    parts = [_text(process, "name"), _phase(_text(process, "phase")), f"[dim]pid {process.get('pid')}[/]"]
    if process.get("restarts"):
        parts.append(f"[yellow]{process['restarts']} restarts[/]")
    if process.get("detail"):
        parts.append(f"[dim]{_text(process, 'detail')}[/]")
    return " ".join(parts)


def _phase(phase: str) -> str:
    style = "green" if phase in GOOD else "red" if phase == "Failed" else "yellow"
    return f"[{style}]{phase}[/]"


def _text(record: type_json, name: str) -> str:
    return escape(str(record.get(name, "") or ""))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> Iterable[type_json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list | tuple) else []
