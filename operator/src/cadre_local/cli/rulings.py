"""`cadre guard release|add|list|revoke`: a person's word on what the guards find, for a place and a time."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import click
from rich.console import Console
from rich.markup import escape

from cadre_api.protocol.rulings import RulingCreate, RulingKind, RulingPage, RulingScope, RulingView
from cadre_api.units import parse_duration
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command

PATH = "/api/v1/guard/rulings"
Ruled: TypeAlias = Callable[..., None]


def _ruling(command: Ruled) -> Ruled:
    """What a release and an addition both take."""
    options: tuple[Callable[[Ruled], Ruled], ...] = (
        click.argument("value"),
        click.option("--type", "entity_type", required=True, metavar="TYPE", help="E.g. PERSON."),
        click.option("--agent", default="", metavar="NAME", help="For one agent …"),
        click.option("--node", default="", metavar="NAME", help="… or a node and all below it …"),
        click.option("--tenant", is_flag=True, help="… or everyone."),
        click.option("--for", "lasting", default="30d", show_default=True, help="How long: 30d, 12h …"),
        click.option("-m", "--reason", required=True, metavar="TEXT", help="Why; kept sealed."),
    )
    for option in options:
        command = option(command)
    return command


@click.command(cls=Command)
@_ruling
@pass_session
def release(session: Session, /, **said: str) -> None:
    """This VALUE is no TYPE here (`-` = one line of standard input, which leaves no trace in a history).

    Only the value itself is released, in any case, and only as this type. Credentials, and what a policy
    blocks, never are. It takes the head above the place, or a tenant admin; at most 90 days.
    """
    _rule(session, RulingKind.RELEASE, **said)


@click.command(cls=Command)
@_ruling
@pass_session
def add(session: Session, /, **said: str) -> None:
    """Treat VALUE as a TYPE wherever it stands (`-` = one line of standard input); at most 366 days."""
    _rule(session, RulingKind.ADD, **said)


@click.command("list", cls=Command)
@pass_session
def list_rulings(session: Session) -> None:
    """The rulings in force that you may take back."""
    page = RulingPage.model_validate(session.api().http.json("GET", PATH))
    session.emit(page, lambda console: _show(console, page.items))


@click.command(cls=Command)
@click.argument("ruling_id")
@pass_session
def revoke(session: Session, ruling_id: str) -> None:
    """Take a ruling back; the guards follow at once."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", ruling_id):
        raise click.BadParameter(
            "is no id of a ruling; `cadre guard list` shows them", param_hint="RULING_ID"
        )
    view = RulingView.model_validate(session.api().http.json("DELETE", f"{PATH}/{ruling_id}"))
    session.emit(view, lambda console: console.print(f"{view.id} is revoked: {_agents(view)}", markup=False))


def _rule(
    session: Session,
    kind: RulingKind,
    *,
    value: str,
    entity_type: str,
    agent: str,
    node: str,
    tenant: str,
    lasting: str,
    reason: str,
) -> None:
    scope, target = _place(agent, node, bool(tenant))
    until = datetime.now(UTC) + _duration(lasting)
    body = RulingCreate.model_construct(
        ruling=kind,
        scope=scope,
        target=target,
        entity_type=entity_type.upper(),
        value=sys.stdin.readline().strip() if value == "-" else value,
        reason=reason,
        until=until,
    )
    sent = body.model_dump(mode="json", by_alias=True)
    view = RulingView.model_validate(session.api().http.json("POST", PATH, sent))
    session.emit(view, lambda console: _show(console, (view,)))


def _place(agent: str, node: str, tenant: bool) -> tuple[RulingScope, str]:
    if sum(map(bool, (agent, node, tenant))) != 1:
        raise click.UsageError("say where: one of --agent NAME, --node NAME, --tenant")
    if tenant:
        return RulingScope.TENANT, ""
    return (RulingScope.AGENT, agent) if agent else (RulingScope.NODE, node)


def _duration(text: str) -> timedelta:
    days = re.fullmatch(r"([0-9]{1,4})d", text)
    if days:
        return timedelta(days=int(days[1]))
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; or days, such as 30d", param_hint="--for") from error


def _show(console: Console, items: tuple[RulingView, ...]) -> None:
    if not items:
        console.print("nothing is ruled")
    for view in items:
        what = "released from" if view.ruling is RulingKind.RELEASE else "counts as"
        value = view.value or "(a value beyond your clearance)"
        place = f"{view.scope.value.lower()} {view.target}".strip()
        until = view.until.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        console.print(
            f"[bold]{view.id}[/]  {escape(value)} {what} {view.entity_type}, {place}, until {until}"
        )
        by = view.by or "tenant admin"
        console.print(f"  by {by}: {view.reason or '(sealed)'}; {_agents(view)}", markup=False)


def _agents(view: RulingView) -> str:
    few = ", ".join(view.agents[:5])
    more = f" and {len(view.agents) - 5} more" if len(view.agents) > 5 else ""
    return f"holds for {few}{more}" if view.agents else "holds for no agent yet"
