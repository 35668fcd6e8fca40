"""The OpenAI stream: restored exactly in any chunking, in the order agents rely on, with a true record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadre_detect import restore_text
from cadre_guard.stream import StreamError
from cadre_guard.wire.openai_stream import ChatStreamRestorer
from cadre_guard.wire.record import ToolCallIds, ToolCallRecord
from tests.unit.guard_stream import frames as f

A, B, C = f.TOKENS
TEXT = f"Dear {A}, write to {B} in {C} ({f.UNKNOWN}). AB{A}"
ARGUMENTS = json.dumps({"to": B, "name": f"say {A}", "n": 5})
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def _conversation(seed: int) -> bytes:
    frames: list[object] = [f.chunk({"role": "assistant", "content": ""})]
    frames += [f.chunk({"reasoning_content": piece}) for piece in f.cut(f"think {A}", seed)]
    frames += [f.chunk({"content": piece}) for piece in f.cut(TEXT, seed)]
    frames.append(f.chunk(f.call_delta(0, "", id="call_0", type="function")))
    frames += [f.chunk(f.call_delta(0, piece)) for piece in f.cut(ARGUMENTS, seed)]
    frames.append(f.chunk(f.call_delta(1, "", id="call_1", type="function")))
    frames += [f.chunk(f.call_delta(1, piece)) for piece in f.cut(ARGUMENTS, seed + 1)]
    frames += [f.chunk({"content": piece}, choice=1) for piece in f.cut(TEXT, seed + 2)]
    frames += [f.chunk({}, finish="tool_calls"), f.chunk({}, choice=1, finish="stop")]
    frames.append({"id": "c1", "choices": [], "usage": USAGE})
    return f.sse(frames)


@given(st.integers(0, 50), st.lists(st.integers(1, 40), max_size=60))
def test_any_chunking_gives_the_same_bytes(seed: int, sizes: list[int]) -> None:
    data = _conversation(seed)
    whole = f.run(ChatStreamRestorer(f.VALUES), data)
    assert f.run(ChatStreamRestorer(f.VALUES), data, sizes) == whole


def test_byte_by_byte() -> None:
    data = _conversation(1)
    assert f.run(ChatStreamRestorer(f.VALUES), data, [1]) == f.run(ChatStreamRestorer(f.VALUES), data)


@given(st.integers(0, 200))
def test_the_agent_reads_real_values_and_valid_arguments(seed: int) -> None:
    frames = f.read_sse(f.run(ChatStreamRestorer(f.VALUES), _conversation(seed)))
    first = [frame for frame in frames if frame == "[DONE]" or all(c["index"] == 0 for c in frame["choices"])]
    assert f.joined(first, lambda d: d.get("content")) == restore_text(TEXT, f.VALUES)
    assert f.joined(first, lambda d: d.get("reasoning_content")) == restore_text(f"think {A}", f.VALUES)
    for index in (0, 1):
        arguments = json.loads(f.joined(first, f.arguments_of(index)))
        assert arguments == {"to": f.VALUES[B], "name": f"say {f.VALUES[A]}", "n": 5}
    assert frames[-1] == "[DONE]" and frames[-2]["usage"] == USAGE


def test_no_text_follows_the_first_tool_call_and_nothing_follows_the_finish_reason() -> None:
    data = f.sse([f.chunk({"content": "to PERSON"}), f.chunk(f.call_delta(0, '{"a":"X', id="c"))])
    data += f.sse([f.chunk(f.call_delta(0, 'Y"}')), f.chunk({"content": None}, finish="tool_calls")])
    kinds = [
        _kind(frame) for frame in f.read_sse(f.run(ChatStreamRestorer(f.VALUES), data)) if frame != "[DONE]"
    ]
    assert kinds[-1] == "finish"
    assert "text" not in kinds[kinds.index("call") :]


def _kind(frame: Any) -> str:
    choice = frame["choices"][0]
    if choice["finish_reason"]:
        return "finish"
    return "call" if choice["delta"].get("tool_calls") else "text"


def test_last_delta_in_the_finishing_chunk_is_complete() -> None:
    data = f.sse([f.chunk({"content": "by PER"}), f.chunk({"content": "SON"}, finish="length")])
    frames = f.read_sse(f.run(ChatStreamRestorer(f.VALUES), data))
    assert frames[-2]["choices"][0]["delta"]["content"].endswith("PERSON")
    whole_call = f.sse([f.chunk(f.call_delta(0, '{"a":"ABC'), finish="length")])
    frames = f.read_sse(f.run(ChatStreamRestorer(f.VALUES), whole_call))
    assert f.joined(frames, f.arguments_of(0)) == '{"a":"ABC'


def test_record_holds_tokens_and_no_values() -> None:
    machine = ChatStreamRestorer(f.VALUES)
    f.run(machine, _conversation(3))
    record = machine.record
    assert record.finished and record.finish_reason == "stop" and record.usage == USAGE
    assert [call.id for call in record.tool_calls] == ["call_0", "call_1"]
    assert record.tool_calls[0].arguments_masked == ARGUMENTS
    assert record.text_masked.startswith(TEXT)


def test_name_and_id_of_a_call_are_recorded() -> None:
    machine = ChatStreamRestorer({})
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "pay", "arguments": "{}"}}
    f.run(machine, f.sse([f.chunk({"tool_calls": [call]}, finish="tool_calls")]))
    assert machine.record.tool_calls == (ToolCallRecord("a", "pay", "{}"),)


@pytest.mark.parametrize("end", ["nothing", "half a frame", "no done", "no reason"])
def test_a_cut_stream_is_not_finished_and_gives_up_what_it_held(end: str) -> None:
    machine = ChatStreamRestorer(f.VALUES)
    tail = {
        "nothing": b"",
        "half a frame": b'data: {"choices":[{"ind',
        "no done": f.sse([f.chunk({}, finish="stop")], done=False),
        "no reason": b"data: [DONE]\n\n",
    }[end]
    out = f.run(machine, f.sse([f.chunk({"content": f"at {A[:20]}"})], done=False) + tail)
    assert f.joined(f.read_sse(out), lambda d: d.get("content")) == f"at {A[:20]}"
    assert not machine.record.finished


def test_an_error_frame_is_recorded_and_passed() -> None:
    machine = ChatStreamRestorer(f.VALUES)
    out = f.run(machine, f.sse([{"error": {"message": f"bad {B}", "type": "overloaded"}}]))
    assert machine.record.error == "overloaded" and not machine.record.finished
    assert f.read_sse(out)[0]["error"]["message"] == f"bad {f.VALUES[B]}"


GARBAGE = ["not json", "[]", '{"choices": 3}', '{"choices": ["x"]}', '{"choices":[{"delta":"x"}]}']


@pytest.mark.parametrize("frame", GARBAGE)
def test_garbage_ends_the_stream(frame: str) -> None:
    with pytest.raises(StreamError) as caught:
        ChatStreamRestorer({}).feed(f"data: {frame}\n\n".encode())
    assert caught.value.reason == "MalformedEvent"


def test_keep_alives_pass_at_once() -> None:
    assert ChatStreamRestorer({}).feed(b": keepalive\n") == b": keepalive\n\n"


def test_ids_are_unique_in_a_session() -> None:
    seen: set[str] = set()
    ids = []
    for number in range(3):
        machine = ChatStreamRestorer({}, ToolCallIds(f"m{number}_", seen))
        named = f.chunk(f.call_delta(0, "{}", id="call_0"))
        unnamed = f.chunk(f.call_delta(1, "{}"), finish="tool_calls")
        frames = f.read_sse(
            f.run(machine, f.sse([named, f.chunk(f.call_delta(0, "", id="call_0")), unnamed]))
        )
        told = {c["id"] for fr in frames if fr != "[DONE]" for c in fr["choices"][0]["delta"]["tool_calls"]}
        assert told == {call.id for call in machine.record.tool_calls}
        ids += [call.id for call in machine.record.tool_calls]
    assert len(set(ids)) == 6 and ids[0] == "call_0"
