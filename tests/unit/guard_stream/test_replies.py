"""Whole replies and requests of the three formats."""

from __future__ import annotations

import json

import pytest

from cadre_detect import DetectionError, MaskPolicy, apply, plan
from cadre_detect.jsonwalk import Json, WalkRules
from cadre_guard.wire import anthropic_messages, ollama_chat, openai_chat
from cadre_guard.wire.body import encode_body, parse_body
from cadre_guard.wire.record import ToolCallIds
from tests.unit.detect.samples import SEEDED, patterns_only, tokens_for, values_of
from tests.unit.guard_stream.frames import TOKENS, VALUES

A, B, _ = TOKENS
MAIL = SEEDED["EMAIL_ADDRESS"]
TOOL = {"type": "function", "function": {"name": "pay", "parameters": {"type": "object", "required": ["to"]}}}


def _masked(request: Json, rules: WalkRules) -> tuple[Json, dict[str, str]]:
    planned = plan(request, patterns_only(), MaskPolicy(), rules=rules)
    tokens = tokens_for(planned)
    return apply(planned, tokens), values_of(tokens)


def _openai_request() -> dict[str, Json]:
    arguments = json.dumps({"to": MAIL, "note": f'"{SEEDED["PERSON"]}"'})
    call = {"id": "call_0", "type": "function", "function": {"name": "pay", "arguments": arguments}}
    return {
        "model": "gpt-4o-2024-08-06",
        "stream": True,
        "seed": 2125550123,
        "tools": [TOOL],
        "user": MAIL,
        "messages": [
            {"role": "system", "content": f"You work for {SEEDED['PERSON']}."},
            {"role": "user", "name": "Hanna Keller", "content": [{"type": "text", "text": f"pay {MAIL}"}]},
            {"role": "assistant", "content": None, "reasoning_content": MAIL, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_0", "content": json.dumps({MAIL: SEEDED["IBAN_CODE"]})},
            {"role": "assistant", "content": SEEDED["API_KEY"], "refusal": MAIL, "new_field": [MAIL]},
        ],
    }


def test_openai_request_is_masked_at_every_position() -> None:
    request = _openai_request()
    masked, values = _masked(request, openai_chat.REQUEST)
    wire = encode_body(masked).decode()
    assert not any(value in wire for value in SEEDED.values())
    assert isinstance(masked, dict)
    for name in ("model", "stream", "seed", "tools"):
        assert masked[name] == request[name]
    call = masked["messages"][2]["tool_calls"][0]
    assert (call["id"], call["function"]["name"]) == ("call_0", "pay")
    arguments = json.loads(call["function"]["arguments"])
    assert set(arguments) == {"to", "note"} and values[arguments["to"]] == MAIL


def test_openai_reply_is_restored_and_recorded_masked() -> None:
    call = {"id": "call_0", "function": {"name": "pay", "arguments": json.dumps({"to": A})}}
    choice = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"content": f"to {B}", "tool_calls": [call]},
    }
    body: Json = {"id": A, "choices": [choice], "usage": {"total_tokens": 3}}
    assert isinstance(body, dict)
    reply, record = openai_chat.restore_reply(body, VALUES, ToolCallIds("m1_", {"call_0"}))
    message = json.loads(encode_body(reply))["choices"][0]["message"]
    assert message["content"] == f"to {VALUES[B]}"
    assert message["tool_calls"][0]["id"] == "m1_0" == record.tool_calls[0].id
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"to": VALUES[A]}
    assert record.finished and record.text_masked == f"to {B}" and record.usage == {"total_tokens": 3}
    assert record.tool_calls[0].arguments_masked == json.dumps({"to": A})


def test_openai_arguments_that_are_not_json_are_restored_escaped() -> None:
    call = {"id": "c", "function": {"name": "pay", "arguments": f'{{"to": "{A}"'}}
    reply, _ = openai_chat.restore_reply({"choices": [{"message": {"tool_calls": [call]}}]}, VALUES)
    restored = json.loads(encode_body(reply))["choices"][0]["message"]["tool_calls"][0]["function"][
        "arguments"
    ]
    assert json.loads(restored + "}") == {"to": VALUES[A]}


def test_an_error_reply_is_not_finished() -> None:
    for restore in (openai_chat.restore_reply, ollama_chat.restore_reply, anthropic_messages.restore_reply):
        _, record = restore({"error": {"type": "overloaded", "message": "x"}}, VALUES)
        assert (record.finished, record.error) == (False, "overloaded")


