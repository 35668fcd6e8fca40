"""Anthropic messages (POST /v1/messages), request and whole reply.

Thinking blocks are not restored: their text is signed, and the agent sends them back as they came.
"""

from __future__ import annotations

from collections.abc import Mapping

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json, WalkRules
from cadre_detect.restore import restore_json
from cadre_guard.stream.errors import StreamError
from cadre_guard.wire.body import encode_body, items, mutable, refuse_binary, text_of
from cadre_guard.wire.openai_chat import top_level
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

_SETTINGS = (
    "model",
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "thinking",
    "tool_choice",
    "service_tier",
    "cache_control",
)
_BLOCK = ("messages", "*", "content", "*")
_BLOCK_NAMES = ("type", "id", "tool_use_id", "name", "cache_control", "is_error")

REQUEST = WalkRules(
    structural=top_level(*_SETTINGS)
    | {("messages", "*", "role"), ("system", "*", "type"), ("system", "*", "cache_control")}
    | frozenset(("tools", "*", name) for name in ("type", "name", "cache_control"))
    | frozenset((*_BLOCK, name) for name in _BLOCK_NAMES)
    | {(*_BLOCK, "content", "*", "type"), (*_BLOCK, "content", "*", "cache_control")},
    schemas=frozenset({("tools", "*", "input_schema"), ("output_config", "format", "schema")}),
    sealed=frozenset((*_BLOCK, name) for name in ("signature", "data")),
)
"""What a request means to the protocol; everything else in it is data."""

_PARTS = frozenset({"text", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result"})
SEALED = frozenset({"thinking", "redacted_thinking"})


def check_request(body: Mapping[str, Json]) -> None:
    """Raise DetectionError(UnscannableContent) for images, documents and files."""
    try:
        for message in items(body.get("messages")):
            content = mutable(message).get("content")
            refuse_binary(content, _PARTS)
            for part in [] if isinstance(content, str) else items(content):
                refuse_binary(mutable(part).get("content"), _PARTS)
    except StreamError as error:
        raise DetectionError("BadBody", "messages must be an array of objects") from error


def restore_reply(
    body: Mapping[str, Json], values: Mapping[str, str], ids: ToolCallIds | None = None
) -> tuple[dict[str, Json], CompletionRecord]:
    """The reply with values restored and tool-use ids made unique, and the record of it (masked)."""
    recorder = Recorder(ids)
    recorder.ended = True
    reply = mutable(body)
    if reply.get("error") is not None:
        recorder.fail(reply["error"])
    recorder.finish_reason = text_of(reply.get("stop_reason")) or None
    usage = reply.get("usage")
    recorder.usage = usage if isinstance(usage, Mapping) else None
    if "content" in reply:
        blocks = enumerate(items(reply["content"]))
        reply["content"] = [_block(mutable(block), i, recorder, values) for i, block in blocks]
    return reply, recorder.record()


def _block(
    block: dict[str, Json], index: int, recorder: Recorder, values: Mapping[str, str]
) -> dict[str, Json]:
    if block.get("type") in SEALED:
        recorder.seal(block.get("signature", block.get("data")))
        return block
    if block.get("type") == "tool_use":
        unique = recorder.open_call(0, index, text_of(block.get("id")))
        recorder.call(0, index, text_of(block.get("name")), encode_body(block.get("input")).decode())
        return block | {"id": unique, "input": restore_json(block.get("input"), values)}
    recorder.text(text_of(block.get("text")))
    return mutable(restore_json(block, values))
