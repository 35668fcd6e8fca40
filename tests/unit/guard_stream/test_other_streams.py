"""Ollama's lines and Anthropic's events: the same guarantees as the OpenAI stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadre_detect import restore_text
from cadre_guard.stream import StreamError
from cadre_guard.wire.anthropic_stream import MessagesStreamRestorer
from cadre_guard.wire.ollama_chat import ChatStreamRestorer
from tests.unit.guard_stream import frames as f

A, B, C = f.TOKENS
TEXT = f"Dear {A}, write to {B} in {C} ({f.UNKNOWN}). PERS"
RESTORED = restore_text(TEXT, f.VALUES)
SIZES = st.lists(st.integers(1, 40), max_size=60)


def _ollama(seed: int, *, last: str = "") -> bytes:
    frames: list[dict[str, Any]] = [{"message": {"thinking": p}} for p in f.cut(f"think {A}", seed)]
    frames += [{"message": {"role": "assistant", "content": p}} for p in f.cut(TEXT + last, seed)]
    call = {"function": {"name": "pay", "arguments": {"to": B}}}
    frames.append({"message": {"role": "assistant", "content": "", "tool_calls": [call]}})
    lines = [{"model": "m", "done": False, **frame} for frame in frames]
    end = {
        "model": "m",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "eval_count": 3,
    }
    return "".join(json.dumps(line) + "\n" for line in [*lines, end]).encode()


def _lines(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.decode().splitlines()]


@given(st.integers(0, 99), SIZES)
def test_ollama_in_any_chunking(seed: int, sizes: list[int]) -> None:
    machine = ChatStreamRestorer(f.VALUES)
    whole = f.run(machine, _ollama(seed))
    assert f.run(ChatStreamRestorer(f.VALUES), _ollama(seed), sizes) == whole
    frames = _lines(whole)
    assert "".join(frame["message"].get("content", "") for frame in frames) == RESTORED
    assert "".join(frame["message"].get("thinking", "") for frame in frames) == f"think {f.VALUES[A]}"
    call = next(frame for frame in frames if frame["message"].get("tool_calls"))["message"]["tool_calls"][0]
    assert call["function"]["arguments"] == {"to": f.VALUES[B]}
    assert frames[-1]["done"] and machine.record.finished and machine.record.text_masked == TEXT
    assert json.loads(machine.record.tool_calls[0].arguments_masked) == {"to": B}


def test_ollama_end_without_a_message_still_gives_up_what_is_held() -> None:
    data = json.dumps({"message": {"content": "PERS"}}) + "\n" + json.dumps({"done": True}) + "\n"
    frames = _lines(f.run(ChatStreamRestorer(f.VALUES), data.encode()))
    assert [frame.get("message", {}).get("content") for frame in frames] == ["", "PERS", None]


def test_ollama_cut_and_errors() -> None:
    machine = ChatStreamRestorer(f.VALUES)
    out = f.run(machine, json.dumps({"message": {"content": "at PERS"}}).encode() + b'\n{"mess')
    assert "".join(frame["message"]["content"] for frame in _lines(out)) == "at PERS"
    assert not machine.record.finished
    failed = ChatStreamRestorer(f.VALUES)
    f.run(failed, b'{"error":"no such model"}\n')
    assert failed.record.error == "ProviderError"
    with pytest.raises(StreamError):
        ChatStreamRestorer(f.VALUES).feed(b"garbage\n")


def _anthropic(frames: Iterable[dict[str, Any]]) -> bytes:
    return "".join(f"event: {frame['type']}\ndata: {json.dumps(frame)}\n\n" for frame in frames).encode()


def _block(index: int, block: dict[str, Any], kind: str, key: str, pieces: list[str]) -> list[dict[str, Any]]:
    deltas = [
        {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: piece}}
        for piece in pieces
    ]
    start = {"type": "content_block_start", "index": index, "content_block": block}
    return [start, *deltas, {"type": "content_block_stop", "index": index}]


def _messages(seed: int) -> bytes:
    arguments = json.dumps({"to": A, "n": 1})
    return _anthropic(
        [
            {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 9}}},
            *_block(0, {"type": "thinking", "thinking": ""}, "thinking_delta", "thinking", f.cut(A, seed)),
            *_block(1, {"type": "text", "text": ""}, "text_delta", "text", f.cut(TEXT, seed)),
            {"type": "ping"},
            *_block(
                2,
                {"type": "tool_use", "id": "t0", "name": "pay", "input": {}},
                "input_json_delta",
                "partial_json",
                f.cut(arguments, seed),
            ),
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ]
    )


@given(st.integers(0, 99), SIZES)
def test_anthropic_in_any_chunking(seed: int, sizes: list[int]) -> None:
    machine = MessagesStreamRestorer(f.VALUES)
    whole = f.run(machine, _messages(seed))
    assert f.run(MessagesStreamRestorer(f.VALUES), _messages(seed), sizes) == whole
    deltas = [frame["delta"] for frame in f.read_sse(whole) if frame["type"] == "content_block_delta"]
    assert "".join(delta.get("thinking", "") for delta in deltas) == A
    assert "".join(delta.get("text", "") for delta in deltas) == RESTORED
    arguments = "".join(delta.get("partial_json", "") for delta in deltas)
    assert json.loads(arguments) == {"to": f.VALUES[A], "n": 1}
    record = machine.record
    assert record.finished and record.finish_reason == "tool_use" and record.text_masked == TEXT
    assert record.usage == {"input_tokens": 9, "output_tokens": 5}
    assert [(call.id, call.name) for call in record.tool_calls] == [("t0", "pay")]


def test_anthropic_text_held_back_leaves_before_its_block_stops() -> None:
    data = _anthropic(_block(0, {"type": "text", "text": ""}, "text_delta", "text", ["by PERS"]))
    kinds = [frame["type"] for frame in f.read_sse(f.run(MessagesStreamRestorer(f.VALUES), data))]
    assert kinds == [
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
    ]


def test_anthropic_cut_and_errors() -> None:
    machine = MessagesStreamRestorer(f.VALUES)
    data = _anthropic(_block(0, {"type": "text", "text": ""}, "text_delta", "text", ["by PERS"])[:2])
    out = f.read_sse(f.run(machine, data + b'data: {"type":"content_blo'))
    assert "".join(frame["delta"]["text"] for frame in out[1:]) == "by PERS"
    assert not machine.record.finished
    f.run(machine, _anthropic([{"type": "error", "error": {"type": "overloaded_error"}}]))
    assert machine.record.error == "overloaded_error"