def test_ollama_request_and_reply() -> None:
    call = {"function": {"name": "pay", "arguments": {"to": MAIL}}}
    request: Json = {
        "model": "llama3.2",
        "options": {"num_ctx": 8192},
        "messages": [
            {"role": "user", "content": MAIL},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ],
    }
    masked, _ = _masked(request, ollama_chat.REQUEST)
    assert isinstance(masked, dict) and MAIL not in str(masked) and masked["options"] == {"num_ctx": 8192}
    message = {
        "role": "assistant",
        "content": f"to {B} PERS",
        "tool_calls": [{"function": {"name": "p", "arguments": {"to": A}}}],
    }
    reply, record = ollama_chat.restore_reply({"message": message, "done": True, "eval_count": 2}, VALUES)
    restored = json.loads(encode_body(reply))["message"]
    assert restored["content"] == f"to {VALUES[B]} PERS"
    assert restored["tool_calls"][0]["function"]["arguments"] == {"to": VALUES[A]}
    assert record.finished and json.loads(record.tool_calls[0].arguments_masked) == {"to": A}


def test_anthropic_request_and_reply() -> None:
    blocks = [
        {"type": "thinking", "thinking": MAIL, "signature": "c2ln"},
        {"type": "tool_use", "id": "t1", "name": "pay", "input": {"to": MAIL}},
    ]
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": MAIL}]}
    request: Json = {
        "model": "claude",
        "max_tokens": 64000,
        "system": [{"type": "text", "text": MAIL}],
        "messages": [{"role": "assistant", "content": blocks}, {"role": "user", "content": [result]}],
    }
    masked, _ = _masked(request, anthropic_messages.REQUEST)
    assert MAIL not in str(masked) and "c2ln" in str(masked) and "tool_use_id': 't1'" in str(masked)
    content = [
        {"type": "thinking", "thinking": A},
        {"type": "text", "text": f"to {A}"},
        {"type": "tool_use", "id": "t1", "name": "pay", "input": {"to": B}},
    ]
    body: Json = {"content": content, "stop_reason": "tool_use", "usage": {"output_tokens": 1}}
    assert isinstance(body, dict)
    reply, record = anthropic_messages.restore_reply(body, VALUES)
    thinking, text, use = json.loads(encode_body(reply))["content"]
    assert (thinking["thinking"], text["text"], use["input"]) == (A, f"to {VALUES[A]}", {"to": VALUES[B]})
    assert record.finished and record.text_masked == f"to {A}" and record.tool_calls[0].name == "pay"


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (openai_chat.check_request, {"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}),
        (ollama_chat.check_request, {"content": "", "images": ["AAAA"]}),
        (anthropic_messages.check_request, {"content": [{"type": "image", "source": {}}]}),
        (
            anthropic_messages.check_request,
            {"content": [{"type": "tool_result", "content": [{"type": "image"}]}]},
        ),
    ],
)
def test_what_nobody_can_scan_is_refused(check: object, message: Json) -> None:
    with pytest.raises(DetectionError) as caught:
        check({"messages": [message]})  # type: ignore[operator]
    assert caught.value.reason == "UnscannableContent"


def test_text_requests_pass_the_check() -> None:
    openai_chat.check_request(_openai_request())
    anthropic_messages.check_request({"messages": [{"role": "user", "content": "hi"}]})
    ollama_chat.check_request({"messages": [{"role": "user", "content": "hi"}]})


@pytest.mark.parametrize("module", [openai_chat, ollama_chat, anthropic_messages])
@pytest.mark.parametrize("messages", ["text", [3], {"a": 1}])
def test_messages_of_a_wrong_shape_are_refused(module: object, messages: Json) -> None:
    with pytest.raises(DetectionError) as caught:
        module.check_request({"messages": messages})  # type: ignore[attr-defined]
    assert caught.value.reason == "BadBody"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"[]", "BadBody"),
        (b"{", "BadBody"),
        (b'{"a":1,"a":2}', "BadBody"),
        (b'{"a":NaN}', "BadBody"),
        (b"[" * 100_000, "BadBody"),
        (b'{"a":"\xff"}', "BadEncoding"),
        (b'{"a":"' + b"x" * 100 + b'"}', "BodyTooLarge"),
    ],
)
def test_bad_bodies_are_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(DetectionError) as caught:
        parse_body(raw, max_bytes=64 if reason == "BodyTooLarge" else 1 << 20)
    assert caught.value.reason == reason


def test_a_lone_surrogate_survives_the_wire() -> None:
    assert parse_body(encode_body({"a": "\ud83d"})) == {"a": "\ud83d"}
