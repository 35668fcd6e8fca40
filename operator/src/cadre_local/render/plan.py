"""A plan as people read it: the agents whose rights change first, what changed in colour."""

from rich.console import Console
from rich.text import Text

from cadre_api.protocol.base import type_json

STYLES = {"Added": "green", "Removed": "red", "Widened": "bold yellow", "Narrowed": "cyan", "Changed": "blue"}
ORDER = ("Widened", "Added", "Removed", "Narrowed", "Changed", "Same")


def render_plan(console: Console, answer: type_json) -> None:
    """Print every agent that changes, and how many do not."""
    agents = [item for item in _list(answer.get("agents")) if isinstance(item, dict)]
    ranked = sorted(agents, key=lambda item: (ORDER.index(_change(item)), str(item.get("agent"))))
    for item in ranked:
        if _change(item) != "Same":
            console.print(Text(f"{_change(item):<9} {item.get('agent')}", STYLES[_change(item)]))
            for line in _list(item.get("diff")):
                console.print(_diff_line(str(line)))
    same = sum(_change(item) == "Same" for item in agents)
    console.print(f"{_agents(len(agents) - same)} to change, {same} to stay as they are")


def _agents(number: int) -> str:
    return "1 agent" if number == 1 else f"{number} agents"


def _change(item: type_json) -> str:
    change = str(item.get("change", "Changed"))
    return change if change in ORDER else "Changed"


def _diff_line(line: str) -> Text:
    style = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
    return Text(f"    {line}", style)


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []
