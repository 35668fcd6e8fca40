"""One task of a story: its requester asks, its approver decides, and the test watches."""

from dataclasses import dataclass

import yaml

from cadre_api.protocol.tasks import ApprovalState, ApprovalView, TaskCreate, TaskEvent, TaskView
from cadre_local.render.story import FINAL
from tests.integration.story.stack import Stack, patiently, wait_for
from tests.support.scripted import ACME

STORY: dict[str, dict[str, object]] = yaml.safe_load((ACME / "story" / "request.yaml").read_text())
SEEDED: dict[str, dict[str, list[str]]] = yaml.safe_load((ACME / "story" / "seeded.yaml").read_text())


def seeded_values() -> list[str]:
    """Every planted value."""
    return [value for place in SEEDED.values() for values in place.values() for value in values]


def begin(stack: Stack, name: str) -> "Play":
    """The requester of a story asks."""
    story = STORY[name]
    requester = str(story["requester"])
    request = TaskCreate(prompt=str(story["prompt"]), role=str(story["role"]))
    created = stack.api(requester).create_task(request)
    return Play(stack, created, requester, str(story["approver"]), str(story["tool"]))


@dataclass
class Play:
    """One task of a story and what its people do."""

    stack: Stack
    task: TaskView
    requester: str
    approver: str
    tool: str

    def events(self) -> tuple[TaskEvent, ...]:
        """The story so far, with the other agents' part."""
        return self.stack.api().events(self.task.id)

    def wait_event(self, *kinds: str, seconds: float = 60) -> TaskEvent:
        """Wait for the first event of one of these kinds."""

        def look() -> TaskEvent | None:
            return next((event for event in patiently(self.events, ()) if event.kind in kinds), None)

        return wait_for(look, f"event {kinds}", seconds, self.told)

    def approval(self, seconds: float = 60) -> ApprovalView:
        """Wait for the held call, as the approver sees it."""
        api = self.stack.api(self.approver)

        def look() -> ApprovalView | None:
            waiting = patiently(lambda: api.approvals("Pending"), ())
            return next((approval for approval in waiting if self._mine(approval)), None)

        return wait_for(look, f"approval of {self.tool}", seconds, self.told)

    def _mine(self, approval: ApprovalView) -> bool:
        tasks = {event.task_id for event in self.events()} | {self.task.id}
        return approval.task_id in tasks

    def decide(self, decision: ApprovalState) -> ApprovalView:
        """The approver decides what is held."""
        approval = self.approval()
        api = self.stack.api(self.approver)
        return wait_for(lambda: patiently(lambda: api.decide(approval, decision), None), "decision")

    def end(self, seconds: float = 90) -> TaskView:
        """Wait for the end; the result is restored for the requester."""
        api = self.stack.api(self.requester)

        def look() -> TaskView | None:
            found = patiently(lambda: api.task(self.task.id), None)
            return found if found is not None and found.state in FINAL else None

        return wait_for(look, "end of the task", seconds, self.told)

    def told(self) -> str:
        """The story in lines, for messages."""
        return "\n".join(f"{e.task_id[-6:]} {e.kind} {e.summary}" for e in patiently(self.events, ()))
