"""A trace as a waterfall: bars on one time axis, children under their parents, programs by colour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.text import Text

from cadre_api.protocol.base import type_json
from cadre_local.render.story import duration

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")
NAME_WIDTH = 44
_BESIDE_BAR = NAME_WIDTH + 1 + 17 + 1 + 9
_LEAST_BAR = 12


@dataclass(frozen=True, slots=True)
class SpanLine:
    """One bar."""

    depth: int
    name: str
    service: str
    start: datetime
    milliseconds: float
    failed: bool


def print_waterfall(console: Console, spans: Sequence[type_json]) -> None:
    """Print the joined trace."""
    lines = list(arrange(spans))
    if not lines:
        console.print("no spans in this trace")
        return
    begin = min(line.start for line in lines)
    total = max((line.start - begin).total_seconds() * 1000 + line.milliseconds for line in lines) or 1.0
    width = max(_LEAST_BAR, min(40, console.width - _BESIDE_BAR))
    services = sorted({line.service for line in lines})
    for line in lines:
        offset = (line.start - begin).total_seconds() * 1000
        console.print(_bar(line, offset, total, width, COLOURS[services.index(line.service) % len(COLOURS)]))
    console.print(f"{len(lines)} spans, {duration(total)}, from {', '.join(services)}", style="dim")


def arrange(spans: Sequence[type_json]) -> Iterator[SpanLine]:
    """Spans depth first, brothers by start; a span whose parent is unknown is a root."""
    known = {str(span.get("spanId")) for span in spans}
    children: dict[str, list[type_json]] = {}
    for span in sorted(spans, key=lambda span: str(span.get("start"))):
        parent = str(span.get("parentId") or "")
        children.setdefault(parent if parent in known else "", []).append(span)
    stack = [(0, span) for span in reversed(children.get("", []))]
    while stack:
        depth, span = stack.pop()
        yield _line(depth, span)
        stack.extend((depth + 1, child) for child in reversed(children.get(str(span.get("spanId")), [])))


def _line(depth: int, span: type_json) -> SpanLine:
    start, end = datetime.fromisoformat(str(span["start"])), datetime.fromisoformat(str(span["end"]))
    return SpanLine(
        depth=depth,
        name=str(span.get("name", "")),
        service=str(span.get("service", "")),
        start=start,
        milliseconds=(end - start).total_seconds() * 1000,
        failed=str(span.get("status", "")).lower() == "error",
    )


def _bar(line: SpanLine, offset: float, total: float, width: int, colour: str) -> Text:
    label = ("  " * line.depth + line.name)[:NAME_WIDTH]
    before = min(width - 1, int(offset / total * width))
    length = max(1, min(width - before, round(line.milliseconds / total * width)))
    text = Text(f"{label:<{NAME_WIDTH}} ")
    text.append(f"{line.service[:16]:<17}", colour)
    text.append(
        " " * before + "█" * length + " " * (width - before - length), "red" if line.failed else colour
    )
    text.append(f" {duration(line.milliseconds):>8}", "dim")
    return text
