"""Every format's requests, with values in every place that can hold text, in any spelling: none is in the
bytes that leave, the protocol's own words stay, and all values come back.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadre_detect import MaskPolicy, apply, plan, restore_json
from cadre_detect.jsonwalk import DATA, WalkRules
from cadre_guard.wire import dialects
from cadre_guard.wire.body import encode_body
from tests.support.encodings import leaks
from tests.unit.detect.samples import ENCODINGS, SEEDED, patterns_only, tokens_for, values_of

DETECTOR = patterns_only()
HOLE = "@"
"""Stands in a template where a text goes."""
ARGUMENTS = {"to": HOLE, "deep": [{"note": HOLE}]}
FUNCTION = {"name": "mail", "description": HOLE, "parameters": {"type": "object", "description": HOLE}}
CALLED = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "mail", "arguments": json.dumps(ARGUMENTS)},
}
MESSAGES = [
    {"role": "system", "content": HOLE},
    {"role": "user", "content": [{"type": "text", "text": HOLE}], "name": HOLE},
    {"role": "assistant", "content": HOLE, "tool_calls": [CALLED]},
    {"role": "tool", "tool_call_id": "call_1", "content": HOLE},
]
OLLAMA_CALL = {"function": {"name": "mail", "arguments": ARGUMENTS}}
TEMPLATES: dict[str, tuple[WalkRules, Any]] = {
    "chat": (
        dialects.OPENAI_CHAT.rules,
        {
            "model": "m",
            "messages": MESSAGES,
            "tools": [{"type": "function", "function": FUNCTION}],
            "user": HOLE,
        },
    ),
    "completions": (
        dialects.OPENAI_COMPLETIONS.rules,
        {"model": "m", "prompt": [HOLE, HOLE], "suffix": HOLE},
    ),
    "embeddings": (dialects.OPENAI_EMBEDDINGS.rules, {"model": "m", "input": [HOLE, HOLE], "user": HOLE}),
    "responses": (
        dialects.OPENAI_RESPONSES.rules,
        {
            "model": "m",
            "instructions": HOLE,
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": HOLE}]},
                {"type": "function_call", "call_id": "c", "name": "mail", "arguments": json.dumps(ARGUMENTS)},
                {"type": "function_call_output", "call_id": "c", "output": HOLE},
            ],
            "tools": [{"type": "function", **FUNCTION}],
        },
    ),
    "messages": (
        dialects.ANTHROPIC_MESSAGES.rules,
        {
            "model": "m",
            "max_tokens": 9,
            "system": [{"type": "text", "text": HOLE}],
            "messages": [
                {"role": "user", "content": HOLE},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": "mail", "input": ARGUMENTS}],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": HOLE}]},
            ],
            "tools": [{"name": "mail", "description": HOLE, "input_schema": {"type": "object"}}],
        },
    ),
    "ollama/chat": (
        dialects.OLLAMA_CHAT.rules,
        {
            "model": "m",
            "messages": [*MESSAGES[:1], {"role": "assistant", "content": HOLE, "tool_calls": [OLLAMA_CALL]}],
            "options": {"stop": [HOLE]},
        },
    ),
    "ollama/generate": (dialects.OLLAMA_GENERATE.rules, {"model": "m", "prompt": HOLE, "system": HOLE}),
    "ollama/embed": (dialects.OLLAMA_EMBED.rules, {"model": "m", "input": [HOLE, HOLE]}),
    "gemini": (
        dialects.GEMINI.rules,
        {
            "systemInstruction": {"parts": [{"text": HOLE}]},
            "contents": [
                {"role": "user", "parts": [{"text": HOLE}]},
                {"role": "model", "parts": [{"functionCall": {"name": "mail", "args": ARGUMENTS}}]},
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"name": "mail", "response": {"said": HOLE}}}],
                },
            ],
        },
    ),
    "mcp call": (DATA, {"method": "tools/call", "params": {"name": "mail", "arguments": ARGUMENTS}}),
    "mcp result": (DATA, {"content": [{"type": "text", "text": HOLE}], "structuredContent": {HOLE: HOLE}}),
    "acp update": (
        DATA,
        {"update": {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": HOLE}}},
    ),
    "a2a message": (
        DATA,
        {"message": {"role": "user", "parts": [{"kind": "text", "text": HOLE}, {"data": ARGUMENTS}]}},
    ),
}
SPELLED = st.tuples(st.sampled_from(sorted(SEEDED)), st.sampled_from(sorted(ENCODINGS))).map(
    lambda chosen: f"see {ENCODINGS[chosen[1]](SEEDED[chosen[0]])} there"
)
TEXTS = st.lists(st.sampled_from(["all in lower case", "ünïcode 🏠", ""]) | SPELLED, min_size=1, max_size=6)


def _filled(template: Any, texts: list[str]) -> Any:
    """The template with the texts in its holes, in turn; JSON in a string stays JSON."""
    count = 0

    def fill(value: Any) -> Any:
        nonlocal count
        if value == HOLE:
            count += 1
            return texts[count % len(texts)]
        if isinstance(value, str) and HOLE in value:
            return json.dumps(fill(json.loads(value)), ensure_ascii=False)  # as it is written anew
        if isinstance(value, dict):
            return {fill(key) or "key": fill(item) for key, item in value.items()}
        return [fill(item) for item in value] if isinstance(value, list) else value

    return fill(template)


def _shape(value: Any) -> Any:
    """What is left of a document without its texts."""
    if isinstance(value, dict):
        return [_shape(item) for item in value.values()]
    return [_shape(item) for item in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize("name", TEMPLATES)
@settings(deadline=None, max_examples=3)
@given(texts=TEXTS, unknown=SPELLED)
def test_no_seeded_value_leaves_in_any_place_or_spelling(name: str, texts: list[str], unknown: str) -> None:
    rules, template = TEMPLATES[name]
    body = {**_filled(template, texts), "a_field_of_tomorrow": {"note": unknown}}

    planned = plan(body, DETECTOR, MaskPolicy(), rules=rules)
    tokens = tokens_for(planned)
    masked = apply(planned, tokens)

    assert leaks(SEEDED.values(), encode_body(masked)) == {}
    assert _shape(masked) == _shape(body)
    everywhere = replace(rules, structural=frozenset())
    assert restore_json(masked, values_of(tokens), everywhere) == body
