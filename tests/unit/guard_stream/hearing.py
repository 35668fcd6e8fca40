"""What an SDK puts together from a stream: the text, and each call's arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Delta = tuple[str, int | None, str]
"""Text; the call it belongs to and a piece of that call's arguments."""


@dataclass
class Heard:
    """All deltas, joined."""

    text: str = ""
    calls: dict[int, str] = field(default_factory=dict)


def hear(name: str, data: bytes) -> Heard:
    """A stream of one of the formats, read by its deltas alone."""
    heard = Heard()
    payloads = [line.removeprefix("data: ") for line in data.decode().splitlines()]
    for frame in [json.loads(payload) for payload in payloads if payload.startswith("{")]:
        for text, index, arguments in _READERS[name](frame):
            heard.text += text
            if index is not None:
                heard.calls[index] = heard.calls.get(index, "") + arguments
    return heard


def _chat(frame: Any) -> Iterator[Delta]:
    for choice in frame["choices"]:
        yield choice["delta"].get("content") or "", None, ""
        for call in choice["delta"].get("tool_calls") or ():
            yield "", call["index"], call["function"].get("arguments", "")


def _completions(frame: Any) -> Iterator[Delta]:
    yield from ((choice["text"], None, "") for choice in frame["choices"])


def _responses(frame: Any) -> Iterator[Delta]:
    if frame["type"] == "response.output_text.delta":
        yield frame["delta"], None, ""
    if frame["type"] == "response.function_call_arguments.delta":
        yield "", frame["output_index"], frame["delta"]


def _messages(frame: Any) -> Iterator[Delta]:
    if frame["type"] == "content_block_delta":
        delta = frame["delta"]
        index = frame["index"] if "partial_json" in delta else None
        yield delta.get("text", ""), index, delta.get("partial_json", "")


def _ollama(frame: Any) -> Iterator[Delta]:
    yield frame["message"]["content"], None, ""
    for index, call in enumerate(frame["message"].get("tool_calls") or ()):
        yield "", index, json.dumps(call["function"]["arguments"])


def _generate(frame: Any) -> Iterator[Delta]:
    yield frame["response"], None, ""


def _gemini(frame: Any) -> Iterator[Delta]:
    for index, part in enumerate(frame["candidates"][0]["content"]["parts"]):
        call = part.get("functionCall")
        yield part.get("text", ""), index if call else None, json.dumps(call["args"]) if call else ""


_READERS: Mapping[str, Callable[[Any], Iterator[Delta]]] = {
    "chat": _chat,
    "completions": _completions,
    "responses": _responses,
    "messages": _messages,
    "ollama": _ollama,
    "generate": _generate,
    "gemini": _gemini,
}
