"""`cadre`: the commands, and every failure as one line with a documented exit code."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from cadre_local.cli.context import Session
from cadre_local.cli.framework import LazyGroup
from cadre_local.errors import CadreError, Exit

COMMANDS = {
    "up": ("cadre_local.cli.up:up", "Start everything on this machine and apply a chart."),
    "down": ("cadre_local.cli.down:down", "Stop everything; the data stays."),
    "status": ("cadre_local.cli.status:status", "The org chart with what lives in it now."),
    "doctor": ("cadre_local.cli.doctor:doctor", "Check what Cadre needs, and name each fix."),
    "login": ("cadre_local.cli.login:login", "Sign in at a cluster's controller."),
    "whoami": ("cadre_local.cli.login:whoami", "Who you are here, and by what."),
    "apply": ("cadre_local.cli.chart:apply", "Put a chart in force."),
    "plan": ("cadre_local.cli.chart:plan", "What a chart would change for every agent."),
    "import": ("cadre_local.cli.hr:import_", "Turn an HR export (CSV) into Persons and OrgNodes."),
    "get": ("cadre_local.cli.get:get", "List resources with their live state."),
    "describe": ("cadre_local.cli.describe:describe", "Everything about one resource."),
    "logs": ("cadre_local.cli.logs:logs", "What an agent and its guard write."),
    "suspend": ("cadre_local.cli.lifecycle:suspend", "Let an agent finish, then stop it."),
    "resume": ("cadre_local.cli.lifecycle:resume", "Let a suspended agent work again."),
    "task": ("cadre_local.cli.task:task", "Give work to agents and follow it."),
    "workflow": ("cadre_local.cli.workflow:workflow", "Run processes of several steps."),
    "chat": ("cadre_local.cli.chat:chat", "Talk with one agent."),
    "approvals": ("cadre_local.cli.approvals:approvals", "List what waits for a person."),
    "approve": ("cadre_local.cli.approvals:approve", "Approve exactly what is shown."),
    "deny": ("cadre_local.cli.approvals:deny", "Deny it."),
    "revoke": ("cadre_local.cli.approvals:revoke", "Take back what `approve --always` allowed."),
    "freeze": ("cadre_local.cli.freeze:freeze", "Stop agents within seconds; nothing is lost."),
    "thaw": ("cadre_local.cli.freeze:thaw", "Let frozen agents go on where they stopped."),
    "budgets": ("cadre_local.cli.budgets:budgets", "How budgets stand, and what would happen if."),
    "state": ("cadre_local.cli.state:state", "What agents keep between tasks: read, write, watch."),
    "trace": ("cadre_local.cli.trace:trace", "A task's trace over all programs."),
    "audit": ("cadre_local.cli.audit:audit", "Read, verify and export the audit chain."),
    "guard": ("cadre_local.cli.guard:guard", "Scan and mask text; release or add a finding."),
    "completion": ("cadre_local.cli.completion:completion", "Print the completion script of a shell."),
}
ALIASES = {"tasks": "task", "workflows": "workflow"}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    aliases=ALIASES,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": None,
        "max_content_width": 110,
    },
)
@click.version_option(package_name="cadre", message="cadre %(version)s")
def cli() -> None:
    """Your org chart as running, governed AI agents.

    `cadre` speaks to the installation on this machine, `kubectl cadre` (or --context, --kubeconfig,
    --namespace) to the cluster of your kubeconfig.
    """


def run(arguments: Sequence[str] | None = None, ready: Callable[[], object] = bool) -> int:
    """Run a command line; returns the exit code and never lets a traceback out for an expected failure.

    `ready` is called when an interrupt would be told as one.
    """
    session = Session(plugin=_is_plugin())
    try:
        ready()
        result = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name=session.program,
            complete_var="_CADRE_COMPLETE",
            standalone_mode=False,
            obj=session,
        )
    except CadreError as error:
        show_error(error, session)
        return int(error.code)
    except click.ClickException as error:
        error.show()
        return int(Exit.USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        return _closed_pipe()
    return result if isinstance(result, int) else 0


def show_error(error: CadreError, session: Session) -> None:
    """One line for people, one object for programs; every problem of a chart first."""
    if session.output == "json":
        click.echo(json.dumps({"reason": error.reason, "message": error.message, "fix": error.fix}), err=True)
        return
    for line in _problem_lines(error):
        click.echo(line, err=True)
    click.echo(click.style("error ", fg="red", bold=True) + error.line(), err=True)


def _problem_lines(error: CadreError) -> list[str]:
    problems = getattr(error, "problems", ())
    if not problems:
        return []
    from cadre_local.problems import problem_line

    return [problem_line(problem) for problem in problems]


def _closed_pipe() -> int:
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(Exit.OK)


def _is_plugin() -> bool:
    return Path(sys.argv[0]).name.startswith(("kubectl-cadre", "kubectl_cadre"))
