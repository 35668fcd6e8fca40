"""`cadre get KIND`: resources of the chart with their live state."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click
from typing_extensions import override

from cadre_api.protocol.base import type_json
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import CadreError
from cadre_local.kube.find import find_object
from cadre_local.kube.target import ClusterTarget
from cadre_local.objects import KINDS, key_of, plural_of
from cadre_local.render.resources import print_agents, print_resources
from cadre_local.render.tables import print_approvals, print_permits, print_tasks

OTHERS = ("tasks", "approvals", "permits")


class KindType(click.ParamType[str]):
    """A kind as people write it: plural, singular, short name, `agents.cadre.dev`."""

    name = "kind"

    @override
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The plural that is meant."""
        found = plural_of(value) or next((o for o in OTHERS if value.lower() in (o, o[:-1])), "")
        if not found:
            self.fail(f"{value!r} is no kind; use one of {', '.join((*KINDS, *OTHERS))}", param, ctx)
        return found

    @override
    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Plurals."""
        known = (*KINDS, *OTHERS)
        return [click.shell_completion.CompletionItem(k) for k in known if k.startswith(incomplete)]


@click.command(cls=Command)
@click.argument("kind", metavar="KIND", type=KindType())
@click.argument("name", required=False)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Cluster: of all namespaces.")
@click.option("-w", "--wide", is_flag=True, help="More columns.")
@pass_session
def get(session: Session, kind: str, name: str | None, everywhere: bool, wide: bool) -> None:
    """List resources with their live state.

    KIND: orgnodes, roleprofiles, agents, policies, persons, modelproviders, toolservers, workflows, tasks,
    approvals, permits; singular and short names (cdagent) do as well.
    """
    if kind in OTHERS:
        _running(session, kind, name)
    elif cluster := session.cluster:
        _of_cluster(session, cluster, kind, name, everywhere=everywhere, wide=wide)
    else:
        _of_desktop(session, kind, name)


def _running(session: Session, kind: str, name: str | None) -> None:
    api, now = session.api(), datetime.now(UTC)
    if kind == "tasks":
        tasks = (api.task(name),) if name else api.tasks()
        session.emit({"items": tasks}, lambda console: print_tasks(console, tasks, now))
        return
    if kind == "permits":
        permits = [permit for permit in api.permits() if name in (None, permit.id)]
        session.emit({"items": permits}, lambda console: print_permits(console, permits, now))
        return
    waiting = (api.approval(name),) if name else api.approvals()
    session.emit({"items": waiting}, lambda console: print_approvals(console, waiting, now))


def _of_cluster(
    session: Session, cluster: ClusterTarget, kind: str, name: str | None, *, everywhere: bool, wide: bool
) -> None:
    if name:
        found = [find_object(cluster, KINDS[kind], name)]
    else:
        found = cluster.kube.resources(KINDS[kind], "" if everywhere else cluster.connection.namespace)
    data = found[0] if name else {"items": found}
    session.emit(
        data,
        lambda console: print_resources(console, kind, found, live=True, wide=wide, short=not everywhere),
    )
    if not found and session.is_table and not everywhere:
        namespace = cluster.connection.namespace
        click.echo(f"in namespace {namespace}; -A lists all, -n another", err=True)


def _of_desktop(session: Session, kind: str, name: str | None) -> None:
    api = session.api()
    if kind == "agents":
        from cadre_local.supervise.fleet import key_of as row_key

        rows = _named(api.agents(), name, row_key)
        session.emit({"items": rows}, lambda console: print_agents(console, rows, _phase))
        return
    documents = _named(api.resources(KINDS[kind]), name, key_of)
    session.emit(
        {"items": documents},
        lambda console: print_resources(console, kind, documents, live=False, wide=False, short=False),
    )


def _phase(row: type_json) -> str:
    """What a guard that is gone said last is no news."""
    from cadre_local.supervise.fleet import live_state, should_run

    return (live_state(row) if should_run(row) else "") or str(row.get("lifecycle", ""))


def _named(items: Sequence[type_json], name: str | None, key: Callable[[type_json], str]) -> list[type_json]:
    found = [item for item in items if not name or key(item) == name or key(item).endswith(f"/{name}")]
    if name and not found:
        known = ", ".join(sorted(key(item).rpartition("/")[2] for item in items))
        raise CadreError("NotFound", f"there is none named {name}", f"use one of {known}" if known else "")
    return found
