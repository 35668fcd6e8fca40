"""The story: one person asks, two agents work, another person decides; through the real command line."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from rich.console import Console
from rich.text import Text

from cadre_api.protocol.tasks import TaskEvent, TaskView
from cadre_local.client.api import CadreApi
from cadre_local.client.http import Endpoint, HttpClient
from cadre_local.demo.stage import Stage
from cadre_local.errors import CadreError, Exit
from cadre_local.render.story import FINAL, Condenser, event_line
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
        condenser = Condenser()
        for event in self._events(api, task, deadline):
            self._count(event)
            if condenser.wants(event):
                self.console.print(event_line(event, task.created_at, self._agent(api, event.task_id)))
            if event.kind == "ApprovalRequested":
                for waiting in api.approvals("Pending"):
                    if waiting.id not in decided:
                        decided.add(waiting.id)
                        self.command(
                            "--as", approver, "approve", waiting.id, "--yes", "-m", "within the plan"
                        )
        current = api.task(task.id)
        if current.state not in FINAL:
            raise CadreError(
                "DemoTimedOut",
                f"the story took longer than {STORY_WITHIN:g} s",
                "read the logs",
                Exit.TIMED_OUT,
            )
        return current

    def _events(self, api: CadreApi, task: TaskView, deadline: float) -> Iterator[TaskEvent]:
        seen: set[tuple[str, int]] = set()
        while True:
            for event in api.watch(task.id, deadline):
                if (event.task_id, event.seq) not in seen:
                    seen.add((event.task_id, event.seq))
                    yield event
            if time.monotonic() > deadline or api.task(task.id).state in FINAL:
                return

    def _count(self, event: TaskEvent) -> None:
        counts = event.data.get("redactions")
        if isinstance(counts, dict) and event.kind != "Restored":
            for kind, count in counts.items():
                self.masked[kind] = self.masked.get(kind, 0) + int(count)

    def _agent(self, api: CadreApi, task_id: str) -> str:
        return api.task(task_id).agent.rpartition("/")[2]

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

    def as_person(self, person: str, task_id: str) -> str:
        """A task's result as this person may read it."""
        answer = self.command("--as", person, "task", "show", task_id, "-o", "json", quiet=True)
        return str(json.loads(answer)["task"]["result"])
