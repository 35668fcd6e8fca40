"""From a rule to the concrete answer: captured values filled in, tokens counted, tool calls given ids."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cadre_scripted.conversation import Conversation
from cadre_scripted.matching import Match
from cadre_scripted.scenario import Chunking, Fault, ToolCall

_PLACE = re.compile(r"\{\{\s*(\w+)\s*(?:\|\s*(number|json))?\s*\}\}")
_CHARACTERS_PER_TOKEN = 4


class FillError(ValueError):
    """A reply names something that was not captured, or that is no number; the message says which."""


@dataclass(frozen=True)
class AnsweredCall:
    """A tool call with its unique id; `arguments` is JSON text unless the scenario wanted otherwise."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """What a dialect renders."""

    id: str
    model: str
    text: str
    calls: tuple[AnsweredCall, ...]
    finish: str
    """stop, tool_calls, length or content_filter (OpenAI's words; other dialects translate)."""
    input_tokens: int
    output_tokens: int
    chunking: Chunking
    think: float
    fault: Fault | None


def build_answer(match: Match, asked: Conversation, new_id: Callable[[str], str]) -> Answer:
    """Fill in the reply of a matched rule; `new_id(prefix)` gives unique ids. FillError: unknown name."""
    reply = match.rule.reply
    text = fill_text(reply.text, match.captured)
    calls = tuple(_call(call, match.captured, new_id("call")) for call in reply.tool_calls)
    said = len(text) + sum(len(call.arguments) for call in calls)
    heard = sum(len(message.text) for message in asked.messages)
    return Answer(
        id=new_id("scripted"),
        model=asked.model,
        text=text,
        calls=calls,
        finish=reply.finish or ("tool_calls" if calls else "stop"),
        input_tokens=_tokens(heard) if reply.input_tokens is None else reply.input_tokens,
        output_tokens=_tokens(said) if reply.output_tokens is None else reply.output_tokens,
        chunking=reply.chunking,
        think=reply.think,
        fault=reply.fault,
    )


def fill_text(template: str, values: Mapping[str, str]) -> str:
    """Replace each `{{name}}`; FillError for an unknown name."""
    return _PLACE.sub(lambda place: str(_value(place, values)), template)


def fill_json(template: object, values: Mapping[str, str]) -> object:
    """Fill in every string of a JSON value; a string that is just `{{x|number}}` becomes a number."""
    if isinstance(template, str):
        whole = _PLACE.fullmatch(template)
        return _value(whole, values) if whole else fill_text(template, values)
    if isinstance(template, Mapping):
        return {str(key): fill_json(item, values) for key, item in template.items()}
    if isinstance(template, list):
        return [fill_json(item, values) for item in template]
    return template


def _value(place: re.Match[str], values: Mapping[str, str]) -> object:
    name, convert = place[1], place[2]
    if name not in values:
        raise FillError(f"{{{{{name}}}}} was not captured; known: {', '.join(sorted(values))}")
    if convert is None:
        return values[name]
    try:
        return json.loads(values[name].replace(",", "") if convert == "number" else values[name])
    except json.JSONDecodeError as error:
        raise FillError(f"{{{{{name}|{convert}}}}}: {values[name]!r:.80} is not a {convert}") from error


def _call(call: ToolCall, values: Mapping[str, str], call_id: str) -> AnsweredCall:
    if call.raw_arguments is not None:
        return AnsweredCall(call_id, call.name, fill_text(call.raw_arguments, values))
    arguments = json.dumps(fill_json(call.arguments, values), ensure_ascii=False)
    return AnsweredCall(call_id, call.name, arguments)


def _tokens(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)


def pieces(text: str, size: int) -> list[str]:
    """Cut text into pieces of `size` characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]
