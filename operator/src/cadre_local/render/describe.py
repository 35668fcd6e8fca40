"""One resource as people read it: what was written first, then what became of it."""

from datetime import datetime

import yaml
from rich.console import Console
from rich.text import Text

from cadre_api.protocol.base import type_json
from cadre_local.objects import dig, items_of, key_of
from cadre_local.render.status import boundary_text
from cadre_local.render.tables import age, one_line

GOOD = {"Stalled": "False", "Reconciling": "False", "AwaitingApproval": "False"}
"""The status that is fine, where it is not True."""
FACTS = ("phase", "path", "profile", "owner", "model", "guardMode", "replicas", "readyReplicas")


def render_description(console: Console, found: type_json, now: datetime) -> None:
    """Print everything that is known."""
    document = found["object"]
    assert isinstance(document, dict)
    console.print(Text(f"{dig(document, 'kind')} {key_of(document)}", "bold"))
    _facts(console, document)
    _section(console, "Spec")
    console.print(
        yaml.safe_dump(document.get("spec"), sort_keys=False, allow_unicode=True).rstrip(), markup=False
    )
    _conditions(console, document, now)
    _live(console, found)
    _tasks(console, found, now)
    _events(console, found, now)
    if told := dig(found, "controller"):
        console.print(Text(f"\nthe controller was silent: {told}", "yellow"))


def _section(console: Console, title: str) -> None:
    console.print(Text(f"\n{title}", "bold"))


def _facts(console: Console, document: type_json) -> None:
    known = [(name, dig(document, "status", name)) for name in FACTS]
    line = " · ".join(f"{name} {value}" for name, value in known if value)
    if consent := dig(document, "status", "consent", "by", "name"):
        line += f" · consented by {consent} at {dig(document, 'status', 'consent', 'at')}"
    if line:
        console.print(line, markup=False)


def _conditions(console: Console, document: type_json, now: datetime) -> None:
    found = items_of(document, "status", "conditions")
    if found:
        _section(console, "Conditions")
    for item in found:
        kind, status = dig(item, "type"), dig(item, "status")
        style = "green" if status == GOOD.get(kind, "True") else "dim" if status == "Unknown" else "yellow"
        since = _ago(dig(item, "lastTransitionTime"), now)
        line = Text(f"  {kind:<17} {status:<8} ", style)
        line.append(f"{dig(item, 'reason')}", style)
        line.append(f"  {since}", "dim")
        console.print(line)
        if message := dig(item, "message"):
            console.print(Text(f"    {message}"))


def _live(console: Console, found: type_json) -> None:
    live = found.get("live")
    if isinstance(live, dict) and live:
        _section(console, "Now")
        walls = live.get("boundary")
        console.print(
            f"  {live.get('state')}, {live.get('running', 0)} running, {live.get('queued', 0)} queued"
        )
        console.print(f"  {boundary_text(walls if isinstance(walls, dict) else {})}")


def _tasks(console: Console, found: type_json, now: datetime) -> None:
    tasks = items_of(found, "tasks")
    if tasks:
        _section(console, "Latest tasks")
    for task in tasks:
        since = _ago(dig(task, "createdAt"), now)
        line = (
            f"  {dig(task, 'id')}  {dig(task, 'state'):<10} {since:>4}  {one_line(dig(task, 'prompt'), 60)}"
        )
        console.print(line, markup=False)


def _events(console: Console, found: type_json, now: datetime) -> None:
    events = sorted(items_of(found, "events"), key=_when)[-10:]
    if events:
        _section(console, "Events")
    for event in events:
        style = "yellow" if dig(event, "type") == "Warning" else ""
        line = Text(f"  {_ago(_when(event), now):>4} ago  ", "dim")
        line.append(f"{dig(event, 'reason')}  {one_line(dig(event, 'message'), 200)}", style)
        console.print(line)


def _when(event: type_json) -> str:
    times = (
        dig(event, "lastTimestamp"),
        dig(event, "eventTime"),
        dig(event, "metadata", "creationTimestamp"),
    )
    return next((time for time in times if time), "")


def _ago(moment: str, now: datetime) -> str:
    return age(datetime.fromisoformat(moment), now) if moment else ""
