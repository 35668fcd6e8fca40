"""A task's story, one line per event: who did what, what was masked, who allowed it, what it cost."""

import re
from collections.abc import Mapping
from datetime import datetime

from rich.text import Text

from cadre_api.protocol.tasks import TaskEvent, TaskState, TaskView

TOKEN = re.compile(r"[A-Z]{2,16}x[0-9a-z][0-9a-hjkmnp-tv-z]{16}")
"""The token grammar, repeated here so that watching a task does not load the detectors."""

MARKS: Mapping[str, tuple[str, str]] = {
    "Created": ("●", "bold"),
    "Routed": ("→", "cyan"),
    "Leased": ("▸", "dim"),
    "Prompted": ("▸", "dim"),
    "ModelCalled": ("◇", "blue"),
    "ToolRequested": ("⚙", "yellow"),
    "Decided": ("§", "magenta"),
    "ApprovalRequested": ("?", "bold yellow"),
    "ApprovalDecided": ("☑", "bold green"),
    "ToolCalled": ("⚙", "yellow"),
    "ToolReturned": ("⚙", "yellow"),
    "Masked": ("▒", "green"),
    "Restored": ("░", "green"),
    "HandedOff": ("⇄", "cyan"),
    "Requeued": ("↻", "yellow"),
    "Succeeded": ("✓", "bold green"),
    "Failed": ("✗", "bold red"),
    "Dead": ("✗", "bold red"),
    "Cancelled": ("■", "red"),
    "OutcomeUnknown": ("!", "bold red"),
}
SAYINGS: Mapping[tuple[str, str], str] = {
    ("Created", ""): "task accepted",
    ("Masked", "prompt"): "prompt, before anything is stored",
    ("Masked", "guard.mask"): "on the way to the model",
}
"""What an event means where its own word is terse."""
FINAL = frozenset(
    {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.DEAD, TaskState.OUTCOME_UNKNOWN}
)
"""States in which nothing more happens by itself."""


class Condenser:
    """Leaves out what says the same twice: the guard's side of a step that the controller told already."""

    ECHOES = frozenset({"acp.permission", "model.turn", "guard.restore"})

    def __init__(self) -> None:
        self._decided: dict[str, str] = {}

    def wants(self, event: TaskEvent) -> bool:
        """Whether the event adds to the story."""
        if event.summary in self.ECHOES:
            return False
        if event.kind == "Decided":
            repeated = self._decided.get(event.task_id) == event.summary
            self._decided[event.task_id] = event.summary
            return not repeated
        if event.kind == "ToolReturned":
            self._decided.pop(event.task_id, None)
        return True


def event_line(event: TaskEvent, started: datetime, task_name: str = "") -> Text:
    """`+1.2s  ⚙ ToolCalled  summary  (details)`; tokens are marked, so that masking can be seen."""
    mark, style = MARKS.get(event.kind, ("·", ""))
    line = Text(f"{(event.at - started).total_seconds():+7.2f}s ", "dim")
    line.append(f"{mark} {event.kind:<18}", style)
    if task_name:
        line.append(f"{task_name:<13} ", "cyan")
    line.append_text(marked(SAYINGS.get((event.kind, event.summary), event.summary)))
    details = event_details(event)
    if details:
        line.append(f"  ({details})", "dim")
    return line


def event_details(event: TaskEvent) -> str:
    """Counts, rules, people, money and time of an event."""
    data = event.data
    parts = [_redactions(data), _rules(data), _plain(data, "approver", "by "), _plain(data, "model", "")]
    tokens_in, tokens_out = data.get("inputTokens"), data.get("outputTokens")
    if tokens_in or tokens_out:
        parts.append(f"{tokens_in or 0}+{tokens_out or 0} tokens")
    if data.get("cost") not in (None, "", "0"):
        parts.append(f"{data['cost']} {data.get('currency', 'USD')}")
    if event.duration_ms is not None:
        parts.append(duration(event.duration_ms))
    return ", ".join(part for part in parts if part)


def marked(text: str) -> Text:
    """Text with its tokens highlighted."""
    result = Text(" ".join(text.split()))
    result.highlight_regex(TOKEN, "bold green")
    return result


def duration(milliseconds: float) -> str:
    """`430 ms` or `2.1 s`."""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def task_summary(task: TaskView) -> str:
    """State, agent, tokens, cost, and how long it took."""
    usage = task.usage
    took = duration((task.updated_at - task.created_at).total_seconds() * 1000)
    parts = [task.state.value, task.agent, f"{usage.model_calls} model calls"]
    parts.append(f"{usage.input_tokens}+{usage.output_tokens} tokens")
    parts.append(f"{usage.cost} {usage.currency}")
    parts.append(took)
    if task.reason:
        parts.append(f"{task.reason} {task.message}".strip())
    return " · ".join(parts)


def _redactions(data: Mapping[str, object]) -> str:
    counts = data.get("redactions")
    if not isinstance(counts, dict) or not counts:
        return ""
    return "masked " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _rules(data: Mapping[str, object]) -> str:
    rules = data.get("rules")
    names = [str(rule) for rule in rules] if isinstance(rules, list) else []
    return f"rule {', '.join(names)}" if names else ""


def _plain(data: Mapping[str, object], name: str, before: str) -> str:
    value = data.get(name)
    return f"{before}{value}" if isinstance(value, str) and value else ""
