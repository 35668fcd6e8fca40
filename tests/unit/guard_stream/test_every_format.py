"""Every streamed format, as real servers frame it: cut anywhere it restores the same, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadre_detect import restore_text
from cadre_guard.stream import StreamError
from cadre_guard.wire.dialect import Dialect
from cadre_guard.wire.dialects import (
    ANTHROPIC_MESSAGES,
    GEMINI,
    OLLAMA_CHAT,
    OLLAMA_GENERATE,
    OPENAI_CHAT,
    OPENAI_COMPLETIONS,
    OPENAI_RESPONSES,
)
from cadre_guard.wire.record import CompletionRecord, ToolCallIds
from cadre_guard.wire.verbatim import VerbatimStream
from cadre_scripted.answer import Answer, AnsweredCall
from cadre_scripted.conversation import Conversation
from cadre_scripted.dialects import Dialect as Server
from cadre_scripted.dialects.anthropic import Anthropic
from cadre_scripted.dialects.completions import Completions
from cadre_scripted.dialects.gemini import Gemini
from cadre_scripted.dialects.ollama import Ollama, OllamaGenerate
from cadre_scripted.dialects.openai import OpenAI
from cadre_scripted.dialects.responses import Responses
from cadre_scripted.scenario import Chunking
from tests.unit.guard_stream import frames as f
from tests.unit.guard_stream.hearing import hear

A, B, C = f.TOKENS
ASKED = Conversation("m", True, ())
FORMATS: dict[str, tuple[Dialect, Server]] = {
    "chat": (OPENAI_CHAT, OpenAI()),
    "completions": (OPENAI_COMPLETIONS, Completions()),
    "responses": (OPENAI_RESPONSES, Responses()),
    "messages": (ANTHROPIC_MESSAGES, Anthropic()),
    "ollama": (OLLAMA_CHAT, Ollama()),
    "generate": (OLLAMA_GENERATE, OllamaGenerate()),
    "gemini": (GEMINI, Gemini(stream=True)),
}
TEXT_ONLY = frozenset({"completions", "generate"})
ODDITIES = ["A", "PERSON", "x1", "é🏠", " and ", '"', "\\", "\n", "lower case words", A[:-1], f.UNKNOWN]
TEXTS = st.lists(st.sampled_from([A, B, C, *ODDITIES]), min_size=1, max_size=8).map("".join)
SIZES = st.lists(st.integers(1, 40), max_size=40)


def _answer(text: str, arguments: list[str], size: int) -> Answer:
    calls = [AnsweredCall(f"call_{i}", f"tool_{i}", given) for i, given in enumerate(arguments)]
    chunking = Chunking(characters=size)
    return Answer("a1", "m", text, tuple(calls), "tool_calls" if calls else "stop", 5, 7, chunking, 0, None)


def _stream(name: str, answer: Answer) -> bytes:
    return b"".join(FORMATS[name][1].frames(answer, ASKED, 1.5))


def _machine(name: str) -> Any:
    make = FORMATS[name][0].stream
    assert make is not None
    return make(f.VALUES)


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=15)
@given(text=TEXTS, argument=TEXTS, size=st.integers(1, 9), sizes=SIZES)
def test_any_cut_restores_the_same_and_arguments_parse(
    name: str, text: str, argument: str, size: int, sizes: list[int]
) -> None:
    given_arguments = [] if name in TEXT_ONLY else [json.dumps({"to": argument, "n": [1, argument]}), "{}"]
    data = _stream(name, _answer(text, given_arguments, size))
    machine = _machine(name)
    whole = f.run(machine, data)

    assert f.run(_machine(name), data, sizes) == whole
    assert f.run(_machine(name), data, [1]) == whole
    heard = hear(name, whole)
    assert heard.text == restore_text(text, f.VALUES)
    if given_arguments:
        real = restore_text(argument, f.VALUES)
        found = [json.loads(arguments or "{}") for _, arguments in sorted((heard.calls or {}).items())]
        assert found == [{"to": real, "n": [1, real]}, {}]
    _check_record(machine.record, text, given_arguments)


def _check_record(record: CompletionRecord, text: str, arguments: list[str]) -> None:
    """The record holds what the model said, with tokens."""
    assert record.finished and record.error is None
    assert record.text_masked == text
    assert [json.loads(call.arguments_masked) for call in record.tool_calls] == list(
        map(json.loads, arguments)
    )
    assert [call.name for call in record.tool_calls] == [f"tool_{i}" for i in range(len(arguments))]


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=6)
@given(text=TEXTS, argument=TEXTS, size=st.integers(1, 9), sizes=SIZES, ends=st.sampled_from(["\n", "\r\n"]))
def test_what_nobody_restores_passes_to_the_byte_and_is_recorded(
    name: str, text: str, argument: str, size: int, sizes: list[int], ends: str
) -> None:
    nameless = name in TEXT_ONLY or name == "ollama"  # a call without an id is given one
    given_arguments = [] if nameless else [json.dumps({"to": argument}), "{}"]
    data = _stream(name, _answer(text, given_arguments, size)).replace(b"\n", ends.encode())
    for cut in ([], [1], sizes):
        machine = VerbatimStream(FORMATS[name][0].stream)  # type: ignore[arg-type]
        assert f.run(machine, data, cut) == data
        _check_record(machine.record, text, given_arguments)
        assert machine.ended and machine.finish_reason is not None


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - TEXT_ONLY - {"gemini"}))
def test_a_call_whose_id_is_taken_gets_another_and_nothing_else_changes(name: str) -> None:
    data = _stream(name, _answer("Said", ["{}"], 2))
    machine = VerbatimStream(FORMATS[name][0].stream, ToolCallIds("new_", {"call_0"}))  # type: ignore[arg-type]

    said = f.run(machine, data)

    assert [call.id for call in machine.record.tool_calls] == ["new_0"]
    assert b"new_0" in said and b'"call_0"' not in said
    assert hear(name, said).text == "Said"


@pytest.mark.parametrize("name", FORMATS)
def test_whole_replies_restore_like_streams(name: str) -> None:
    dialect, server = FORMATS[name]
    calls = [] if name in TEXT_ONLY else [json.dumps({"to": f"{A} {B}"})]
    server = Gemini(stream=False) if name == "gemini" else server
    reply, record = dialect.restore(server.whole(_answer(f"to {A}", calls, 5), 1.5), f.VALUES)  # type: ignore[arg-type]

    said = json.dumps(reply)
    assert f.VALUES[A] in json.loads(json.dumps(_leaves(reply))) or json.dumps(f.VALUES[A])[1:-1] in said
    assert A not in said and B not in said
    _check_record(record, f"to {A}", calls)


def _leaves(value: object) -> list[str]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("name", FORMATS)
def test_frames_without_a_token_leave_as_they_came(name: str) -> None:
    data = _stream(name, _answer("all in lower case, nothing to restore.", [], 4))

    assert f.run(_machine(name), data, [7]) == data


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=15)
@given(end=st.integers(0, 3000), size=st.integers(1, 9))
def test_a_stream_cut_anywhere_gives_up_what_it_held_and_guesses_nothing(
    name: str, end: int, size: int
) -> None:
    text = f"Dear {A}, see {f.UNKNOWN} and {B}. By PERS"
    data = _stream(name, _answer(text, [], size))[:end]
    make = FORMATS[name][0].stream
    assert make is not None

    masked = hear(name, f.run(make({}), data))

    assert hear(name, f.run(_machine(name), data)).text == restore_text(masked.text, f.VALUES)


LANES: dict[str, list[Callable[[str], dict[str, Any]]]] = {
    "chat": [
        lambda piece: f.chunk({"content": piece}),
        lambda piece: f.chunk({"content": piece}, choice=1),
        lambda piece: f.chunk({"reasoning_content": piece}),
    ],
    "messages": [
        lambda piece, i=i: {
            "type": "content_block_delta",
            "index": i,
            "delta": {"type": "text_delta", "text": piece},
        }
        for i in range(3)
    ],
    "responses": [
        lambda piece, i=i: {
            "type": "response.output_text.delta",
            "output_index": i,
            "content_index": 0,
            "delta": piece,
        }
        for i in range(3)
    ],
    "completions": [lambda piece, i=i: {"choices": [{"index": i, "text": piece}]} for i in range(3)],
    "gemini": [
        lambda piece, i=i: {"candidates": [{"index": i, "content": {"parts": [{"text": piece}]}}]}
        for i in range(3)
    ],
    "ollama": [
        lambda piece: {"message": {"role": "assistant", "content": piece}},
        lambda piece: {"message": {"role": "assistant", "content": "", "thinking": piece}},
    ],
}


@pytest.mark.parametrize("name", LANES)
@settings(deadline=None, max_examples=15)
@given(
    texts=st.lists(TEXTS, min_size=3, max_size=3),
    order=st.randoms(use_true_random=False),
    seed=st.integers(0, 99),
)
def test_any_interleaving_of_lanes_restores_each_as_if_alone(
    name: str, texts: list[str], order: Any, seed: int
) -> None:
    texts = texts[: len(LANES[name])]
    waiting = [f.cut(text, seed + i) for i, text in enumerate(texts)]
    frames = []
    while any(waiting):
        lane = order.choice([i for i, pieces in enumerate(waiting) if pieces])
        frames.append(LANES[name][lane](waiting[lane].pop(0)))

    out = f.run(_machine(name), f.lines(frames) if name == "ollama" else f.sse(frames, done=False))

    found = [""] * len(texts)
    for frame in f.read_lines(out) if name == "ollama" else f.read_sse(out):
        lane, text = _lane_of(name, frame)
        found[lane] += text
    assert found == [restore_text(text, f.VALUES) for text in texts]


def _lane_of(name: str, frame: Any) -> tuple[int, str]:
    if name == "messages":
        return frame["index"], frame["delta"]["text"]
    if name == "responses":
        return frame["output_index"], frame["delta"]
    if name == "completions":
        return frame["choices"][0]["index"], frame["choices"][0]["text"]
    if name == "gemini":
        (candidate,) = frame["candidates"]
        return candidate["index"], "".join(part["text"] for part in candidate["content"]["parts"])
    if name == "ollama":
        thought = frame["message"].get("thinking")
        return (1, thought) if thought else (0, frame["message"].get("content", ""))
    choice = frame["choices"][0]
    thought = choice["delta"].get("reasoning_content")
    return (2, thought) if thought is not None else (choice["index"], choice["delta"]["content"])


@pytest.mark.parametrize("name", FORMATS)
def test_garbage_and_endless_frames_end_the_stream(name: str) -> None:
    for data in (b"data: {\xff}\n\n{\xff}\n", b"data: [1]\n\n[1]\n", b"data: " + b"x" * 5_000_000):
        with pytest.raises(StreamError):
            f.run(_machine(name), data)


@pytest.mark.parametrize("name", FORMATS)
def test_the_gateways_refusal_is_kept_for_the_record_and_not_passed_on(name: str) -> None:
    frame = json.dumps({"error": {"message": "m", "code": "BudgetExceeded"}, "reason": "BudgetExceeded"})
    dialect = FORMATS[name][0]
    data = f"{frame}\n" if dialect.content_type == "application/x-ndjson" else f"data: {frame}\n\n"
    machine = _machine(name)

    assert f.run(machine, data.encode()) == b""
    assert machine.record.error == "BudgetExceeded" and not machine.record.finished
