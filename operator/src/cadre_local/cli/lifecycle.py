"""`cadre suspend`, `cadre resume`: stop an agent without losing it, and let it go on."""

import time
from collections.abc import Callable

import click

from cadre_api.protocol.base import type_json
from cadre_local.cli.completion import agent_names
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.cli.progress import Progress
from cadre_local.client.api import CadreApi
from cadre_local.errors import CadreError, Exit
from cadre_local.kube.client import path_of
from cadre_local.kube.find import find_agent
from cadre_local.kube.target import ClusterTarget
from cadre_local.objects import KINDS, as_documents, dig, key_of

POLL = 0.5
"""Seconds between looks while waiting."""
_agent = click.argument("agent", shell_complete=agent_names)
_wait = click.option("--wait/--no-wait", default=True, help="Until it is so (default).")
_timeout = click.option("--timeout", type=float, default=300.0, show_default=True, help="Seconds to wait.")


@click.command(cls=Command)
@_agent
@_wait
@_timeout
@pass_session
def suspend(session: Session, agent: str, wait: bool, timeout: float) -> None:
    """Let an agent finish what it does, then stop it; what comes meanwhile waits."""
    _set(session, agent, "Suspended", timeout if wait else 0)


@click.command(cls=Command)
@_agent
@_wait
@_timeout
@pass_session
def resume(session: Session, agent: str, wait: bool, timeout: float) -> None:
    """Let a suspended agent work again."""
    _set(session, agent, "Running", timeout if wait else 0)


def _set(session: Session, name: str, lifecycle: str, patience: float) -> None:
    if cluster := session.cluster:
        look = _in_cluster(cluster, name, lifecycle)
    else:
        look = _on_desktop(session.api(), name, lifecycle)
    key, phase = look()
    if patience:
        phase = _follow(session, look, lifecycle, patience)
    data = {"key": key, "lifecycle": lifecycle, "phase": phase}
    session.emit(data, lambda console: console.print(f"{key}: {lifecycle}, now {phase or 'unknown'}"))


def _in_cluster(cluster: ClusterTarget, name: str, lifecycle: str) -> Callable[[], tuple[str, str]]:
    found = find_agent(cluster, name)
    path = path_of(found)
    cluster.kube.patch(path, {"spec": {"lifecycle": lifecycle}})

    def look() -> tuple[str, str]:
        current = cluster.kube.get(path)
        return key_of(current), dig(current, "status", "phase")

    return look


def _on_desktop(api: CadreApi, name: str, lifecycle: str) -> Callable[[], tuple[str, str]]:
    chart = [document for kind in KINDS.values() for document in api.resources(kind)]
    found = _named(chart, name)
    if dig(found, "spec", "lifecycle") != lifecycle:
        spec = found["spec"]
        assert isinstance(spec, dict)
        spec["lifecycle"] = lifecycle
        api.apply(as_documents(chart))

    def look() -> tuple[str, str]:
        row = next(row for row in api.agents() if row.get("key") == key_of(found))
        live = row.get("live")
        state = str(live.get("state", "")) if isinstance(live, dict) else ""
        return key_of(found), state or str(row.get("lifecycle", ""))

    return look


def _named(chart: list[type_json], name: str) -> type_json:
    agents = [item for item in chart if item.get("kind") == "Agent"]
    found = [item for item in agents if name in (dig(item, "metadata", "name"), key_of(item))]
    if len(found) != 1:
        known = ", ".join(sorted(dig(item, "metadata", "name") for item in agents))
        raise CadreError("NotFound", f"there is no agent {name}", f"use one of {known}")
    return found[0]


def _follow(session: Session, look: Callable[[], tuple[str, str]], lifecycle: str, patience: float) -> str:
    wanted = {"Suspended"} if lifecycle == "Suspended" else {"Idle", "Busy", "Ready"}
    deadline = time.monotonic() + patience
    with Progress(session.console, quiet=not session.is_table) as progress:
        while True:
            key, phase = look()
            if phase in wanted:
                return phase
            if phase in {"AwaitingApproval", "Failed", "Frozen"}:
                raise CadreError("NotReached", f"{key} is {phase}", f"{session.program} describe agent {key}")
            progress.note(key, phase or "waiting", done=False)
            if time.monotonic() > deadline:
                fix = f"{session.program} describe agent {key}"
                raise CadreError("TimedOut", f"{key} is still {phase or 'unknown'}", fix, Exit.TIMED_OUT)
            time.sleep(POLL)
