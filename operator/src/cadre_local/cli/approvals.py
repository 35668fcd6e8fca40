"""`cadre approvals`, `approve`, `deny`: a person decides exactly what is on the screen."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

import click
from rich.console import Console

from cadre_api.protocol.base import type_json
from cadre_api.protocol.tasks import AlwaysAllow, ApprovalState, ApprovalView
from cadre_api.units import parse_duration
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import CadreError, Exit
from cadre_local.render.tables import print_approvals

LONGEST = 30 * 24 * 3600
"""Seconds that a permit can last at most."""


@click.command(cls=Command)
@click.option(
    "--state", type=click.Choice([*(state.value for state in ApprovalState), "All"]), default="Pending"
)
@pass_session
def approvals(session: Session, state: str) -> None:
    """List what waits for a person (default), or what was decided.

    In a cluster also what waits for somebody's consent before it counts: agents, and changes of the chart.
    """
    found = _listed(session, "" if state == "All" else state)
    if session.cluster is None or state not in ("Pending", "All"):
        session.emit({"items": found}, lambda console: print_approvals(console, found, datetime.now(UTC)))
        return
    from cadre_local.kube import consents
    from cadre_local.render.consents import print_consents

    waiting = consents.waiting(session.cluster)

    def render(console: Console) -> None:
        print_approvals(console, found, datetime.now(UTC))
        print_consents(console, waiting)

    session.emit({"items": found, "consents": [item.plain() for item in waiting]}, render)


def _listed(session: Session, state: str) -> Sequence[ApprovalView]:
    """The controller's; in a cluster consents are worth showing even while it is silent."""
    try:
        return session.api().approvals(state)
    except CadreError as error:
        if session.cluster is None or error.code is not Exit.UNREACHABLE:
            raise
        session.note(f"what agents ask for is not known: {error.message}")
        return ()


_id = click.argument("approval_id")
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_comment = click.option("-m", "--comment", default="", help="Kept with the decision.")


@click.command(cls=Command)
@_id
@_yes
@_comment
@click.option(
    "--always",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Let the next N calls of this tool by this agent through, as far as policy permits.",
)
@click.option("--for", "duration", default="1h", show_default=True, help="With --always: how long.")
@click.option("--any-session", is_flag=True, help="With --always: in every session of the agent.")
@click.option(
    "--arguments", type=click.File(), help="Call the tool with this JSON instead (`-` = standard input)."
)
@pass_session
def approve(
    session: Session,
    approval_id: str,
    yes: bool,
    comment: str,
    always: int | None,
    duration: str,
    any_session: bool,
    arguments: TextIO | None,
) -> None:
    """Approve exactly what is shown: the decision is bound to the hash of these arguments.

    APPROVAL_ID may be the code of a link that was sent to you (apl_…).
    In a cluster APPROVAL_ID may be KIND/NAME, such as agent/finance-1: you consent to what waits there.
    """
    if "/" in approval_id and session.in_cluster:
        _consent(session, approval_id, yes=yes)
        return
    permit = None
    if always is not None:
        permit = AlwaysAllow(uses=always, seconds=_seconds(duration), session_only=not any_session)
    edited = _object(arguments) if arguments is not None else None
    _decide(
        session,
        approval_id,
        ApprovalState.APPROVED,
        yes=yes,
        comment=comment,
        always=permit,
        edited=edited,
    )


def _object(file: TextIO) -> type_json:
    try:
        value = json.load(file)
    except ValueError as error:
        raise click.BadParameter(f"is no JSON: {error}", param_hint="--arguments") from error
    if not isinstance(value, dict):
        raise click.BadParameter("is no JSON object", param_hint="--arguments")
    return value


def _seconds(duration: str) -> int:
    try:
        seconds = int(parse_duration(duration).total_seconds())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from error
    if not 1 <= seconds <= LONGEST:
        raise click.BadParameter("is between 1s and 720h", param_hint="--for")
    return seconds


