"""OpenAI responses (POST /v1/responses), request and whole reply.

Reasoning items are left alone: what is enciphered in them goes back as it came.
"""

from __future__ import annotations

from collections.abc import Mapping

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json, Path, WalkRules
from cadre_detect.restore import restore_json
from cadre_guard.stream.errors import StreamError
from cadre_guard.wire.body import items, mutable, refuse_binary, text_of
from cadre_guard.wire.openai_chat import SETTINGS, top_level
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

_SETTINGS = (
    *SETTINGS,
    "max_output_tokens",
    "max_tool_calls",
    "tool_choice",
    "include",
    "background",
    "truncation",
    "reasoning",
    "previous_response_id",
    "prompt_cache_retention",
)
_ITEM_NAMES = ("type", "id", "call_id", "role", "status", "phase", "name", "namespace")
_PART_NAMES = ("type", "logprobs")
_ARGUMENTS, _SEALED = "arguments", "encrypted_content"


def _item(*base: str) -> frozenset[Path]:
    parts = frozenset((*base, "content", "*", name) for name in _PART_NAMES)
    return frozenset((*base, name) for name in _ITEM_NAMES) | parts | {(*base, "summary", "*", "type")}


REQUEST = WalkRules(
    structural=top_level(*_SETTINGS)
    | frozenset(("tools", "*", name) for name in ("type", "name", "strict"))
    | frozenset(("text", *tail) for tail in (("verbosity",), ("format", "type"), ("format", "name")))
    | {("text", "format", "strict")}
    | _item("input", "*"),
    embedded=frozenset({("input", "*", _ARGUMENTS)}),
    schemas=frozenset({("tools", "*", "parameters"), ("text", "format", "schema")}),
    sealed=frozenset({("input", "*", _SEALED)}),
)
"""What a request means to the protocol; everything else in it is data."""

_ENVELOPE = (
    *SETTINGS,
    *("id", "object", "created_at", "completed_at", "status", "usage", "error", "incomplete_details"),
    *("tool_choice", "max_output_tokens", "reasoning", "truncation", "previous_response_id", "background"),
)


def reply_rules(*base: str) -> WalkRules:
    """Rules for a response object at this place of a document."""
    names = frozenset((*base, name) for name in _ENVELOPE)
    output = (*base, "output", "*")
    return WalkRules(
        structural=names | _item(*output) | {(*output, _SEALED)},
        embedded=frozenset({(*output, _ARGUMENTS)}),
    )


ITEM = WalkRules(
    structural=_item("item") | {("item", _SEALED), ("type",), ("item_id",), ("logprobs",)},
    embedded=frozenset({("item", _ARGUMENTS), (_ARGUMENTS,)}),
)
"""An event of a stream that carries an item, or what became of one."""

_REPLY = reply_rules()
_PARTS = frozenset({"input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"})
_ITEMS = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "item_reference",
    }
)


def check_request(body: Mapping[str, Json]) -> None:
    """Raise DetectionError(UnscannableContent) for pictures, sound, files and items nobody can scan."""
    given = body.get("input")
    if given is None or isinstance(given, str):
        return
    try:
        for item in map(mutable, items(given)):
            refuse_binary([item], _ITEMS)
            for name in ("content", "output"):
                refuse_binary(item.get(name), _PARTS)
    except StreamError as error:
        raise DetectionError("BadBody", "input must be a text or an array of objects") from error


def restore_reply(
    body: Mapping[str, Json], values: Mapping[str, str], ids: ToolCallIds | None = None
) -> tuple[dict[str, Json], CompletionRecord]:
    """The reply with values restored and call ids made unique, and the record of it (masked)."""
    recorder = Recorder(ids)
    reply = settle(mutable(body), recorder, whole=True)
    return mutable(restore_json(reply, values, _REPLY)), recorder.record()


def settle(response: dict[str, Json], recorder: Recorder, *, whole: bool) -> dict[str, Json]:
    """Note how a response ended and make its call ids unique; `whole`: its text was not seen before."""
    if response.get("error") is not None:
        recorder.fail(response["error"])
    usage = response.get("usage")
    recorder.usage = usage if isinstance(usage, Mapping) else recorder.usage
    recorder.finish_reason = _reason(response) or recorder.finish_reason
    recorder.ended = recorder.ended or recorder.finish_reason is not None
    output = [mutable(item) for item in items(response.get("output"))]
    for index, item in enumerate(output):
        note_item(item, index, recorder, whole=whole)
    return response | ({"output": output} if "output" in response else {})


def note_item(item: dict[str, Json], index: int, recorder: Recorder, *, whole: bool) -> None:
    """Take note of an output item and give its call the session's id."""
    recorder.seal(item.get(_SEALED))
    if text_of(item.get("type")).endswith("_call") and "call_id" in item:
        item["call_id"] = recorder.open_call(0, index, text_of(item["call_id"]))
        if whole:
            arguments = text_of(item.get(_ARGUMENTS, item.get("input")))
            recorder.call(0, index, text_of(item.get("name")), arguments)
    elif whole and item.get("type") == "message":
        for part in map(mutable, items(item.get("content"))):
            recorder.text(text_of(part.get("text")))


def _reason(response: Mapping[str, Json]) -> str | None:
    details = response.get("incomplete_details")
    match response.get("status"):
        case "completed":
            return "stop"
        case "incomplete":
            return text_of(mutable(details).get("reason")) or "length"
        case _:
            return None
