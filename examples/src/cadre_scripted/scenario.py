"""The scenario as data: what a rule asks of a request and what it answers.

The language is described in examples/README.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from cadre_scripted.reading import Reader, ScenarioError

FORMAT = "cadre-scripted/1"
SOURCES = ("system", "user", "toolResult", "any")


@dataclass(frozen=True)
class Capture:
    """A piece of the conversation to remember: group 1 of `pattern`, or all of it, newest message first."""

    name: str
    pattern: re.Pattern[str]
    source: str = "any"


@dataclass(frozen=True)
class When:
    """What must hold for a rule to answer; texts are contained, letter case ignored; all must hold."""

    system: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    any_message: tuple[str, ...] = ()
    tool_result: tuple[str, ...] = ()
    tool_result_of: str = ""
    last_role: str = ""
    offers: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    not_called: tuple[str, ...] = ()
    turn: int | None = None
    stream: bool | None = None
    model: str = ""
    captures: tuple[Capture, ...] = ()


@dataclass(frozen=True)
class Chunking:
    """How a stream is cut: characters per delta, bytes per write (0 = one event each), pause in seconds."""

    characters: int = 16
    bytes: int = 0
    delay: float = 0.0


@dataclass(frozen=True)
class Fault:
    """Misbehaviour instead of, or in the middle of, the answer."""

    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    garbage: str = ""
    error_event: str = ""
    empty: bool = False
    silent: bool = False
    cut_after: int | None = None
    hang_after: int | None = None


@dataclass(frozen=True)
class ToolCall:
    """A tool call to answer with; `raw_arguments` sends text that need not be JSON."""

    name: str
    arguments: object = None
    raw_arguments: str | None = None


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    think: float = 0.0
    chunking: Chunking = Chunking()
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish: str = ""
    fault: Fault | None = None


@dataclass(frozen=True)
class Rule:
    """The first rule whose `when` holds answers; `times` limits how often (0 = always)."""

    name: str
    when: When
    reply: Reply
    times: int = 0


@dataclass(frozen=True)
class Scenario:
    """A whole file."""

    name: str
    model: str
    rules: tuple[Rule, ...]


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; ScenarioError names the place and the fix."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    try:
        return parse_scenario(document, path.stem)
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error


def parse_scenario(document: object, name: str = "scenario") -> Scenario:
    """Build a scenario from parsed YAML; ScenarioError names the place and the fix."""
    reader = Reader(document, "")
    reader.only("format", "name", "model", "defaults", "rules")
    if reader.text("format") != FORMAT:
        raise ScenarioError(f"format: this program plays {FORMAT!r}")
    defaults = reader.child("defaults")
    defaults.only("think", "chunk")
    base = Reply(think=defaults.seconds("think"), chunking=_chunking(defaults.child("chunk"), Chunking()))
    rules = reader.children("rules", lambda item: _rule(item, base))
    if not rules:
        raise ScenarioError("rules: write at least one rule")
    names = [rule.name for rule in rules]
    for repeated in {n for n in names if names.count(n) > 1}:
        raise ScenarioError(f"rules: two rules are named {repeated!r}")
    return Scenario(reader.text("name", name), reader.text("model", "scripted"), rules)


def _rule(reader: Reader, base: Reply) -> Rule:
    reader.only("name", "when", "reply", "times")
    if not reader.has("reply"):
        raise ScenarioError(f"{reader.at('reply')}: missing; say what this rule answers")
    return Rule(
        name=reader.text("name"),
        when=_when(reader.child("when")),
        reply=_reply(reader.child("reply"), base),
        times=reader.integer("times", 0),
    )


def _when(reader: Reader) -> When:
    reader.only(
        *("system", "user", "anyMessage", "toolResult", "toolResultOf", "lastRole", "offers", "lacks"),
        *("called", "notCalled", "turn", "stream", "model", "capture"),
    )
    return When(
        system=reader.texts("system"),
        user=reader.texts("user"),
        any_message=reader.texts("anyMessage"),
        tool_result=reader.texts("toolResult"),
        tool_result_of=reader.text("toolResultOf", ""),
        last_role=reader.text("lastRole", ""),
        offers=reader.texts("offers"),
        lacks=reader.texts("lacks"),
        called=reader.texts("called"),
        not_called=reader.texts("notCalled"),
        turn=reader.integer("turn") if reader.has("turn") else None,
        stream=reader.flag("stream"),
        model=reader.text("model", ""),
        captures=_captures(reader.child("capture")),
    )


def _captures(reader: Reader) -> tuple[Capture, ...]:
    return tuple(_capture(reader, name) for name in reader.keys())  # noqa: SIM118 - not a dict


def _capture(reader: Reader, name: str) -> Capture:
    source, where, pattern = "any", reader.at(name), reader.raw(name)
    if not isinstance(pattern, str):
        entry = reader.child(name)
        entry.only("pattern", "from")
        pattern, source = entry.text("pattern"), entry.text("from", "any")
    if source not in SOURCES:
        raise ScenarioError(f"{where}.from: expected one of {', '.join(SOURCES)}, found {source!r}")
    try:
        return Capture(name, re.compile(pattern, re.DOTALL), source)
    except re.error as error:
        raise ScenarioError(f"{where}: {pattern!r} is not a regular expression: {error}") from error


def _chunking(reader: Reader, base: Chunking) -> Chunking:
    reader.only("characters", "bytes", "delay")
    return Chunking(
        characters=max(1, reader.integer("characters", base.characters)),
        bytes=reader.integer("bytes", base.bytes),
        delay=reader.seconds("delay", base.delay),
    )


def _reply(reader: Reader, base: Reply) -> Reply:
    reader.only("text", "toolCalls", "think", "chunk", "usage", "finish", "fault")
    usage = reader.child("usage")
    usage.only("input", "output")
    reply = Reply(
        text=reader.text("text", ""),
        tool_calls=reader.children("toolCalls", _tool_call),
        think=reader.seconds("think", base.think),
        chunking=_chunking(reader.child("chunk"), base.chunking),
        input_tokens=usage.integer("input") if usage.has("input") else None,
        output_tokens=usage.integer("output") if usage.has("output") else None,
        finish=reader.text("finish", ""),
        fault=_fault(reader.child("fault")) if reader.has("fault") else None,
    )
    if not (reply.text or reply.tool_calls or reply.fault):
        raise ScenarioError(f"{reader.path}: write text, toolCalls or fault")
    return reply


def _tool_call(reader: Reader) -> ToolCall:
    reader.only("name", "arguments", "rawArguments")
    raw = reader.text("rawArguments") if reader.has("rawArguments") else None
    return ToolCall(reader.text("name"), reader.raw("arguments") or {}, raw)


def _fault(reader: Reader) -> Fault:
    reader.only(
        "status", "body", "headers", "garbage", "errorEvent", "empty", "silent", "cutAfter", "hangAfter"
    )
    headers = reader.child("headers")
    return Fault(
        status=reader.integer("status", 0),
        body=reader.text("body", ""),
        headers={name: headers.text(name) for name in headers.keys()},  # noqa: SIM118 - not a dict
        garbage=reader.text("garbage", ""),
        error_event=reader.text("errorEvent", ""),
        empty=bool(reader.flag("empty")),
        silent=bool(reader.flag("silent")),
        cut_after=reader.integer("cutAfter") if reader.has("cutAfter") else None,
        hang_after=reader.integer("hangAfter") if reader.has("hangAfter") else None,
    )