@click.command(cls=Command)
@click.argument("permit_id")
@pass_session
def revoke(session: Session, permit_id: str) -> None:
    """Let nothing more through by a permit that `approve --always` gave; `get permits` lists them."""
    session.api().revoke(permit_id)
    session.emit({"id": permit_id}, lambda console: console.print(f"{permit_id} is revoked"))


@click.command(cls=Command)
@_id
@_yes
@_comment
@pass_session
def deny(session: Session, approval_id: str, yes: bool, comment: str) -> None:
    """Deny it; the agent is told and goes on without."""
    if "/" in approval_id and session.in_cluster:
        raise CadreError(
            "NothingToDeny",
            "what nobody consents to stays without effect",
            f"tell whoever asked: kubectl delete {approval_id}, or apply the former",
            Exit.USAGE,
        )
    _decide(session, approval_id, ApprovalState.DENIED, yes=yes, comment=comment)


def _decide(
    session: Session,
    approval_id: str,
    decision: ApprovalState,
    *,
    yes: bool,
    comment: str,
    always: AlwaysAllow | None = None,
    edited: type_json | None = None,
) -> None:
    api = session.api()
    found = api.approval(approval_id)
    if found.state is not ApprovalState.PENDING:
        raise CadreError(
            "AlreadyDecided",
            f"{found.id} is {found.state.value}",
            "cadre approvals --state All",
            Exit.CONFLICT,
        )
    if session.is_table:
        show(session.console, found, edited)
    word = "Approve" if decision is ApprovalState.APPROVED else "Deny"
    if not yes and not _confirmed(f"{word} this?"):
        raise CadreError("NotDecided", "nothing was decided", "run the command again to decide")
    link = approval_id if approval_id != found.id else ""
    decided = api.decide(found, decision, comment, always, link, edited)
    session.emit(decided, lambda console: console.print(_outcome(decided)))


def _consent(session: Session, subject: str, *, yes: bool) -> None:
    from cadre_local.kube import consents
    from cadre_local.render.consents import show_consent

    cluster = session.cluster_only("consent", "")
    found = consents.find(cluster, subject)
    if session.is_table:
        show_consent(session.console, found)
    if not yes and not _confirmed("Consent to this?"):
        raise CadreError("NotDecided", "nothing was decided", "run the command again to decide")
    consents.give(cluster, found)
    session.emit(found.plain(), lambda console: console.print(f"{found.subject} has your consent"))


def _confirmed(question: str) -> bool:
    try:
        return click.confirm(question, default=False, err=True)
    except click.Abort as error:
        click.echo("", err=True)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise CadreError(
            "NotDecided", "nothing was decided: there is nobody to ask", "pass --yes", Exit.USAGE
        ) from error


def show(console: Console, approval: ApprovalView, edited: type_json | None = None) -> None:
    """Everything a person needs to decide; `edited`: what they would have the tool called with instead."""
    what = approval.tool or approval.kind.value
    given = f"{approval.quorum} needed, {len(approval.votes)} given"
    reason = f"  {approval.reason}" if approval.reason else ""
    console.print(f"[bold]{what}[/]  asked by {approval.agent}  (task {approval.task_id})")
    console.print(json.dumps(approval.arguments, indent=2, ensure_ascii=False), markup=False)
    if edited is not None:
        console.print("instead of that:", style="bold")
        console.print(json.dumps(edited, indent=2, ensure_ascii=False), markup=False)
    console.print(f"hash   {approval.arguments_hash}")
    console.print(f"rules  {', '.join(approval.rules) or '-'}", markup=False)
    console.print(f"who    {', '.join(approval.approvers) or '-'}; {given}", markup=False)
    console.print(f"until  {approval.expires_at:%Y-%m-%d %H:%M} UTC{reason}", markup=False)


def _outcome(approval: ApprovalView) -> str:
    missing = approval.quorum - len(approval.votes)
    more = f"; {missing} more needed" if approval.state is ApprovalState.PENDING and missing > 0 else ""
    return f"{approval.id} {approval.state.value}{more}"
