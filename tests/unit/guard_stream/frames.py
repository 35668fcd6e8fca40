"""Streams as a model server sends them, and how an agent reads them back."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from cadre_detect import make_token

KEELER = 'Hanna "H" Keller\\\n'
VALUES = {
    make_token(b"k", "1", "PERSON", KEELER): KEELER,
    make_token(b"k", "1", "EMAIL_ADDRESS", "a@b.example"): "a@b.example",
    make_token(b"k", "1", "LOCATION", "Köln 🏠"): "Köln 🏠",
}
TOKENS = sorted(VALUES)
UNKNOWN = make_token(b"other tenant", "1", "PERSON", "somebody")


class Machine(Protocol):
    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


def run(machine: Machine, data: bytes, sizes: Iterable[int] = ()) -> bytes:
    """Everything the machine says when fed in pieces of these sizes, the last repeated."""
    out, position, size = b"", 0, len(data) or 1
    steps = iter(sizes)
    while position < len(data):
        size = next(steps, size)
        out += machine.feed(data[position : position + size])
        position += size
    return out + machine.finish()


def sse(frames: Iterable[object], *, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(frame, ensure_ascii=False)}\n\n" for frame in frames]
    return "".join([*lines, *(["data: [DONE]\n\n"] if done else [])]).encode()


def lines(frames: Iterable[object]) -> bytes:
    return "".join(f"{json.dumps(frame)}\n" for frame in frames).encode()


def read_lines(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.splitlines()]


def read_sse(data: bytes) -> list[Any]:
    payloads = [line[6:] for line in data.decode().split("\n") if line.startswith("data: ")]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]


def cut(text: str, seed: int) -> list[str]:
    """The text in random pieces of one to nine characters."""
    source, pieces = random.Random(seed), []
    while text:
        size = source.randint(1, 9)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def chunk(delta: dict[str, object], choice: int = 0, finish: str | None = None) -> dict[str, object]:
    return {"id": "c1", "model": "m", "choices": [{"index": choice, "delta": delta, "finish_reason": finish}]}


def call_delta(index: int, arguments: str, **more: object) -> dict[str, object]:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}, **more}]}


def joined(frames: Iterable[Any], pick: Callable[[Any], str | None]) -> str:
    """What an agent assembles from all deltas."""
    deltas = [c["delta"] for f in frames if f != "[DONE]" for c in f["choices"]]
    return "".join(pick(delta) or "" for delta in deltas)


def arguments_of(index: int) -> Callable[[Any], str]:
    def pick(delta: Any) -> str:
        calls = delta.get("tool_calls") or []
        return "".join(call["function"].get("arguments", "") for call in calls if call["index"] == index)

    return pick
