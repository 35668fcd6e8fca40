"""`cadre status`: what is true now, from those who know: supervisor, API server, controller, guards."""

from typing import TYPE_CHECKING

import click

from cadre_api.protocol.base import type_json
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.client.api import CadreApi
from cadre_local.errors import CadreError, Exit
from cadre_local.render.status import render_status

if TYPE_CHECKING:
    from cadre_local.state import RunState


@click.command(cls=Command)
@pass_session
def status(session: Session) -> None:
    """The org chart with what lives in it now: phase, queue, tokens, isolation, and what is wrong.

    On a desktop also what runs on this machine.
    """
    answer = _of_cluster(session) if session.in_cluster else _of_desktop(session)
    session.emit(answer, lambda console: render_status(console, answer))


def _of_cluster(session: Session) -> type_json:
    from cadre_local.kube import report

    return report.build(session.cluster_only("status", ""))


def _of_desktop(session: Session) -> type_json:
    from cadre_local import report, state

    known = state.load(session.home)
    if known is None or not known.alive:
        raise _not_running(known)
    api, why_not = _try_api(session)
    return report.build(session.home, known, api, why_not)


def _try_api(session: Session) -> tuple[CadreApi | None, str]:
    try:
        return session.api(), ""
    except CadreError as error:
        return None, error.message


def _not_running(known: "RunState | None") -> CadreError:
    if known and known.failure:
        message = f"the last start failed: {known.failure.reason}: {known.failure.message}"
        return CadreError("NotRunning", message, known.failure.fix or "cadre up", Exit.UNREACHABLE)
    if known and known.phase != "Stopped":
        return CadreError(
            "NotRunning",
            "the supervisor was killed",
            "cadre down cleans up, cadre up continues",
            Exit.UNREACHABLE,
        )
    return CadreError("NotRunning", "Cadre is not running here", "cadre up -f DIR", Exit.UNREACHABLE)
