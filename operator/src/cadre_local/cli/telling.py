"""Tells a task's story: which agent, who decided, only what is new; shared by `watch` and the demo."""

from collections.abc import Iterator

from rich.console import Console

from cadre_api.protocol.tasks import TaskEvent, TaskView
from cadre_local.client.api import CadreApi
from cadre_local.errors import CadreError
from cadre_local.render.story import Condenser, event_line


class Teller:
    """One story on one console."""

    def __init__(self, api: CadreApi, console: Console, task: TaskView, *, every: bool = False) -> None:
        self._api = api
        self._console = console
        self._started = task.created_at
        self._condenser = None if every else Condenser()
        self._names = {task.id: _short(task.agent)}
        self._seen: set[tuple[str, int]] = set()

    def fresh(self, task_id: str, until: float | None) -> Iterator[TaskEvent]:
        """Events that were not told yet, as they happen."""
        for event in self._api.watch(task_id, until):
            if (event.task_id, event.seq) not in self._seen:
                self._seen.add((event.task_id, event.seq))
                yield event

    def tell(self, event: TaskEvent) -> None:
        """Print an event, unless it only echoes another."""
        if self._condenser is None or self._condenser.wants(event):
            self._console.print(event_line(self._complete(event), self._started, self._name(event.task_id)))

    def _complete(self, event: TaskEvent) -> TaskEvent:
        """Who decided, and under which rule: the event names the approval, the approval names the people."""
        if event.kind != "ApprovalDecided":
            return event
        try:
            approval = self._api.approval(str(event.data.get("approval", "")))
        except CadreError:
            return event
        people = ", ".join(vote.person for vote in approval.votes)
        data = {**event.data, "approver": people, "rules": list(approval.rules)}
        return event.model_copy(update={"data": data})

    def _name(self, task_id: str) -> str:
        if task_id not in self._names:
            try:
                self._names[task_id] = _short(self._api.task(task_id).agent)
            except CadreError:
                return ""
        return self._names[task_id]


def _short(agent: str) -> str:
    return agent.rpartition("/")[2]
