"""The story: one person asks, two agents work, another person decides; through the real command line."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field

import yaml
from rich.console import Console
from rich.text import Text

from cadre_api.protocol.tasks import TaskEvent, TaskView
from cadre_local.cli.telling import Teller
from cadre_local.client.api import CadreApi
from cadre_local.client.http import Endpoint, HttpClient
from cadre_local.demo.stage import Stage
from cadre_local.errors import CadreError, Exit
from cadre_local.render.story import FINAL
from cadre_local.supervise.programs import public_url

STORY_WITHIN = 180.0
"""Seconds for the whole story, with a real model too."""


@dataclass(slots=True)
class Play:
    """One run of the story."""

    stage: Stage
    console: Console
    masked: dict[str, int] = field(default_factory=dict)
    """Entity type -> values masked, over the whole story."""

    def command(self, *arguments: str, quiet: bool = False, shown: tuple[str, ...] | None = None) -> str:
        """Run `cadre …` as a person would; its output goes to the screen, and is returned."""
        self.console.print(Text("\n$ cadre " + " ".join(shown or arguments), "bold"))
        done = subprocess.run(
            [sys.executable, "-m", "cadre_local.cli.main", *arguments],
            env=self.stage.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if not quiet or done.returncode:
            self.console.print(Text(done.stdout.rstrip()))
        if done.returncode:
            last = done.stdout.strip().splitlines()[-1:] or ["no output"]
            raise CadreError("DemoStopped", f"cadre {arguments[0]} ended with {done.returncode}", last[0])
        return done.stdout

    def ask(self) -> TaskView:
        """The requester gives the task."""
        request = yaml.safe_load((self.stage.chart / "story" / "request.yaml").read_text())["campaign"]
        begin = ("--as", request["requester"], "task", "run", "--role", request["role"])
        short = " ".join(request["prompt"].split())
        self.console.print(Text(f"\n{request['requester']} writes:\n{request['prompt'].rstrip()}", "italic"))
        answer = self.command(
            *begin, "-o", "json", request["prompt"], quiet=True, shown=(*begin, f'"{short[:48]}…"')
        )
        return TaskView.model_validate_json(answer)

    def watch(self, task: TaskView, approver: str) -> TaskView:
        """Tell the story as it happens; the approver decides when asked."""
        api, deadline, decided = self._api(), time.monotonic() + STORY_WITHIN, set[str]()
        teller = Teller(api, self.console, task)
        while time.monotonic() < deadline:
            for event in teller.fresh(task.id, deadline):
                self._count(event)
                teller.tell(event)
                if event.kind == "ApprovalRequested":
                    self._decide(api, approver, decided)
            current = api.task(task.id)
            if current.state in FINAL:
                return current
        took = f"the story took longer than {STORY_WITHIN:g} s"
        raise CadreError("DemoTimedOut", took, "read the logs", Exit.TIMED_OUT)

    def _decide(self, api: CadreApi, approver: str, decided: set[str]) -> None:
        for waiting in api.approvals("Pending"):
            if waiting.id not in decided:
                decided.add(waiting.id)
                self.command("--as", approver, "approve", waiting.id, "--yes", "-m", "within the plan")

    def _count(self, event: TaskEvent) -> None:
        counts = event.data.get("redactions")
        if isinstance(counts, dict) and event.kind != "Restored":
            for kind, count in counts.items():
                self.masked[kind] = self.masked.get(kind, 0) + int(count)

    def _api(self) -> CadreApi:
        api = CadreApi(HttpClient(Endpoint(public_url(self.stage.port))))
        api.log_in(self.stage.home.desktop_token.read_text().strip(), "")
        return api

    def tasks(self, root: TaskView) -> list[TaskView]:
        """The task and those it led to, oldest first."""
        listed = self._api().tasks(limit=100)
        family = {root.id}
        for task in sorted(listed, key=lambda item: item.created_at):
            if task.parent_task_id in family:
                family.add(task.id)
        return [task for task in sorted(listed, key=lambda item: item.created_at) if task.id in family]

    def as_person(self, person: str, task: TaskView) -> str:
        """A task's result as this person may read it."""
        shown = ("--as", person, "task", "result", task.id)
        answer = self.command(*shown, "-o", "json", quiet=True, shown=shown)
        return str(json.loads(answer)["result"])
