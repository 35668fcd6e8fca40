"""`python -m cadre_local.demo`: set the stage, play the story, prove what is claimed, and clear up."""

import signal
import sys
import time

from rich.console import Console
from rich.text import Text

from cadre_api.protocol.tasks import TaskState, TaskView
from cadre_local.demo import provider, seeded, stage
from cadre_local.demo.play import Play
from cadre_local.errors import CadreError, Exit
from cadre_local.render.story import task_summary
from cadre_local.supervise import control
from cadre_local.supervise.programs import model_record

APPROVER = "h-keller"
REQUESTER = "l-brandt"


def main() -> int:
    """Run the demo; the exit code says whether everything that it claims was shown."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        chosen = provider.choose()
        place = stage.build(chosen)
    except CadreError as error:
        console.print(Text(error.line(), "red"))
        return int(error.code)
    return _on_stage(console, place, began)


def _on_stage(console: Console, place: stage.Stage, began: float) -> int:
    play, code = Play(place, console), Exit.REFUSED
    try:
        code = _tell(play)
    except CadreError as error:
        console.print(Text(error.line(), "red"))
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    finally:
        _clear_up(play, keep=code is Exit.REFUSED)
    if code is Exit.OK:
        console.print(
            f"\n[bold green]done[/] in {time.monotonic() - began:.1f} s; nothing is left running or on disk"
        )
    return int(code)


def _tell(play: Play) -> Exit:
    console, model = play.console, play.stage.provider
    if model.scripted:
        console.print("[bold yellow]The model is scripted:[/] its lines come from a file, no model is asked.")
        console.print(
            "All else is real: goose, guards, controller, Postgres, policies, the ledger's MCP server."
        )
    else:
        console.print(f"The model is {model.model} at {model.base_url}: the story is its own.")
    play.command(*play.stage.up_arguments(), shown=("up", "-f", "examples/01-acme", "…"))
    play.command("status")
    task = play.watch(play.ask(), APPROVER)
    _show_results(play, task)
    play.command("trace", task.id)
    play.command("audit", "verify")
    return _prove(play, task)


def _show_results(play: Play, task: TaskView) -> None:
    console = play.console
    console.print("\n[bold]Cost and time per step[/]")
    steps = play.tasks(task)
    for step in steps:
        console.print("  " + task_summary(step), markup=False)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(play.masked.items()))
    console.print(f"  masked on the way: {counts or 'nothing'}")
    for person, step in ((REQUESTER, task), (APPROVER, steps[-1])):
        console.print(Text(f"{play.as_person(person, step)}"))


def _prove(play: Play, task: TaskView) -> Exit:
    """The claims, checked: nothing planted reached the model or the database, and the story ended well."""
    values = seeded.seeded_values(play.stage.chart)
    found = [f"database: {leak}" for leak in seeded.leaks(values, seeded.dump_database(play.stage.home))]
    record = model_record(play.stage.home)
    if record.exists():
        requests = record.read_bytes()
        found += [f"model: {leak}" for leak in seeded.leaks(values, requests)]
        places = f"{len(requests.splitlines())} recorded model requests and a dump of the database"
    else:
        places = "a dump of the database"
    play.console.print(f"\n{len(values)} planted values looked for in {places}: ", end="")
    play.console.print(
        Text(f"found {', '.join(found)}", "bold red") if found else "[bold green]none found[/]"
    )
    if task.state is not TaskState.SUCCEEDED:
        play.console.print(Text(f"the task ended as {task.state.value}: {task.reason} {task.message}", "red"))
    return Exit.REFUSED if found or task.state is not TaskState.SUCCEEDED else Exit.OK


def _clear_up(play: Play, *, keep: bool) -> None:
    control.stop(play.stage.home, lambda _: None)
    if keep:
        play.console.print(f"logs are kept in {play.stage.home.logs}")
    else:
        play.stage.remove()


if __name__ == "__main__":
    sys.exit(main())
