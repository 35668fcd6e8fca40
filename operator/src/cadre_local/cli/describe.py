"""`cadre describe KIND NAME`: one resource, what is true of it now, and what happened to it."""

from datetime import UTC, datetime

import click

from cadre_api.protocol.base import type_json
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.cli.get import OTHERS, KindType
from cadre_local.errors import CadreError, Exit
from cadre_local.kube.find import find_object
from cadre_local.kube.target import ClusterTarget
from cadre_local.objects import KINDS, dig, key_of
from cadre_local.render.describe import render_description

TASKS = 5


@click.command(cls=Command)
@click.argument("kind", metavar="KIND", type=KindType())
@click.argument("name")
@pass_session
def describe(session: Session, kind: str, name: str) -> None:
    """Everything about one resource: spec, conditions, what it waits for, latest tasks and events."""
    if kind in OTHERS:
        fix = f"{session.program} {'task show' if kind == 'tasks' else 'approve'} {name}"
        raise CadreError("NotAResource", f"{kind} are not resources of the chart", fix, Exit.USAGE)
    found = _of_cluster(session.cluster, kind, name) if session.cluster else _of_desktop(session, kind, name)
    if kind == "agents":
        found |= _work(session, key_of(_object(found)))
    session.emit(found, lambda console: render_description(console, found, datetime.now(UTC)))


def _object(found: type_json) -> type_json:
    inner = found["object"]
    assert isinstance(inner, dict)
    return inner


def _of_cluster(cluster: ClusterTarget, kind: str, name: str) -> type_json:
    found = find_object(cluster, KINDS[kind], name)
    namespace, own = dig(found, "metadata", "namespace"), dig(found, "metadata", "name")
    selector = f"involvedObject.name={own},involvedObject.kind={KINDS[kind]}"
    try:
        answer = cluster.kube.get(f"/api/v1/namespaces/{namespace}/events?fieldSelector={selector}")
        events = answer.get("items")
    except CadreError:
        events = []
    return {"object": found, "events": events}


def _of_desktop(session: Session, kind: str, name: str) -> type_json:
    documents = session.api().resources(KINDS[kind])
    found = next((d for d in documents if name in (key_of(d), dig(d, "metadata", "name"))), None)
    if found is None:
        known = ", ".join(sorted(dig(d, "metadata", "name") for d in documents))
        raise CadreError("NotFound", f"there is no {KINDS[kind]} {name}", f"there are: {known}")
    return {"object": found, "events": []}


def _work(session: Session, agent: str) -> type_json:
    """What the controller knows; a silent one takes nothing from what the chart says."""
    try:
        api = session.api()
        row = next((row for row in api.agents() if row.get("key") == agent), {})
        tasks = [task.model_dump(mode="json", by_alias=True) for task in api.tasks(agent=agent, limit=TASKS)]
    except CadreError as error:
        return {"live": {}, "tasks": [], "controller": error.line()}
    return {"live": row.get("live") or {}, "tasks": tasks, "controller": ""}
