"""`cadre status`: what is true now, from the supervisor's record and the controller's answers."""

import click

from cadre_local import report, state
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.client.api import CadreApi
from cadre_local.errors import CadreError, Exit
from cadre_local.render.status import render_status


@click.command(cls=Command)
@pass_session
def status(session: Session) -> None:
    """What runs, what isolates it, who works on what."""
    home = session.home
    known = state.load(home)
    if known is None or not known.alive:
        raise _not_running(known)
    api, why_not = _try_api(session)
    answer = report.build(home, known, api, why_not)
    session.emit(answer, lambda console: render_status(console, answer))


def _try_api(session: Session) -> tuple[CadreApi | None, str]:
    try:
        return session.api(), ""
    except CadreError as error:
        return None, error.message


def _not_running(known: state.RunState | None) -> CadreError:
    if known and known.failure:
        message = f"the last start failed: {known.failure.reason}: {known.failure.message}"
        return CadreError("NotRunning", message, known.failure.fix or "cadre up", Exit.UNREACHABLE)
    if known and known.phase is not state.Phase.STOPPED:
        return CadreError(
            "NotRunning",
            "the supervisor was killed",
            "cadre down cleans up, cadre up continues",
            Exit.UNREACHABLE,
        )
    return CadreError("NotRunning", "Cadre is not running here", "cadre up -f DIR", Exit.UNREACHABLE)
