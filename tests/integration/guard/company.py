"""A company of two agents that differ in one thing: what one of them sends to its model is masked.

The controller with its tool gateway, the tool server, both guards and goose are real; the model is scripted.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from cadre_api.protocol.tasks import TaskCreate, TaskView
from cadre_local.render.story import FINAL
from tests.integration.guard import desk
from tests.integration.guard.goose_tasks import Json, Task, scenario
from tests.integration.story.stack import Stack, running, wait_for

AGENTS = {"masked": "Mask", "plain": "Disabled"}
_CLEARANCE = ["INTERNAL", "PII", "FINANCIAL"]
_PEOPLE = {"hanna": "Hanna Keller", "zoe": "Zoë Müller-Østergård", "jon": "Jonathan Whitfield"}


class Company(Stack):
    """Started like any other, with a chart of its own."""

    @property
    def desk_file(self) -> Path:
        """What the tools were asked."""
        return self.root / "desk.jsonl"

    def write_chart(self, **_: object) -> None:
        """The chart and the tool server beside it."""
        self.chart.mkdir(exist_ok=True)
        (self.chart / "desk.py").write_text(Path(desk.__file__).read_text(encoding="utf-8"), encoding="utf-8")
        (self.chart / "company.yaml").write_text(
            yaml.safe_dump_all(_documents(self.model, self.desk_file), allow_unicode=True), encoding="utf-8"
        )

    def up(self, scenario_file: Path | None = None) -> None:
        """With the model's part of the tasks."""
        file = scenario_file or self.root / "scenario.yaml"
        file.write_text(yaml.safe_dump(scenario(), allow_unicode=True), encoding="utf-8")
        super().up(file)


@dataclass(frozen=True)
class Done:
    """What came of a task for one agent."""

    view: TaskView
    received: list[tuple[str, Json]]
    """What the tools got, without the mark that says whose it was."""
    seen: bytes
    """Every request that reached the model for it."""


def _documents(model_port: int, desk_file: Path) -> Iterator[Json]:
    def document(kind: str, name: str, **spec: object) -> Json:
        meta = {"name": name, "namespace": "duo"}
        return {"apiVersion": "cadre.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}

    for name, shown in _PEOPLE.items():
        identity = {"issuer": "https://idp.duo.example", "subject": name}
        yield document("Person", name, identity=identity, displayName=shown, clearance=_CLEARANCE)
    head = [{"personRef": {"name": "hanna"}, "roles": ["Head", "AgentRequester"]}]
    allowed: Json = {
        "max": 2,
        "allowedProfiles": [{"name": agent} for agent in AGENTS],
        "consent": "Never",
    }
    yield document("OrgNode", "duo", type="Organization", title="Duo", members=head, agents=allowed)
    everywhere = [{"nodeRef": {"name": "duo"}, "scope": "Subtree"}]
    yield document("Policy", "quick", targets=everywhere, guard={"languageModel": False})
    models = [{"name": "scripted", "contextWindow": 200_000}]
    provider = {"baseURL": f"http://127.0.0.1:{model_port}/v1"}
    yield document("ModelProvider", "scripted", openai=provider, models=models)
    yield document("ToolServer", "desk", **_tool_server(desk_file))
    for agent, mode in AGENTS.items():
        work = [{"providerRef": {"name": "scripted"}, "model": "scripted"}]
        desk_tools = {
            "name": "desk",
            "toolServerRef": {"name": "desk"},
            "allow": [{"tool": t} for t in desk.TOOLS],
        }
        tools = [desk_tools, {"name": "privacy", "builtin": "Guard"}]
        guard = {"mode": mode, "clearance": _CLEARANCE}
        profile = {"title": agent, "instructions": "Do it.", "models": {"work": work}}
        yield document("RoleProfile", agent, **profile, tools=tools, guard=guard)
        node: Json = {"type": "Team", "title": agent, "parentRef": {"name": "duo"}, "members": head}
        yield document("OrgNode", agent, **node, profileRef={"name": agent}, agents=allowed)
        it: Json = {"nodeRef": {"name": agent}, "ownerRef": {"name": "hanna"}, "purpose": "Tasks."}
        yield document("Agent", agent, **it, scaling={"min": 1, "max": 1, "concurrency": 4})


def _tool_server(desk_file: Path) -> Json:
    tools = [
        {
            "name": name,
            "effects": "Additive",
            "idempotent": True,
            "description": desk.description(name),
            "inputSchema": schema,
        }
        for name, (_, schema) in desk.TOOLS.items()
    ]
    stdio = {"command": ["python", "desk.py"], "env": [{"name": "DESK_FILE", "value": str(desk_file)}]}
    return {"stdio": stdio, "clearance": _CLEARANCE, "tools": tools}


@contextmanager
def company(goose: str) -> Iterator[Company]:
    """Running; afterwards nothing of it is left."""
    with running(goose, Company) as stack:
        assert isinstance(stack, Company)
        yield stack


def play(stack: Company, tasks: Sequence[Task]) -> dict[tuple[str, str], Done]:
    """These tasks by both agents, all at once; (task, agent) -> what came of it."""
    api = stack.api("hanna")
    made = {(task.name, agent): api.create_task(_asked(task, agent)) for task in tasks for agent in AGENTS}

    def ended() -> dict[tuple[str, str], TaskView] | None:
        views = {key: api.task(created.id) for key, created in made.items()}
        return views if all(view.state in FINAL for view in views.values()) else None

    views = wait_for(ended, "end of all tasks", 240, stack.logs)
    requests = stack.scripted.requests()
    calls = [json.loads(line) for line in stack.desk_file.read_text(encoding="utf-8").splitlines()]
    return {key: _done(key, view, calls, requests) for key, view in views.items()}


def _asked(task: Task, agent: str) -> TaskCreate:
    prompt = f"{task.prompt} ref=[{task.name}/{agent}]"
    return TaskCreate(prompt=prompt, agent=f"duo/{agent}")


def _done(key: tuple[str, str], view: TaskView, calls: list[Json], requests: list[dict[str, object]]) -> Done:
    mark = "/".join(key)
    received = []
    for call in calls:
        arguments = call["arguments"]
        assert isinstance(arguments, dict)
        if arguments["ref"] == mark:
            received.append((str(call["tool"]), {n: v for n, v in arguments.items() if n != "ref"}))
    seen = [str(request["raw"]) for request in requests if f"ref=[{mark}]" in str(request["raw"])]
    return Done(view, received, "\n".join(seen).encode())
