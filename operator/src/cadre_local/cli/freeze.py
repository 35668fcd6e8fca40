"""`cadre freeze` and `cadre thaw`: stop a tenant, a node with all below it, or one agent; let it go on."""

from datetime import UTC, datetime

import click
from rich.console import Console
from rich.markup import escape

from cadre_api.protocol.base import Message
from cadre_api.protocol.freeze import (
    FreezeCreate,
    FreezePage,
    FreezeScope,
    FreezeSource,
    FreezeView,
    ThawCreate,
)
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Group

_target = click.argument("name")
_why = click.option("-m", "--reason", required=True, metavar="TEXT", help="Why; everyone who waits reads it.")
_glass = click.option(
    "--break-glass", is_flag=True, help="Emergency: anyone of the chart may, and the audit says so."
)
_note = click.option("-m", "--reason", default="", metavar="TEXT", help="Kept in the audit.")


@click.group(cls=Group)
def freeze() -> None:
    """Stop agents within two seconds, in the middle of whatever they do; nothing is lost."""


@freeze.command("tenant")
@_why
@_glass
@pass_session
def freeze_tenant(session: Session, reason: str, break_glass: bool) -> None:
    """Stop every agent."""
    _freeze(session, FreezeScope.TENANT, "", reason, break_glass)


@freeze.command("node")
@_target
@_why
@_glass
@pass_session
def freeze_node(session: Session, name: str, reason: str, break_glass: bool) -> None:
    """Stop the agents of a node and of all below it."""
    _freeze(session, FreezeScope.NODE, name, reason, break_glass)


@freeze.command("agent")
@_target
@_why
@_glass
@pass_session
def freeze_agent(session: Session, name: str, reason: str, break_glass: bool) -> None:
    """Stop one agent."""
    _freeze(session, FreezeScope.AGENT, name, reason, break_glass)


@freeze.command("list")
@pass_session
def list_freezes(session: Session) -> None:
    """What is frozen now, by whom and why."""
    page = FreezePage.model_validate(session.api().http.json("GET", "/api/v1/freezes"))
    session.emit(page, lambda console: _show(console, page.items))


@click.group(cls=Group)
def thaw() -> None:
    """Let frozen agents go on where they stopped."""


@thaw.command("tenant")
@_note
@pass_session
def thaw_tenant(session: Session, reason: str) -> None:
    """Let the tenant go on; what is frozen further down stays so."""
    _thaw(session, FreezeScope.TENANT, "", reason)


@thaw.command("node")
@_target
@_note
@pass_session
def thaw_node(session: Session, name: str, reason: str) -> None:
    """Let a node go on."""
    _thaw(session, FreezeScope.NODE, name, reason)


@thaw.command("agent")
@_target
@_note
@pass_session
def thaw_agent(session: Session, name: str, reason: str) -> None:
    """Let an agent go on."""
    _thaw(session, FreezeScope.AGENT, name, reason)


def _freeze(session: Session, scope: FreezeScope, name: str, reason: str, break_glass: bool) -> None:
    body = FreezeCreate(scope=scope, target=name, reason=reason, break_glass=break_glass)
    _say(session, "freeze", body, "frozen")


def _thaw(session: Session, scope: FreezeScope, name: str, reason: str) -> None:
    _say(session, "thaw", ThawCreate(scope=scope, target=name, reason=reason), "thawed")


def _say(session: Session, verb: str, body: Message, done: str) -> None:
    sent = body.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    view = FreezeView.model_validate(session.api().http.json("POST", f"/api/v1/{verb}", sent))
    session.emit(view, lambda console: console.print(f"{_name(view)} {done}: {_agents(view)}", markup=False))


def _show(console: Console, items: tuple[FreezeView, ...]) -> None:
    if not items:
        console.print("nothing is frozen")
    for view in items:
        minutes = int((datetime.now(UTC) - view.at).total_seconds() // 60)
        by = view.by or "tenant admin"
        marks = "  [bold red]break-glass[/]" if view.break_glass else ""
        where = "  (spec.freeze)" if view.source is FreezeSource.RESOURCE else ""
        console.print(
            f"[bold]{_name(view)}[/]  by {by}, {minutes} min ago{where}{marks}: {escape(view.reason)}"
        )
        console.print(f"  {_agents(view)}", markup=False)


def _name(view: FreezeView) -> str:
    return f"{view.scope.value.lower()} {view.target}".strip()


def _agents(view: FreezeView) -> str:
    few = ", ".join(view.agents[:5])
    more = f" and {len(view.agents) - 5} more" if len(view.agents) > 5 else ""
    return f"{few}{more}" if view.agents else "no agent"
